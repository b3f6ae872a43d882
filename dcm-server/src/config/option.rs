//! What clap's definition of an option tells about its values.

use std::{error::Error as _, ffi::OsStr, ffi::OsString};

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// How a value is written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// A whole number with a unit, which nought and bytes do without.
    Measure,
    /// An array of texts.
    List,
    /// A text.
    Text,
}

impl Kind {
    /// Told by the name of the value, so that help and file agree.
    pub(super) fn of(arg: &Arg) -> Self {
        match arg.get_value_names().and_then(<[_]>::first).map(|name| name.as_str()) {
            _ if arg.get_value_delimiter().is_some() => Self::List,
            Some(SWITCH) => Self::Switch,
            Some("NUMBER") => Self::Number,
            Some("SIZE" | "DURATION") => Self::Measure,
            _ => Self::Text,
        }
    }
}

const SWITCH: &str = "true|false";

/// Lets a switch be turned off behind `=`: else no flag could take back what the environment or a file says.
pub(super) fn with_switches(command: Command) -> Command {
    let switch = |arg: Arg| {
        if !matches!(arg.get_action(), ArgAction::SetTrue) || arg.get_env().is_none() {
            return arg;
        }
        let arg = arg.action(ArgAction::Set).value_name(SWITCH).num_args(0..=1).require_equals(true);
        arg.default_value("false").default_missing_value("true").hide_default_value(true)
    };
    command.mut_args(switch).mut_subcommands(with_switches)
}

/// Why an option cannot have this value. Quotes nothing of it where it may be a secret.
pub(super) fn refusal(arg: &Arg, value: &OsStr) -> Option<String> {
    let parser = arg.get_value_parser().clone();
    let alone = Arg::new("value").long("value").action(ArgAction::Set).value_parser(parser);
    let mut given = OsString::from("--value=");
    given.push(value);
    let error = Command::new("value").no_binary_name(true).arg(alone).try_get_matches_from([given]).err()?;
    let reason = match (error.kind(), error.get(ContextKind::Custom), error.get(ContextKind::ValidValue)) {
        (_, Some(ContextValue::String(reason)), _) => reason.clone(),
        (_, _, Some(ContextValue::Strings(allowed))) if !allowed.is_empty() => {
            format!("must be {}", allowed.join(" or "))
        }
        (ErrorKind::InvalidUtf8, ..) => "must be UTF-8".to_owned(),
        _ if value.is_empty() => "must not be empty".to_owned(),
        _ => error.source().map_or_else(|| "cannot be used".to_owned(), ToString::to_string),
    };
    Some(reason)
}
