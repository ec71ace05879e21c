//! What can be wrong with a command line.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A command line that can't be run. Exit code 2, a file that can't be read excepted.
///
/// The texts are those of Neo4j's tool. Specification: command line 2.4.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// Required options are absent, each with its label.
    #[error("Missing required option{}: {}", plural(.0), Quoted(.0))]
    MissingOptions(Vec<String>),
    /// Of options that exclude each other, one is needed and none is there; each with its label.
    #[error("Error: Missing required argument (specify one of these): ({})", .0.join(" | "))]
    MissingChoice(Vec<String>),
    /// Options that exclude each other, each with its label.
    #[error("Error: {} are mutually exclusive (specify only one)", .0.join(", "))]
    Exclusive(Vec<String>),
    /// One of the options that exclude each other, more than once.
    #[error("Error: expected only one match but got {}", Matches(.choice, .given))]
    RepeatedChoice {
        /// The options, each with its label.
        choice: Vec<String>,
        /// The option with each of its values.
        given: Vec<String>,
    },
    /// A word that is needed and has no name is absent; what stands for it in the help.
    #[error("Missing required parameter: '{0}'")]
    MissingPositional(String),
    /// An option at the end, without the value that it needs.
    #[error("Missing required parameter for option '{option}' ({label})")]
    MissingParameter {
        /// Its name with dashes.
        option: String,
        /// What stands for its value in the help.
        label: String,
    },
    /// An option stands where the value of another one must be.
    #[error("Expected parameter for option '{option}' but found '{found}'")]
    ExpectedParameter {
        /// The option that waits for its value.
        option: String,
        /// The word that came.
        found: String,
    },
    /// An option that was given before.
    #[error("option '{option}' ({label}) should be specified only once")]
    Repeated {
        /// Its name with dashes.
        option: String,
        /// What stands for its value in the help.
        label: String,
    },
    /// An option without values got one.
    #[error("option '{option}' ({label}) should be specified without '{value}' parameter")]
    UnwantedParameter {
        /// Its name with dashes.
        option: String,
        /// What stands for its value in the help.
        label: String,
        /// What was given.
        value: String,
    },
    /// A value that the option does not take.
    #[error(transparent)]
    InvalidValue(#[from] InvalidValue),
    /// Words that look like options of no command; the words after them are not understood either.
    #[error("Unknown option{}: {}{}", plural(.words), Quoted(.words), Solutions(.solutions))]
    UnknownOptions {
        /// All that was not understood, in order.
        words: Vec<String>,
        /// Options that begin alike.
        solutions: Vec<String>,
    },
    /// Words that belong to nothing.
    #[error(
        "Unmatched argument{}{index}: {}{}",
        if .words.len() > 1 { "s from index " } else { " at index " },
        Quoted(.words),
        Meant(.commands)
    )]
    Unmatched {
        /// All that was not understood, in order.
        words: Vec<String>,
        /// Position of the first one in the command line, from 0; `--verbose` and `--expand-commands` don't count.
        index: usize,
        /// Commands that look alike.
        commands: Vec<String>,
    },
    /// Nothing that names a command.
    #[error("Missing required subcommand")]
    MissingCommand,
    /// `help` for something that is no command.
    #[error("Unknown subcommand '{0}'.")]
    UnknownCommand(String),
    /// A word that is not text.
    #[error("The argument at index {index} is not valid UTF-8: '{}'", .word.display())]
    NotUnicode {
        /// Its position, from 0.
        index: usize,
        /// The word.
        word: std::ffi::OsString,
    },
    /// A file named with `@` that is there but can't be read.
    #[error("Could not read argument file @{}: {source}", .file.display())]
    ArgumentFile {
        /// As named.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What a typed value refuses for another reason.
    #[error(transparent)]
    Refused(clap::Error),
}

impl UsageError {
    /// Whether the message names what was probably meant. The help is left out then.
    pub fn has_suggestion(&self) -> bool {
        match self {
            Self::UnknownOptions { solutions, .. } => !solutions.is_empty(),
            Self::Unmatched { commands, .. } => !commands.is_empty(),
            _ => false,
        }
    }
}

/// A value that an option does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value for option '{option}': {reason}")]
pub struct InvalidValue {
    /// The option with dashes.
    pub option: String,
    /// What is wrong with the value.
    pub reason: String,
}

fn plural(words: &[String]) -> &'static str {
    if words.len() > 1 { "s" } else { "" }
}

/// `'a', 'b'`.
struct Quoted<'w>(&'w [String]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            write!(f, "{}'{word}'", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// `(a | b)={x} and (a | b)={y}`.
struct Matches<'w>(&'w [String], &'w [String]);

impl fmt::Display for Matches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let choice = self.0.join(" | ");
        for (index, given) in self.1.iter().enumerate() {
            write!(f, "{}({choice})={{{given}}}", if index > 0 { " and " } else { "" })?;
        }
        Ok(())
    }
}

/// A second line with options, if there are any.
struct Solutions<'o>(&'o [String]);

impl fmt::Display for Solutions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "\nPossible solutions: {}", self.0.join(", ")) }
    }
}

/// A second line with commands, if there are any.
struct Meant<'c>(&'c [String]);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "\nDid you mean: {}?", self.0.join(" or ")) }
    }
}
