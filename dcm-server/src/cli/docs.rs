//! Holds `docs/configuration.md` to what the program takes.

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;
use crate::config;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

/// Between these lines stands what is made here.
const MARKS: [&str; 2] = ["<!-- options: begin -->\n", "<!-- options: end -->\n"];

fn tables(command: &Command) -> String {
    let options = |arg: &&Arg| arg.get_env().is_some() && arg.get_id() != "config";
    let (mut text, mut heading) = (String::new(), Some("none yet"));
    for arg in command.get_arguments().filter(options) {
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            text += &format!(
                "\n### {}\n\n| option | default | what it does |\n|---|---|---|\n",
                heading.unwrap_or("Server")
            );
        }
        text += &row(arg);
    }
    text + "\n"
}

fn row(arg: &Arg) -> String {
    let (name, variable) = (arg.get_long().unwrap(), arg.get_env().unwrap().to_str().unwrap());
    let (help, computed) = described(arg);
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
    let default = if defaults.is_empty() { computed.unwrap_or("none".to_owned()) } else { defaults.join(", ") };
    let values: Vec<_> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let allowed = if values.is_empty() { String::new() } else { format!(" One of {}.", values.join(", ")) };
    format!("| `{name}`<br>`{variable}` | {default} | {help}{allowed} |\n")
}

/// What help says, without the default that it computes.
fn described(arg: &Arg) -> (String, Option<String>) {
    let help = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (help, computed) = match help.split_once("[default: ") {
        Some((help, default)) => (help.trim_end().to_owned(), Some(default.trim_end_matches(['.', ']']).to_owned())),
        None => (help, None),
    };
    let end = if help.ends_with('.') { "" } else { "." };
    (help.replace('|', "\\|") + end, computed)
}

#[test]
fn the_docs_have_every_option_as_help_has_it() {
    let command = config::prepare(Cli::command());
    let text = std::fs::read_to_string(FILE).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let expected = [before, MARKS[0], &tables(&command), MARKS[1], after].concat();
    if text != expected {
        // Left for whoever changed an option to look at and to commit.
        std::fs::write(FILE, expected).unwrap();
        panic!("docs/configuration.md did not agree with the options; it was written anew: look at it, and commit it");
    }
}

#[test]
fn the_example_in_the_docs_can_be_used() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let example = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dcm.toml");
    std::fs::write(&file, example).unwrap();
    let cli = Cli::from_options([format!("--config={}", file.display())]).unwrap();
    assert_ne!(cli, Cli::from_options(["--log=info"]).unwrap());
}
