//! Options and commands as data: kind, default, label, section, help.
//!
//! Everything else is made from these definitions: the grammar, the help texts, the typed values.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, Command};

use super::usage::InvalidValue;
use super::{
    backup, check_consistency, demo, inspect, prepare_restore, restore, serve_backup, store_info, verify,
};

/// Name of the program in its texts.
pub(super) const PROGRAM: &str = "neo4j-admin";

/// Section of the options that Neo4j's tool has, too.
pub(super) const OPTIONS: &str = "OPTIONS";

/// Section of the options that Neo4j's tool does not have. They are never offered as possible solutions, and a word
/// that looks like one of them may be the value of another option, so that command lines of Neo4j's tool keep their
/// meaning and their messages.
pub(super) const ADDITIONAL: &str = "ADDITIONAL OPTIONS";

/// Section of what stands on a command line without a name.
pub(super) const PARAMETERS: &str = "PARAMETERS";

/// How an option takes its value. Specification: command line 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--x` and nothing else.
    Flag,
    /// `--x`, which negates the default, or `--x=true`, `--x=false`.
    Switch,
    /// `--x=value` or `--x value`.
    Value,
    /// As before, with further words behind the first, and more than once.
    Words,
}

/// The kind of a defined option.
pub(super) fn kind(option: &Arg) -> Kind {
    if matches!(option.get_action(), ArgAction::SetTrue) {
        Kind::Flag
    } else if option.is_require_equals_set() {
        Kind::Switch
    } else if matches!(option.get_action(), ArgAction::Append) {
        Kind::Words
    } else {
        Kind::Value
    }
}

/// Whether a parameter takes all words that are left, and not one.
pub(super) fn takes_all(parameter: &Arg) -> bool {
    kind(parameter) == Kind::Words
}

/// The name with dashes; of two names the long one.
pub(super) fn name(option: &Arg) -> String {
    format!("--{}", option.get_id())
}

/// What stands for the value, in angle brackets.
pub(super) fn label(option: &Arg) -> String {
    let label = option
        .get_value_names()
        .and_then(<[_]>::first)
        .map_or(option.get_id().as_str(), |name| name.as_str());
    format!("<{label}>")
}

/// Whether the option is one that Neo4j's tool does not have.
pub(super) fn is_additional(option: &Arg) -> bool {
    option.get_help_heading() == Some(ADDITIONAL)
}

/// The options of a group, of which only one may stand on a command line.
pub(super) fn choices<'c>(command: &'c Command, choice: &'c ArgGroup) -> impl Iterator<Item = &'c Arg> {
    command.get_arguments().filter(move |option| choice.get_args().any(|id| id == option.get_id()))
}

/// Whether an option is one of a group.
pub(super) fn is_choice(command: &Command, option: &Arg) -> bool {
    command.get_groups().any(|choice| choice.get_args().any(|id| id == option.get_id()))
}

/// The default value as text.
pub(super) fn default(option: &Arg) -> Option<&str> {
    option.get_default_values().first().and_then(|value| value.to_str())
}

fn option(name: &'static str) -> Arg {
    Arg::new(name).long(name).help_heading(OPTIONS)
}

/// An option without a value.
pub(super) fn flag(name: &'static str) -> Arg {
    option(name).action(ArgAction::SetTrue)
}

/// An option that negates its default when it stands alone.
pub(super) fn switch(name: &'static str, default: bool) -> Arg {
    boolean(name)
        .num_args(0..=1)
        .require_equals(true)
        .default_value(if default { "true" } else { "false" })
        .default_missing_value(if default { "false" } else { "true" })
}

/// A boolean that needs its value.
pub(super) fn boolean(name: &'static str) -> Arg {
    value(name, "true/false").value_parser(move |text: &str| match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(name, format!("'{text}' is not a boolean"))),
    })
}

/// A text.
pub(super) fn value(name: &'static str, label: &'static str) -> Arg {
    option(name).value_name(label)
}

/// A path. The empty one is the working directory.
pub(super) fn path(name: &'static str) -> Arg {
    value(name, "path").value_parser(|text: &str| Ok::<_, Infallible>(PathBuf::from(text)))
}

/// A word without a name of an option: a path.
pub(super) fn parameter(name: &'static str, label: &'static str) -> Arg {
    let path = |text: &str| Ok::<_, Infallible>(PathBuf::from(text));
    Arg::new(name).value_name(label).value_parser(path).help_heading(PARAMETERS)
}

/// The error of a value parser.
pub(super) fn invalid(name: &'static str, reason: String) -> InvalidValue {
    InvalidValue { option: format!("--{name}"), reason }
}

/// A command, with the two options that may stand anywhere on the command line.
pub(super) fn command(name: &'static str) -> Command {
    Command::new(name)
        .disable_help_flag(true)
        .no_binary_name(true)
        .arg(flag("verbose").help("Enable verbose output."))
        .arg(
            switch("expand-commands", false)
                .value_name("allowCommandExpansion")
                .help("Allow command expansion in config value evaluation."),
        )
}

/// Moves an option to those that Neo4j's tool does not have.
pub(super) fn additional(option: Arg) -> Arg {
    option.help_heading(ADDITIONAL)
}

/// `--help` of a command. Neo4j's tool has it at the root only.
pub(super) fn help_flag() -> Arg {
    additional(flag("help")).short('h').help("Show this help message and exit.")
}

/// The whole program.
pub(super) fn root() -> Command {
    let mut root = Command::new(PROGRAM)
        .about("Neo4j database administration tool.")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .no_binary_name(true)
        .arg(
            switch("expand-commands", false)
                .value_name("expandCommands")
                .help("Allow command expansion in config value evaluation."),
        )
        .arg(switch("verbose", false).value_name("verbose").help("Prints additional information."))
        .arg(
            switch("help", false)
                .short('h')
                .value_name("helpRequested")
                .help("Show this help message and exit."),
        )
        .arg(
            switch("version", false)
                .short('V')
                .value_name("versionRequested")
                .help("Print version information and exit."),
        )
        .subcommand(
            Command::new("help")
                .about("Displays help information about the specified command")
                .long_about("neo4j-admin help <command> shows the help of a command, without a name that of the program.")
                .disable_help_flag(true)
                .no_binary_name(true)
                .arg(
                    switch("help", false)
                        .short('h')
                        .value_name("helpRequested")
                        .help("Show this help message and exit."),
                ),
        )
        .subcommand(check_consistency::definition())
        .subcommand(store_info::definition())
        .subcommand(backup::definition())
        .subcommand(restore::definition())
        .subcommand(prepare_restore::definition())
        .subcommand(inspect::definition())
        .subcommand(verify::definition())
        .subcommand(serve_backup::definition())
        .subcommand(demo::definition());
    root.build();
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        root().debug_assert();
    }

    #[test]
    fn a_switch_alone_negates_its_default() {
        let command = command("x").args([switch("on", true), switch("off", false)]);
        let matches = command.clone().get_matches_from::<_, &str>([]);
        assert_eq!((matches.get_one("on"), matches.get_one("off")), (Some(&true), Some(&false)));
        let matches = command.get_matches_from(["--on", "--off"]);
        assert_eq!((matches.get_one("on"), matches.get_one("off")), (Some(&false), Some(&true)));
    }
}
