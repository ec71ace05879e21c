//! The values of `backup`.

use std::path::PathBuf;

use crate::backup::selection::Selection;
use crate::catchup::message::MetadataKind;
use crate::cli::check_options;
use crate::cli::grammar::Call;
use crate::cli::usage::UsageError;
use crate::consistency::CheckOptions;

/// What the command line of a backup says.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct BackupArguments {
    /// Directory that holds one directory per database. Empty: the working directory.
    pub backup_dir: PathBuf,
    /// The servers, as written; read when the run begins, because a mistake in it is no usage error.
    pub from: String,
    /// Which databases.
    pub database: Selection,
    /// Whether a failed incremental backup becomes a full one.
    pub fallback_to_full: bool,
    /// Size of the page cache, as written; read when the run begins.
    pub pagecache: String,
    /// Whether the copy is to be checked.
    pub check_consistency: bool,
    /// What of it, and where the report goes. That directory must exist even when nothing is checked.
    pub check: CheckOptions,
    /// Options on the command line that have no effect any more, with their dashes.
    pub deprecated: Vec<&'static str>,
    /// More settings, which win over `neo4j.conf`.
    pub additional_config: Option<PathBuf>,
    /// Which commands that create users and roles are saved.
    pub include_metadata: Option<MetadataKind>,
    /// Whether the copy is to be recovered.
    pub prepare_restore: bool,
    /// Whether several threads recover.
    pub parallel_recovery: bool,
    /// Internal log lines and chains of errors.
    pub verbose: bool,
    /// Whether `$(command)` in the configuration is run.
    pub expand_commands: bool,
    /// Whether a failed incremental backup becomes a full one whatever the reason.
    pub fallback_on_any_error: bool,
    /// Whether an unfinished full copy is continued.
    pub resume: bool,
    /// Whether useless remains of earlier runs are deleted.
    pub cleanup: bool,
    /// Bytes per second from the network, as written; read when the run begins.
    pub max_rate: Option<String>,
}

impl BackupArguments {
    /// Takes the values of a call.
    pub(in crate::cli) fn of(call: &Call) -> Result<Self, UsageError> {
        Ok(Self {
            backup_dir: call.value("backup-dir")?,
            from: call.value("from")?,
            database: call.value("database")?,
            fallback_to_full: call.value("fallback-to-full")?,
            pagecache: call.value("pagecache")?,
            check_consistency: call.value("check-consistency")?,
            check: check_options::of(call)?,
            deprecated: check_options::deprecated(call),
            additional_config: call.optional("additional-config"),
            include_metadata: call.optional("include-metadata"),
            prepare_restore: call.value("prepare-restore")?,
            parallel_recovery: call.value("parallel-recovery")?,
            verbose: call.value("verbose")?,
            expand_commands: call.value("expand-commands")?,
            fallback_on_any_error: call.value("fallback-on-any-error")?,
            resume: call.value("resume")?,
            cleanup: call.value("cleanup")?,
            max_rate: call.optional("max-rate"),
        })
    }

    /// Whether the copy is checked: what is not recovered can't be. Specification: command line 2.11.
    pub fn checks(&self) -> bool {
        self.check_consistency && self.prepare_restore
    }

    /// One line for each deprecated option on the command line.
    pub fn deprecations(&self) -> impl Iterator<Item = String> {
        self.deprecated.iter().map(|option| check_options::deprecation(option))
    }
}
