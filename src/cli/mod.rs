//! The command line: definitions, grammar, help, log lines, messages, exit codes.
//!
//! The only room that prints. [`run`] takes the words of a command line and returns how the program ends; `main` exits.
//! Each command has its own module with its definition, the typed values, and the function that runs it.

mod argument_file;
pub mod backup;
pub mod check_consistency;
mod check_console;
mod check_options;
pub mod database_name;
mod definition;
pub mod demo;
mod each_backup;
pub mod environment;
pub mod exit;
pub mod failure;
mod grammar;
mod help;
pub mod inspect;
mod java_path;
pub mod log;
pub mod output_format;
pub mod path_list;
pub mod prepare_restore;
pub mod progress;
pub mod restore;
pub mod serve_backup;
mod signals;
mod similar;
pub mod store_info;
pub mod streams;
#[cfg(test)]
mod testing;
pub mod usage;
pub mod verify;

use std::ffi::OsString;

use self::backup::arguments::BackupArguments;
use self::check_consistency::CheckConsistencyArguments;
use self::environment::Environment;
use self::exit::Exit;
use self::grammar::{Call, Misuse, Request};
use self::inspect::InspectArguments;
use self::prepare_restore::PrepareRestoreArguments;
use self::restore::RestoreArguments;
use self::serve_backup::ServeArguments;
use self::store_info::StoreInfoArguments;
use self::streams::Streams;
use self::usage::UsageError;
use self::verify::VerifyArguments;

/// What `--version` says: the release of Neo4j whose behaviour is reproduced, and the version of this program.
pub const VERSION: &str = concat!("4.4.38+native.", env!("CARGO_PKG_VERSION"));

/// A command with its values, ready to run.
#[derive(Debug)]
pub enum Command {
    /// `backup`.
    Backup(Box<BackupArguments>),
    /// `check-consistency`.
    CheckConsistency(CheckConsistencyArguments),
    /// `store-info`.
    StoreInfo(StoreInfoArguments),
    /// `restore`.
    Restore(RestoreArguments),
    /// `prepare-restore`.
    PrepareRestore(PrepareRestoreArguments),
    /// `inspect`.
    Inspect(InspectArguments),
    /// `verify`.
    Verify(VerifyArguments),
    /// `serve-backup`.
    ServeBackup(ServeArguments),
    /// `demo`.
    Demo,
}

/// Runs the program. `arguments` are the words after its name.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    streams: &Streams,
) -> Exit {
    match understand(arguments, streams) {
        Ok(Command::Backup(arguments)) => backup::run(&arguments, environment, streams),
        Ok(Command::CheckConsistency(arguments)) => check_consistency::run(&arguments, environment, streams),
        Ok(Command::StoreInfo(arguments)) => store_info::run(&arguments, environment, streams),
        Ok(Command::Restore(arguments)) => restore::run(&arguments, environment, streams),
        Ok(Command::PrepareRestore(arguments)) => prepare_restore::run(&arguments, environment, streams),
        Ok(Command::Inspect(arguments)) => inspect::run(&arguments, environment, streams),
        Ok(Command::Verify(arguments)) => verify::run(&arguments, streams),
        Ok(Command::ServeBackup(arguments)) => serve_backup::run(&arguments, environment, streams),
        Ok(Command::Demo) => demo::run(streams),
        Err(exit) => exit,
    }
}

/// Finds out what a command line asks for. Help and version are given at once, mistakes are reported; the run ends
/// with the exit code then.
pub fn understand(arguments: impl IntoIterator<Item = OsString>, streams: &Streams) -> Result<Command, Exit> {
    let root = definition::root();
    let request = words(arguments).map_err(Misuse::from).and_then(|words| grammar::understand(&root, words));
    match request {
        Ok(Request::Nothing) => {
            streams.out.text(help::of(&root, None));
            Err(Exit::Usage)
        }
        Ok(Request::Help(command)) => {
            streams.out.text(help::of(&root, command.as_deref()));
            Err(Exit::Success)
        }
        Ok(Request::Version) => {
            streams.out.line(VERSION);
            Err(Exit::Success)
        }
        Ok(Request::Run(call)) => {
            for option in &call.switched_off {
                streams.err.line(switched_off(option));
            }
            command(&call)
                .map_err(|error| refuse(&root, &Misuse { error, command: Some(call.command) }, streams))
        }
        Err(misuse) => Err(refuse(&root, &misuse, streams)),
    }
}

fn command(call: &Call) -> Result<Command, UsageError> {
    match call.command.as_str() {
        "backup" => BackupArguments::of(call).map(|arguments| Command::Backup(Box::new(arguments))),
        "check-consistency" => CheckConsistencyArguments::of(call).map(Command::CheckConsistency),
        "store-info" => StoreInfoArguments::of(call).map(Command::StoreInfo),
        "restore" => RestoreArguments::of(call).map(Command::Restore),
        "prepare-restore" => PrepareRestoreArguments::of(call).map(Command::PrepareRestore),
        "inspect" => InspectArguments::of(call).map(Command::Inspect),
        "verify" => VerifyArguments::of(call).map(Command::Verify),
        "serve-backup" => ServeArguments::of(call).map(Command::ServeBackup),
        "demo" => Ok(Command::Demo),
        other => Err(UsageError::UnknownCommand(other.to_owned())),
    }
}

/// The message, and unless that says what was meant, the help.
fn refuse(root: &clap::Command, misuse: &Misuse, streams: &Streams) -> Exit {
    streams.err.line(&misuse.error);
    if let UsageError::ArgumentFile { .. } = misuse.error {
        // Not the words are wrong, and Neo4j's tool has another exit code for it.
        return Exit::Failed;
    }
    if !misuse.error.has_suggestion() {
        streams.err.text(help::of(root, misuse.command.as_deref()));
    }
    Exit::Usage
}

/// All words as text. What is none can't be compared with the names of options, and in no locale that Neo4j's tool runs
/// in does it survive as the name of a file either.
fn words(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<String>, UsageError> {
    let text = |(index, word): (usize, OsString)| {
        word.into_string().map_err(|word| UsageError::NotUnicode { index, word })
    };
    arguments.into_iter().enumerate().map(text).collect()
}

/// Many scripts write the name of an option that is on by default to switch it on. Specification: command line 2.3.
fn switched_off(option: &str) -> String {
    format!(
        "Warning: '{option}' without a value means '{option}=false'. Write '{option}=true' to switch it on."
    )
}
