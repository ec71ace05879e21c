//! What `restore` and `prepare-restore` have in common: the same is done with each of several backups, and a line tells of
//! each. Specification: command line 6.2, 6.3.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::{Directories, Environment};
use super::exit::Exit;
use super::failure::{self, root_cause};
use super::streams::Streams;
use crate::backup::stop::Signal;
use crate::config::ConfigError;
use crate::io::disk::DiskError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum EachError {
    #[error("Config file [{}] does not exist.", .0.display())]
    NoConfiguration(PathBuf),
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error("{0} parameter can be applied only when --from match single path")]
    OnlyForOne(&'static str),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("signals can't be received: {0}")]
    Signals(#[source] io::Error),
    /// Each of those that failed has been told.
    #[error("{0}")]
    Failed(&'static str),
    #[error("interrupted by {0}")]
    Interrupted(Signal),
}

/// What is done with each backup.
pub(super) trait ForEach {
    type Error: Error + 'static;

    /// The names of path and status in a line.
    const NAMES: [&'static str; 2];
    /// What is said at the end if one failed.
    const FAILED: &'static str;

    fn work(&self, backup: &Path) -> Result<(), Self::Error>;

    /// The signal that ended the work, if one did.
    fn signal(error: &Self::Error) -> Option<Signal>;

    /// The text of an error.
    fn reason(error: &Self::Error) -> String {
        root_cause(error)
    }
}

/// Runs a command; `work` is given the directories of the installation.
pub(super) fn run(
    verbose: bool,
    environment: &Environment,
    streams: &Streams,
    work: impl FnOnce(&Directories) -> Result<(), EachError>,
) -> Exit {
    let directories = match environment.directories_or_say(streams) {
        Ok(directories) => directories,
        Err(exit) => return exit,
    };
    if verbose {
        streams.out.line(format_args!("neo4j {}", super::VERSION));
    }
    let Err(error) = work(&directories) else { return Exit::Success };
    let of_configuration = matches!(error, EachError::Configuration(_));
    failure::report_of_command(&streams.err, &error, of_configuration, verbose);
    match error {
        EachError::Interrupted(signal) => Exit::Interrupted(signal),
        _ => Exit::Failed,
    }
}

/// Does the work with all backups, also after one has failed. A signal ends it.
pub(super) fn each<W: ForEach>(
    work: &W,
    backups: &[PathBuf],
    verbose: bool,
    streams: &Streams,
) -> Result<(), EachError> {
    let mut all = true;
    for backup in backups {
        let (status, reason, signal) = match work.work(backup) {
            Ok(()) => ("successful", String::new(), None),
            Err(error) => {
                all = false;
                if verbose {
                    failure::report(&streams.err, "", &error, true);
                }
                ("failed", W::reason(&error), W::signal(&error))
            }
        };
        let ([path_name, status_name], path) = (W::NAMES, backup.display());
        streams.out.line(format_args!("{path_name}={path}, {status_name}={status}, reason={reason}"));
        if let Some(signal) = signal {
            return Err(EachError::Interrupted(signal));
        }
    }
    if all { Ok(()) } else { Err(EachError::Failed(W::FAILED)) }
}
