//! The configuration in force, as a file that can be used again.

use std::path::Path;

use clap::{Arg, ArgMatches, Command};

use super::{
    Config,
    option::Kind,
    sources::{Given, Origin},
    values::{HIDDEN, Shown},
};

/// What `config` prints: every option of the command with its value, and where that comes from.
pub(crate) fn shown(given: &Given, command: &Command, matches: &ArgMatches, config: &Config) -> String {
    let mut text =
        String::from("# What is in force, as a file for --config. Behind each value: where it comes from.\n");
    let (mut heading, mut hides) = (None, false);
    for arg in command.get_arguments().filter(|arg| arg.get_env().is_some() && arg.get_id() != "config") {
        let Some(name) = arg.get_long() else { continue };
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            text += &format!("\n# {}\n", heading.unwrap_or_default());
        }
        text += &match (value(arg, matches, &mut hides), config.key_file()) {
            (Some(value), _) => format!("{name} = {value}  # {}\n", origin(&given.origin(arg, matches))),
            (None, Some(file)) if name == "encryption-key-file" => match file.to_str() {
                Some(file) => format!("{name} = {}  # default, beside the store\n", quoted(file)),
                None => unwritable(name),
            },
            (None, _) if matches.get_raw(arg.get_id().as_str()).is_some() => unwritable(name),
            (None, _) => format!("# {name} is not set\n"),
        };
    }
    if hides {
        let note = format!("# {HIDDEN} stands for what is secret: put that in its place before this file is used.\n");
        text.insert_str(0, &note);
    }
    text
}

/// The value as it stands in a file; `None` where there is none.
fn value(arg: &Arg, matches: &ArgMatches, hides: &mut bool) -> Option<String> {
    let raw = matches.get_raw(arg.get_id().as_str());
    if Kind::of(arg) == Kind::List {
        let items: Option<Vec<_>> = raw.into_iter().flatten().map(|item| item.to_str().map(quoted)).collect();
        return items.map(|items| format!("[{}]", items.join(", ")));
    }
    let text = raw?.next()?.to_str()?;
    Some(match Kind::of(arg) {
        Kind::Switch => matches.get_one::<bool>(arg.get_id().as_str()).copied().unwrap_or_default().to_string(),
        Kind::Number => text.parse::<u64>().map_or_else(|_| quoted(text), |number| number.to_string()),
        Kind::Measure | Kind::List | Kind::Text if arg.is_hide_env_values_set() => {
            let shown = Shown::of(text);
            *hides |= shown.hides;
            quoted(&shown.text)
        }
        Kind::Measure | Kind::List | Kind::Text => quoted(text),
    })
}

fn unwritable(name: &str) -> String {
    format!("# {name} is set to what is not UTF-8, which a file cannot say\n")
}

fn origin(origin: &Origin<'_>) -> String {
    let path = |path: &Path| path.display().to_string().replace(char::is_control, "?");
    match origin {
        Origin::Flag => "flag".to_owned(),
        Origin::Variable(name) => format!("environment {}", name.display()),
        Origin::File(file, line) => format!("{}:{line}", path(file)),
        Origin::Default => "default".to_owned(),
    }
}

/// A text as TOML. JSON writes the same, but for the one control character that it has no escape for.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_valid_toml() {
        let all: String = (0..=0x2fff).filter_map(char::from_u32).collect();
        let toml = format!("a = {}", quoted(&all));
        let table = toml::de::DeTable::parse(&toml).unwrap();
        assert_eq!(table.get_ref()["a"].get_ref().as_str(), Some(&*all));
    }
}
