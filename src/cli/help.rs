//! Help texts, made from the definitions. Layout: command line 1.4, 1.5.

use clap::{Arg, Command};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use super::definition::{self, ADDITIONAL, Kind, OPTIONS, PARAMETERS, PROGRAM};

/// Columns of the help of a command. A terminal of 80 needs the last one for the end of the line.
const WIDTH: usize = 79;
/// Columns of the help of the program.
const ROOT_WIDTH: usize = 119;
/// Where the descriptions of a command's options begin.
const DESCRIPTIONS: usize = 28;

const ENVIRONMENT: &str = "
Environment variables:
  NEO4J_CONF    Path to directory which contains neo4j.conf.
  NEO4J_HOME    Neo4j home directory.
  NEO4J_DEBUG, HEAP_SIZE, JAVA_OPTS
                Accepted without effect: this program needs no Java Virtual Machine.
";

/// The help of a command that exists, else of the program.
pub(super) fn of(root: &Command, command: Option<&str>) -> String {
    match command.and_then(|name| root.find_subcommand(name)) {
        Some(command) => of_command(command),
        None => of_program(root),
    }
}

/// The help of the program.
pub(super) fn of_program(root: &Command) -> String {
    let options: Vec<&Arg> = root.get_arguments().collect();
    let shorts: String = options.iter().filter_map(|option| option.get_short()).collect();
    let longs: Vec<String> = options
        .iter()
        .filter(|option| option.get_short().is_none())
        .map(|option| format!("[{}]", definition::name(option)))
        .collect();
    let mut help = format!("Usage: {PROGRAM} [-{shorts}] {} [COMMAND]\n", longs.join(" "));
    help.push_str(&line(root.get_about().map(ToString::to_string).as_deref().unwrap_or_default()));

    let names: Vec<String> = options.iter().map(|option| names(option)).collect();
    let column = names.iter().map(String::len).max().unwrap_or(0) + 3;
    for (name, option) in names.iter().zip(&options) {
        let text = option.get_help().map(ToString::to_string).unwrap_or_default();
        help.push_str(&entry(name, &text, column, ROOT_WIDTH));
    }
    help.push_str("Commands:\n");
    let column = root.get_subcommands().map(|command| command.get_name().len()).max().unwrap_or(0) + 4;
    for command in root.get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        help.push_str(&entry(&format!("  {}", command.get_name()), &about, column, ROOT_WIDTH));
    }
    help.push_str(ENVIRONMENT);
    help
}

/// The help of a command.
fn of_command(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let mut help = format!("\n{about}\n\nUSAGE\n\n{}\n\nDESCRIPTION\n\n", synopsis(command));
    for paragraph in long.lines() {
        help.push_str(&line(&textwrap::fill(paragraph, layout(WIDTH))));
    }
    for section in [PARAMETERS, OPTIONS, ADDITIONAL] {
        let options = command.get_arguments().filter(|option| option.get_help_heading() == Some(section));
        let entries: String = options
            .map(|option| {
                let name = format!("{}{}", names(option), value(option));
                entry(&name, &description(option), DESCRIPTIONS, WIDTH)
            })
            .collect();
        if !entries.is_empty() {
            help.extend(["\n", section, "\n\n", &entries]);
        }
    }
    help
}

/// All options, those that may stand without a value first, each part by name; then those that exclude each other.
fn synopsis(command: &Command) -> String {
    let mut options: Vec<&Arg> =
        command.get_arguments().filter(|option| !definition::is_choice(command, option)).collect();
    let has_value = |option: &Arg| matches!(definition::kind(option), Kind::Value | Kind::Words);
    options.sort_by_key(|option| (option.is_positional(), has_value(option), definition::name(option)));
    let words = options.into_iter().map(|option| {
        let word = format!("{}{}", name(option), value(option));
        if option.is_required_set() { word } else { format!("[{word}]") }
    });
    let choices = command.get_groups().map(|choice| {
        let words =
            definition::choices(command, choice).map(|option| format!("{}{}", name(option), value(option)));
        format!("({})", words.collect::<Vec<_>>().join(" | "))
    });
    let words = words.chain(choices);
    let start = format!("{PROGRAM} {} ", command.get_name());
    let words: Vec<_> = words.collect();
    let longest = words.iter().map(String::len).max().unwrap_or(0);
    // A word that fits nowhere below the first one gets lines that begin further left.
    let indent = " ".repeat(if start.len() + longest > WIDTH { 8 } else { start.len() });
    let layout = layout(WIDTH).initial_indent(&start).subsequent_indent(&indent);
    textwrap::fill(&words.join(" "), layout)
}

/// `--help`; nothing for a parameter, which is written by its label alone.
fn name(option: &Arg) -> String {
    if option.is_positional() { String::new() } else { definition::name(option) }
}

/// `  -h, --help`, or the same without a short name.
fn names(option: &Arg) -> String {
    match option.get_short() {
        Some(short) => format!("  -{short}, {}", name(option)),
        None => format!("      {}", name(option)),
    }
}

/// How the value is written behind the name.
fn value(option: &Arg) -> String {
    match definition::kind(option) {
        Kind::Flag => String::new(),
        Kind::Switch => "[=<true/false>]".to_owned(),
        Kind::Value if option.is_positional() => definition::label(option),
        Kind::Words if option.is_positional() => format!("{}...", definition::label(option)),
        Kind::Value => format!("={}", definition::label(option)),
        Kind::Words => format!("={0}[,{0}...]...", definition::label(option)),
    }
}

/// The text of an option and, in its own line, the default.
fn description(option: &Arg) -> String {
    let help = option.get_help().map(ToString::to_string).unwrap_or_default();
    match definition::default(option) {
        Some(default) if definition::kind(option) != Kind::Flag => format!("{help}\n  Default: {default}"),
        _ => help,
    }
}

/// A name and what it means from `column` on, below the name if that is too long. Continued lines are indented.
fn entry(name: &str, text: &str, column: usize, width: usize) -> String {
    let indent = " ".repeat(column);
    let continued = " ".repeat(column + 2);
    let lines = text.lines().map(|paragraph| {
        let layout = layout(width).initial_indent(&indent).subsequent_indent(&continued);
        line(&textwrap::fill(paragraph, layout))
    });
    let text: String = lines.collect();
    match text.strip_prefix(&indent) {
        Some(first) if name.len() < column => format!("{name:column$}{first}"),
        _ => line(name) + &text,
    }
}

/// Breaks at blanks only, so that options and addresses stay whole.
fn layout<'a>(width: usize) -> Options<'a> {
    Options::new(width)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(false)
}

fn line(text: &str) -> String {
    format!("{text}\n")
}
