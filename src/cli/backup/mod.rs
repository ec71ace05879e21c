//! `backup`: a copy of one or of several databases of a running server.
//!
//! [`definition`] says which options there are, [`arguments`] what was given, [`prepare`] what a run makes of it and of
//! its surroundings, `execute` does it and says how it went.

pub mod arguments;
mod definition;
mod execute;
pub mod prepare;

pub(super) use definition::definition;

use self::arguments::BackupArguments;
use self::execute::execute;
use self::prepare::{PrepareError, prepare};
use super::environment::Environment;
use super::exit::Exit;
use super::streams::Streams;
use super::{failure, log};

/// What stands before the reason of a failed backup.
pub const FAILED: &str = "Execution of backup failed. ";

/// Runs the command.
pub(super) fn run(arguments: &BackupArguments, environment: &Environment, streams: &Streams) -> Exit {
    let directories = match environment.directories_or_say(streams) {
        Ok(directories) => directories,
        Err(exit) => return exit,
    };
    if arguments.verbose {
        streams.out.line(format_args!("neo4j {}", super::VERSION));
    }
    let prepared = match prepare(arguments, &directories, streams) {
        Ok(prepared) => prepared,
        Err(error) => return refuse(&error, arguments, streams),
    };
    let log = log::of_run(&prepared.configuration, arguments.verbose, streams);
    let run = || execute(arguments, &prepared, &log, streams);
    if arguments.verbose { log.observe(run) } else { run() }
}

/// Tells why a run can't begin. Specification: command line 1.3, 3.1.
fn refuse(error: &PrepareError, arguments: &BackupArguments, streams: &Streams) -> Exit {
    let prefix = match error {
        // The word for these, which names the file, is that of the error as a whole and not of its cause.
        PrepareError::Configuration(error) if !arguments.verbose => {
            streams.err.line(error);
            streams.err.line(failure::ASK_FOR_MORE);
            return Exit::Failed;
        }
        // These show before Neo4j's tool would begin, and stand alone.
        PrepareError::NoBackupDirectory(_)
        | PrepareError::Unresolved { .. }
        | PrepareError::From(_)
        | PrepareError::Configuration(_) => "",
        PrepareError::NotADirectory(_)
        | PrepareError::Size(_)
        | PrepareError::NoRate
        | PrepareError::Tls(_) => FAILED,
    };
    failure::report(&streams.err, prefix, error, arguments.verbose);
    Exit::Failed
}
