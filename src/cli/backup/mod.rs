//! `backup`: a copy of one or of several databases of a running server.
//!
//! [`definition`] says which options there are, [`arguments`] what was given, [`prepare`] what a run makes of it and of
//! its surroundings. [`run`] is the place where the job itself is started.

pub mod arguments;
mod definition;
pub mod prepare;

use std::error::Error;

pub(super) use definition::definition;

use self::arguments::BackupArguments;
use self::prepare::{PrepareError, Prepared, prepare};
use super::environment::Environment;
use super::exit::Exit;
use super::failure;
use super::streams::Streams;

/// What stands before the reason of a failed backup.
pub const FAILED: &str = "Execution of backup failed. ";

/// Runs the command.
pub(super) fn run(arguments: &BackupArguments, environment: &Environment, streams: &Streams) -> Exit {
    let directories = match environment.directories() {
        Ok(directories) => directories,
        Err(error) => {
            streams.err.line(error);
            return Exit::Usage;
        }
    };
    if arguments.verbose {
        streams.out.line(format_args!("neo4j {}", super::VERSION));
    }
    let prepared = match prepare(arguments, &directories, streams) {
        Ok(prepared) => prepared,
        Err(error) => {
            // Mistakes that show before the work begins stand alone.
            let prefix = if matches!(error, PrepareError::NotADirectory(_) | PrepareError::PageCache(_)) {
                FAILED
            } else {
                ""
            };
            return failed(prefix, &error, arguments, streams);
        }
    };
    copy(arguments, &prepared, streams)
}

/// Makes the copy.
fn copy(arguments: &BackupArguments, prepared: &Prepared, streams: &Streams) -> Exit {
    let server = &prepared.from.host;
    streams.err.line(format_args!(
        "{FAILED}This version does not fetch anything yet: {:?} of {server}",
        arguments.database
    ));
    Exit::Failed
}

fn failed(
    prefix: &str,
    error: &(dyn Error + 'static),
    arguments: &BackupArguments,
    streams: &Streams,
) -> Exit {
    failure::report(&streams.err, prefix, error, arguments.verbose);
    Exit::Failed
}
