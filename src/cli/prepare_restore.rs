//! `prepare-restore`: the transactions of backups are applied before they are restored. Specification: command line
//! 6.2.

use std::path::Path;
use std::sync::Arc;

use clap::Command;

use super::backup::prepare::{recovery_threads, retention};
use super::definition::{command, help_flag, switch};
use super::each_backup::{self, EachError, ForEach};
use super::environment::{Directories, Environment};
use super::exit::Exit;
use super::grammar::Call;
use super::log;
use super::path_list::{self, BackupPath};
use super::progress::LogProgress;
use super::signals;
use super::streams::Streams;
use super::usage::UsageError;
use crate::backup::BackupError;
use crate::backup::prepare_restore::prepare;
use crate::backup::recover::{RecoverySettings, Stage};
use crate::backup::stop::{Signal, Stop};
use crate::io::disk::OsDisk;

/// The command and its options.
pub(super) fn definition() -> Command {
    command("prepare-restore")
        .about("Apply the transactions of backups, so that they can be restored.")
        .long_about(
            "Recover backups that were made with --prepare-restore=false, where they lie. A backup that needs no recovery \
             is left as it is. The page cache is that of the configuration (dbms.memory.pagecache.size).\n\
             \n\
             The exit code is 1 if any of the backups could not be prepared; the others are prepared all the same.",
        )
        .arg(path_list::option("target").help(
            "Path or paths of backups. Every path can contain asterisks or question marks in the last subpath. Multiple \
             paths may be separated by a comma, but paths themselves must not contain commas.",
        ))
        .arg(switch("parallel-recovery", false).help(
            "Allow multiple threads to apply transactions in parallel. For some databases and workloads this may reduce \
             times significantly.",
        ))
        .arg(help_flag())
}

/// What the command line says.
#[derive(Clone, Debug)]
pub struct PrepareRestoreArguments {
    /// Where the backups are.
    pub target: Vec<Vec<BackupPath>>,
    /// Whether several threads recover.
    pub parallel_recovery: bool,
    /// Internal log lines and chains of errors.
    pub verbose: bool,
    /// Whether `$(command)` in the configuration is run.
    pub expand_commands: bool,
}

impl PrepareRestoreArguments {
    /// Takes the values of a call.
    pub(super) fn of(call: &Call) -> Result<Self, UsageError> {
        Ok(Self {
            target: call.all("target"),
            parallel_recovery: call.value("parallel-recovery")?,
            verbose: call.value("verbose")?,
            expand_commands: call.value("expand-commands")?,
        })
    }
}

/// Runs the command.
pub(super) fn run(arguments: &PrepareRestoreArguments, environment: &Environment, streams: &Streams) -> Exit {
    each_backup::run(arguments.verbose, environment, streams, |directories| {
        prepare_all(arguments, directories, streams)
    })
}

fn prepare_all(
    arguments: &PrepareRestoreArguments,
    directories: &Directories,
    streams: &Streams,
) -> Result<(), EachError> {
    let configuration = directories.configuration(None, arguments.expand_commands)?;
    let targets = path_list::resolve(&arguments.target)?;
    let log = log::of_run(&configuration, arguments.verbose, streams);
    let stop = Stop::default();
    let runtime = signals::runtime(&stop).map_err(EachError::Signals)?;
    let stage = Stage {
        disk: OsDisk::shared(),
        settings: RecoverySettings {
            page_cache: configuration.page_cache?.unwrap_or_else(default_page_cache),
            threads: recovery_threads(arguments.parallel_recovery),
            retention: retention(configuration.tx_log.retention),
        },
        progress: Arc::new(LogProgress::new(log.clone())),
        runtime: runtime.handle().clone(),
        stop,
    };
    let work = || each_backup::each(&Preparing(stage), &targets, arguments.verbose, streams);
    let result = if arguments.verbose { log.observe(work) } else { work() };
    runtime.shutdown_background();
    result
}

struct Preparing(Stage);

impl ForEach for Preparing {
    type Error = BackupError;

    const NAMES: [&'static str; 2] = ["targetPath", "prepareStatus"];
    const FAILED: &'static str = "Not all backups are prepared";

    fn work(&self, backup: &Path) -> Result<(), BackupError> {
        prepare(backup, &self.0).map(drop)
    }

    fn signal(error: &BackupError) -> Option<Signal> {
        if let BackupError::Interrupted(signal) = error { Some(*signal) } else { None }
    }
}

/// A quarter of the memory: this may be the machine of a server.
fn default_page_cache() -> u64 {
    const LEAST: u64 = 8 << 20;
    const LARGEST: u64 = 4 << 30;
    let info = rustix::system::sysinfo();
    let memory = info.totalram.saturating_mul(u64::from(info.mem_unit));
    (memory / 4).clamp(LEAST, LARGEST)
}
