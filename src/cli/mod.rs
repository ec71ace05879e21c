//! The command line: definitions, grammar, help, log lines, messages, exit codes.
//!
//! The only room that prints. [`run`] takes the words of a command line and returns how the program ends; `main` exits.
//! Each command has its own module with its definition, the typed values, and the function that runs it.

mod argument_file;
pub mod backup;
mod definition;
pub mod demo;
pub mod environment;
pub mod exit;
pub mod failure;
mod grammar;
mod help;
pub mod log;
pub mod progress;
pub mod serve_backup;
mod similar;
pub mod streams;
#[cfg(test)]
mod testing;
pub mod usage;

use std::ffi::OsString;

use self::backup::arguments::BackupArguments;
use self::environment::Environment;
use self::exit::Exit;
use self::grammar::{Call, Misuse, Request};
use self::serve_backup::ServeArguments;
use self::streams::Streams;
use self::usage::UsageError;

/// What `--version` says: the release of Neo4j whose behaviour is reproduced, and the version of this program.
pub const VERSION: &str = concat!("4.4.38+native.", env!("CARGO_PKG_VERSION"));

/// Runs the program. `arguments` are the words after its name.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    streams: &Streams,
) -> Exit {
    let root = definition::root();
    match words(arguments).map_err(Misuse::from).and_then(|words| grammar::understand(&root, words)) {
        Ok(Request::Nothing) => {
            streams.out.text(help::of_program(&root));
            Exit::Usage
        }
        Ok(Request::Help(command)) => {
            streams.out.text(help::of(&root, command.as_deref()));
            Exit::Success
        }
        Ok(Request::Version) => {
            streams.out.line(VERSION);
            Exit::Success
        }
        Ok(Request::Run(call)) => {
            for (switch, on) in &call.bare {
                streams.err.line(bare_switch(switch, *on));
            }
            match dispatch(&call, environment, streams) {
                Ok(exit) => exit,
                Err(error) => refuse(&root, &Misuse { error, command: Some(call.command) }, streams),
            }
        }
        Err(misuse) => refuse(&root, &misuse, streams),
    }
}

/// The message, and unless that says what was meant, the help.
fn refuse(root: &clap::Command, misuse: &Misuse, streams: &Streams) -> Exit {
    streams.err.line(&misuse.error);
    if !misuse.error.has_suggestion() {
        streams.err.text(help::of(root, misuse.command.as_deref()));
    }
    // Neo4j's tool takes a file that can't be read for no mistake in the words.
    if matches!(misuse.error, UsageError::ArgumentFile { .. }) { Exit::Failed } else { Exit::Usage }
}

/// All words as text. What is none can't be compared with the names of options, and in no locale that Neo4j's tool runs
/// in does it survive as the name of a file either.
fn words(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<String>, UsageError> {
    let text = |(index, word): (usize, OsString)| {
        word.into_string().map_err(|word| UsageError::NotUnicode { index, word })
    };
    arguments.into_iter().enumerate().map(text).collect()
}

/// Tells what a switch without a value means: many scripts use it to switch on what is on by default.
/// Specification: command line 2.3.
fn bare_switch(switch: &str, on: bool) -> String {
    format!(
        "Warning: '{switch}' without a value means '{switch}={on}'. Write '{switch}={}' if that was meant.",
        !on
    )
}

/// Starts a command.
fn dispatch(call: &Call, environment: &Environment, streams: &Streams) -> Result<Exit, UsageError> {
    match call.command.as_str() {
        "backup" => Ok(backup::run(&BackupArguments::of(call)?, environment, streams)),
        "serve-backup" => Ok(serve_backup::run(&ServeArguments::of(call)?, environment, streams)),
        "demo" => Ok(demo::run(environment, streams)),
        other => Err(UsageError::UnknownCommand(other.to_owned())),
    }
}
