//! `verify`: whether backups are still what was written. Specification: command line 4.11.

use std::path::PathBuf;
use std::thread;

use clap::{ArgAction, Command};

use super::definition::{command, help_flag, parameter};
use super::exit::Exit;
use super::grammar::Call;
use super::streams::Streams;
use super::usage::UsageError;
use super::{failure, java_path};
use crate::backup::manifest::{self, Verdict};

/// The command and its options.
pub(super) fn definition() -> Command {
    command("verify")
        .about("Compare backups with their manifests.")
        .long_about(
            "Read every file of backups made by this program and compare them with the checksums in their manifests \
             (tools/manifest.toml). Each file that was changed, is missing or was added is named, with the first block \
             of 1 MiB that differs. Nothing is changed.\n\
             \n\
             The exit code is 0 if all backups are as they were written, and 1 if anything is not, or there is no \
             manifest.",
        )
        .arg(
            parameter("dir", "dir")
                .required(true)
                .action(ArgAction::Append)
                .help("Directories of backups, each of one database."),
        )
        .arg(help_flag())
}

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyArguments {
    /// Directories of backups.
    pub directories: Vec<PathBuf>,
    /// Chains of errors.
    pub verbose: bool,
}

impl VerifyArguments {
    /// Takes the values of a call.
    pub(super) fn of(call: &Call) -> Result<Self, UsageError> {
        Ok(Self { directories: call.all("dir"), verbose: call.value("verbose")? })
    }
}

/// Runs the command.
pub(super) fn run(arguments: &VerifyArguments, streams: &Streams) -> Exit {
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let mut exit = Exit::Success;
    for directory in &arguments.directories {
        let directory = java_path::absolute(directory);
        let shown = directory.display();
        let problem = match manifest::verify(&directory, threads) {
            Err(error) => {
                failure::report(&streams.err, "", &error, arguments.verbose);
                exit = Exit::Failed;
                continue;
            }
            Ok(Verdict::Compared { files, bytes, differences }) if differences.is_empty() => {
                streams
                    .out
                    .line(format_args!("'{shown}' is as it was written: {files} files, {bytes} bytes"));
                continue;
            }
            Ok(Verdict::Compared { files, differences, .. }) => {
                for difference in &differences {
                    streams.out.line(format_args!("{shown}/{difference}"));
                }
                format!(
                    "'{shown}' is not as it was written: {} of {files} files differ. Make a new backup",
                    differences.len()
                )
            }
            Ok(Verdict::NoManifest) => format!(
                "'{shown}' has no manifest: it is no backup, or one that another program made; the next backup by this \
                 program writes one"
            ),
            Ok(Verdict::Interrupted) => format!(
                "'{shown}' was being changed by a run that was interrupted; the next run of the same command repairs it"
            ),
            Ok(Verdict::Continued { last_transaction, recorded }) => format!(
                "'{shown}' was opened or continued by another program after its manifest was written (transaction \
                 {last_transaction}, the manifest has {recorded}); the next backup writes a new one"
            ),
        };
        streams.err.line(problem);
        exit = Exit::Failed;
    }
    exit
}
