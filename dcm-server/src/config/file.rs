//! The configuration file: TOML whose keys are the long names of options.
//!
//! Errors name a file's lines and never quote its values: there may be a password in it.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::{
    Arg, Command,
    error::{ContextKind, ContextValue},
};
use toml::de::{DeTable, DeValue, Error as TomlError};

use super::{option::Kind, option::refusal, values::Shown};

/// A file may have so many bytes.
const LARGEST: u64 = 64 * 1024;

/// So many faults are told at once.
const MOST: usize = 20;

/// What a file sets. Has no debug form: there may be a password in it.
pub(super) struct File {
    path: PathBuf,
    settings: BTreeMap<String, Setting>,
}

struct Setting {
    line: usize,
    /// As they would be written behind the option.
    values: Vec<String>,
}

impl File {
    /// Reads a file that sets options of the command; every fault is told.
    pub(super) fn read(path: &Path, command: &Command) -> Result<Self, Vec<String>> {
        let shown = path.display();
        let alone = |fault: String| vec![fault];
        let failed = |why: &dyn Display| alone(format!("--config {shown} cannot be read: {why}"));
        let found = fs::metadata(path).map_err(|error| failed(&error))?;
        if found.is_dir() {
            return Err(failed(&"it is a directory"));
        }
        // Whoever opens a pipe waits for somebody to write into it, for ever if need be.
        if !found.is_file() {
            return Err(failed(
                &"it is no regular file; what a program writes goes into one first, a password into DCM_STORE",
            ));
        }
        let opened = fs::File::open(path).map_err(|error| failed(&error))?;
        let mode = opened.metadata().map_err(|error| failed(&error))?.permissions().mode() & 0o777;
        let mut bytes = Vec::new();
        opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        if bytes.len() as u64 > LARGEST {
            return Err(failed(&format_args!("it has more than {LARGEST} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            alone(format!("{shown}:{}: is not UTF-8", line(before)))
        })?;
        let file = Self { path: path.to_owned(), settings: settings(&text, &shown, command)? };
        file.check_mode(mode, command).map_err(alone)?;
        Ok(file)
    }

    /// What stands behind the option, and in which line.
    pub(super) fn get(&self, arg: &Arg) -> Option<(&[String], usize)> {
        let setting = self.settings.get(arg.get_long()?)?;
        Some((&setting.values, setting.line))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whoever may write the file decides what the server does, and whoever may read it knows its passwords.
    fn check_mode(&self, mode: u32, command: &Command) -> Result<(), String> {
        let path = self.path.display();
        if mode & 0o002 != 0 {
            return Err(format!("--config {path} may be written by everybody (mode {mode:04o}): chmod o-w {path}"));
        }
        let is_secret = |arg: &Arg| {
            let values = self.get(arg).map_or(&[][..], |(values, _)| values);
            arg.is_hide_env_values_set() && values.iter().any(|value| Shown::of(value).hides)
        };
        if mode & 0o027 != 0 && command.get_arguments().any(is_secret) {
            return Err(format!(
                "--config {path} has a password in it, and others than its owner may read or write it (mode {mode:04o}): \
                 chmod 600 {path}, or at most 640"
            ));
        }
        Ok(())
    }
}

fn settings(text: &str, file: &dyn Display, command: &Command) -> Result<BTreeMap<String, Setting>, Vec<String>> {
    let at = |offset: usize| line(&text.as_bytes()[..offset.min(text.len())]);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<(usize, String)> = errors.iter().map(|error| broken(error, &at)).collect();
    let mut settings = BTreeMap::new();
    // What is read from a file that is no TOML may be anything.
    let entries = if errors.is_empty() { Some(table.get_ref()) } else { None };
    for (key, value) in entries.into_iter().flatten() {
        let (line, name) = (at(key.span().start), key.get_ref());
        match setting(name, value.get_ref(), command) {
            Ok(values) => drop(settings.insert(name.to_string(), Setting { line, values })),
            Err(fault) => faults.push((line, fault)),
        }
    }
    if faults.is_empty() {
        return Ok(settings);
    }
    faults.sort();
    faults.dedup();
    let more = faults.len().saturating_sub(MOST);
    let mut told: Vec<_> = faults.iter().take(MOST).map(|(line, fault)| format!("{file}:{line}: {fault}")).collect();
    if more > 0 {
        told.push(format!("{file}: and {more} more"));
    }
    Err(told)
}

/// The parser's messages quote nothing of the file; its display form does.
fn broken(error: &TomlError, at: &dyn Fn(usize) -> usize) -> (usize, String) {
    let line = at(error.span().map_or(0, |span| span.start));
    let fault = match error.message() {
        "duplicate key" => "the key stands there twice".to_owned(),
        other => format!("is not TOML: {other}"),
    };
    (line, fault)
}

/// The values of one key, or what is wrong with them.
fn setting(key: &str, value: &DeValue<'_>, command: &Command) -> Result<Vec<String>, String> {
    if key == "config" {
        return Err("config: a file names no other file".to_owned());
    }
    let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(key) && arg.get_env().is_some()) else {
        return Err(unknown(key, value, command));
    };
    let values = texts(Kind::of(arg), value).map_err(|expected| format!("{key}: must be {expected}"))?;
    match values.iter().find_map(|value| refusal(arg, value.as_ref())) {
        Some(reason) => Err(format!("{key}: {reason}")),
        None => Ok(values),
    }
}

fn unknown(key: &str, value: &DeValue<'_>, command: &Command) -> String {
    let is_plain = key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let name = if is_plain { key } else { "the key" };
    if matches!(value, DeValue::Table(_)) {
        return format!("{name} is a table: options stand without one, such as http = \"127.0.0.1:9077\"");
    }
    match nearest(key, command) {
        Some(like) => format!("{name} is not an option: did you mean {like}?"),
        None => format!(
            "{name} is not an option: dcm-server --help lists them, and they are written without dashes in front"
        ),
    }
}

/// The option that was probably meant, without the dashes in front.
pub(super) fn nearest(key: &str, command: &Command) -> Option<String> {
    let parsed =
        command.clone().try_get_matches_from(["dcm-server".to_owned(), format!("--{}", key.replace('_', "-"))]);
    let name = match parsed {
        // It is spelt with other signs between its words.
        Ok(_) => key.replace('_', "-"),
        Err(error) => match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(like)) => like.trim_start_matches('-').to_owned(),
            _ => error.get(ContextKind::InvalidArg).map(|_| key.replace('_', "-"))?,
        },
    };
    command.get_arguments().any(|arg| arg.get_long() == Some(&*name) && arg.get_env().is_some()).then_some(name)
}

/// The value as it would be written behind the option, or what it must be.
fn texts(kind: Kind, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    let one = |text: &str| Ok(vec![text.to_owned()]);
    match (kind, value) {
        (Kind::Switch, DeValue::Boolean(value)) => one(if *value { "true" } else { "false" }),
        (Kind::Switch, _) => Err("true or false, without quotes"),
        (Kind::List, DeValue::Array(items)) => {
            let text = |item: &DeValue<'_>| item.as_str().map(str::to_owned);
            let texts: Option<Vec<_>> = items.iter().map(|item| text(item.get_ref())).collect();
            texts.ok_or("a list of texts, such as [\"a\", \"b\"]")
        }
        (Kind::List, _) => Err("a list of texts, such as [\"a\", \"b\"]"),
        (Kind::Number | Kind::Measure, DeValue::Integer(number)) if number.radix() == 10 => one(number.as_str()),
        (Kind::Number, _) => Err("a whole number, without quotes"),
        (Kind::Measure, DeValue::String(text)) => one(text),
        (Kind::Measure, _) => Err("a text with a number and a unit, in quotes"),
        (Kind::Text, DeValue::String(text)) => one(text),
        (Kind::Text, _) => Err("a text in quotes"),
    }
}

/// The line behind so much of a text.
fn line(before: &[u8]) -> usize {
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}
