//! Where values come from: flags, over environment variables, over one file, over defaults.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgMatches, Command,
    builder::ValueParser,
    error::{Error, ErrorKind},
    parser::ValueSource,
};

use super::{
    file::{File, nearest},
    option::{refusal, with_switches},
};

/// The variable that names the file.
const VARIABLE: &str = "DCM_CONFIG";

/// The option whose values may hold commas: common names do.
const MAY_HOLD_COMMAS: &str = "allowed_identity";

/// What was given to a command, wherever. Has no debug form: there may be a password in it.
pub(crate) struct Given {
    /// What is in force.
    pub(crate) matches: ArgMatches,
    file: Option<File>,
}

/// Where a value comes from.
pub(super) enum Origin<'a> {
    /// A flag.
    Flag,
    /// This environment variable.
    Variable(&'a OsStr),
    /// This line of this file.
    File(&'a Path, usize),
    /// Nobody said anything.
    Default,
}

/// The command with what all commands have: the file, and switches that can be turned off.
pub(crate) fn prepare(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .env(VARIABLE)
        .value_name("FILE")
        .value_parser(ValueParser::path_buf())
        .global(true)
        .help("A TOML file with options: their long names without dashes in front. Environment and flags win over it; none is read unless it is named");
    with_switches(command.arg(config))
}

/// Reads options, without a program's name before them, the environment and the file that either names.
///
/// The file and the environment may set what the command itself takes; its subcommands share that.
pub(crate) fn read(command: Command, options: Vec<OsString>) -> Result<Given, Error> {
    let mut command = prepare(command);
    let Some((named, options)) = config_file(options) else {
        return Err(command.error(ErrorKind::ArgumentConflict, "--config can be given only once"));
    };
    let line: Vec<_> = std::iter::once(OsString::from("dcm-server")).chain(options).collect();
    // Help shows the defaults that are ours, and not what is in a file.
    match command.clone().try_get_matches_from(&line) {
        Err(help) if matches!(help.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => return Err(help),
        _ => {}
    }
    let mut faults = wrong_variables(&command);
    let file = named.and_then(|path| match File::read(&path, &command) {
        Ok(file) => Some(file),
        Err(more) => {
            faults.splice(0..0, more);
            None
        }
    });
    if !faults.is_empty() {
        let text = faults.join("\n       ");
        return Err(command.error(ErrorKind::ValueValidation, text));
    }
    let command = file.iter().fold(command, with_defaults);
    let command = with_whole_names(command, &line);
    let matches = command.try_get_matches_from(&line)?;
    Ok(Given { matches, file })
}

impl Given {
    /// Where an option's value comes from; `matches` are those of the command that was run.
    pub(super) fn origin<'a>(&'a self, arg: &'a Arg, matches: &ArgMatches) -> Origin<'a> {
        match (matches.value_source(arg.get_id().as_str()), arg.get_env()) {
            (Some(ValueSource::CommandLine), _) => Origin::Flag,
            (Some(ValueSource::EnvVariable), Some(variable)) => Origin::Variable(variable),
            _ => match self.file.as_ref().and_then(|file| Some((file, file.get(arg)?))) {
                Some((file, (_, line))) => Origin::File(file.path(), line),
                None => Origin::Default,
            },
        }
    }
}

/// The file that is named, and the other options; `None` where several are. It has to be read before they can be, and may be
/// named in front of a command as well as behind it.
#[allow(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn config_file(options: Vec<OsString>) -> Option<(Option<PathBuf>, Vec<OsString>)> {
    let (mut named, mut others) = (Vec::new(), Vec::new());
    let mut options = options.into_iter();
    while let Some(option) = options.next() {
        if let Some(file) = option.as_bytes().strip_prefix(b"--config=") {
            named.push(PathBuf::from(OsStr::from_bytes(file)));
        } else if option == "--config"
            && let Some(file) = options.as_slice().first()
        {
            named.push(PathBuf::from(file));
            options.next();
        } else if option == "--" {
            others.push(option);
            others.extend(options.by_ref());
        } else {
            others.push(option);
        }
    }
    let last = named.pop().or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    named.is_empty().then_some((last, others))
}

/// What is wrong with the environment.
#[allow(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn wrong_variables(command: &Command) -> Vec<String> {
    let fault = |arg: &Arg| {
        let name = arg.get_env()?;
        let value = std::env::var_os(name)?;
        let parts = match arg.get_value_delimiter() {
            Some(_) => value.as_bytes().split(|byte| *byte == b',').collect(),
            None => vec![value.as_bytes()],
        };
        let reason = parts.into_iter().find_map(|part| refusal(arg, OsStr::from_bytes(part)))?;
        Some(format!("{}: {reason}", name.display()))
    };
    command.get_arguments().filter(|arg| arg.get_id() != "config").filter_map(fault).collect()
}

/// Names that may hold commas are cut at them in the environment alone, where there is no other way to give several.
#[allow(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn with_whole_names(command: Command, line: &[OsString]) -> Command {
    let whole = |arg: Arg| {
        if arg.get_id() != MAY_HOLD_COMMAS {
            return arg;
        }
        let flag = arg.get_long().map(|long| format!("--{long}")).unwrap_or_default();
        let is_flag = |given: &OsString| {
            let rest = given.as_bytes().strip_prefix(flag.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
        };
        let is_variable = arg.get_env().is_some_and(|name| std::env::var_os(name).is_some());
        if is_variable && !line.iter().any(is_flag) { arg } else { arg.value_delimiter(None) }
    };
    command.mut_args(whole).mut_subcommands(|below| below.mut_args(whole))
}

/// A file's values are the defaults of the command and of those below it.
fn with_defaults(command: Command, file: &File) -> Command {
    let set = |arg: Arg| match file.get(&arg) {
        Some((values, _)) => {
            let values = values.to_vec();
            arg.default_values(values).required(false)
        }
        None => arg,
    };
    command.mut_args(set).mut_subcommands(|below| below.mut_args(set))
}

/// Environment variables that look like options and are none, each with the one that was probably meant.
///
/// What this project's tests and testbed use is left out, and what Kubernetes sets for a Service that is called `dcm`.
#[allow(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn unknown_variables(command: Command) -> Vec<String> {
    let command = prepare(command);
    let known = |name: &str| command.get_arguments().any(|arg| arg.get_env() == Some(OsStr::new(name)));
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<_> = names.filter(|name| looks_like_an_option(name) && !known(name)).collect();
    names.sort();
    let told = |name: String| match nearest(&name["DCM_".len()..].to_ascii_lowercase(), &command) {
        Some(like) => format!("{name} is not read: did you mean DCM_{}?", like.replace('-', "_").to_ascii_uppercase()),
        None => format!("{name} is not read: no option has this variable"),
    };
    names.into_iter().map(told).collect()
}

fn looks_like_an_option(name: &str) -> bool {
    let of_a_service = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"].iter().any(|end| name.ends_with(end))
        || ["_SERVICE_PORT_", "_TCP", "_UDP", "_SCTP"].iter().any(|part| name.contains(part));
    name.starts_with("DCM_") && !name.starts_with("DCM_TEST") && !of_a_service
}
