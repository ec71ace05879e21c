//! The backup of one database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;

use super::BackupError;
use super::full::{self, CopySettings, FullCopy};
use super::manifest::{Facts, Kind, Manifest, Origin};
use super::progress::{Event, Progress};
use super::recover::{RecoverySettings, Stage};
use super::selection::Selection;
use super::source::Source;
use super::stop::Stop;
use super::target::{Existing, Switched, Target};
use crate::catchup::message::MetadataKind;
use crate::catchup::{Client, Dialer};
use crate::io::disk::{DiskError, SharedDisk};
use crate::store::{layout, tools};

/// What is asked for, the same for all databases of a command.
#[derive(Clone)]
pub struct Job {
    /// The only way to change files.
    pub disk: SharedDisk,
    /// Real path of the directory that holds the backups.
    pub backup_dir: PathBuf,
    /// Where the databases are.
    pub server: Dialer,
    /// How a copy is made.
    pub settings: CopySettings,
    /// How the copy is recovered; `None`: its transactions stay unapplied.
    pub recovery: Option<RecoverySettings>,
    /// Version of this program, for the manifest.
    pub tool_version: &'static str,
    /// Whether a full copy may replace a backup that can't be continued.
    pub fallback_to_full: bool,
    /// Which commands to save, if any.
    pub metadata: Option<MetadataKind>,
    /// Hears what happens.
    pub progress: Arc<dyn Progress>,
    /// Runs the network.
    pub runtime: tokio::runtime::Handle,
    /// Ends the run early.
    pub stop: Stop,
}

/// The database whose users and roles are those of all others.
const SYSTEM: &str = "system";

impl Job {
    /// Backs up one database, `name` as the user or the server wrote it. Returns where the backup is.
    ///
    /// On error the earlier backup is what it was before, unless the error says that the copy could not be moved.
    pub fn back_up(&self, name: &str) -> Result<PathBuf, BackupError> {
        let began = Instant::now();
        let result = self.stages(name);
        self.progress.report(&Event::DatabaseFinished { took: began.elapsed() });
        result
    }

    /// The way of the data, from the server to its place.
    fn stages(&self, name: &str) -> Result<PathBuf, BackupError> {
        let started = OffsetDateTime::now_utc();
        let (source, client) = self.identify(name)?;
        let directory = directory_name(name)?;
        let target = Target::lock(self.disk.clone(), &self.backup_dir, &directory)?;
        self.plan(&source, &target)?;
        let work = target.create_work()?;
        let copy = self.fetch(&source, client, &target, &work).and_then(|copy| {
            self.recover(&copy)?;
            self.complete(&source, &copy, started)?;
            Ok(copy)
        });
        let copy = copy.inspect_err(|error| self.give_up(&target, &work, error))?;
        self.publish(&source, &target, &copy)?;
        Ok(target.location().to_owned())
    }

    /// Asks the server for the ids. Nothing local is touched before they are known.
    fn identify(&self, name: &str) -> Result<(Source, Client), BackupError> {
        self.block_on(async { Ok(Source::identify(&self.server, name).await?) })
    }

    /// Looks at what is there, and decides whether a full copy may take its place.
    fn plan(&self, source: &Source, target: &Target) -> Result<(), BackupError> {
        if let Some(from) = target.finish_switch(source.database)? {
            self.warn(format!(
                "The finished copy '{}' of an interrupted run has been moved to '{}'",
                from.display(),
                target.location().display()
            ));
        }
        for left in target.leftovers()? {
            let state =
                if left.finished { "a finished copy that is not in use" } else { "an unfinished copy" };
            self.warn(format!("'{}' was left by an earlier run: {state}, delete it", left.path.display()));
        }
        let reason = match target.existing()? {
            Existing::Nothing => return Ok(()),
            Existing::Foreign => BackupError::ForeignContent(target.location().to_owned()),
            Existing::Backup { store_id, .. } if store_id != Some(source.store_id) => {
                BackupError::StoreIdDiffers
            }
            Existing::Backup { database_id: Some(local), .. } if local != source.database => {
                BackupError::DatabaseIdDiffers { local, remote: source.database }
            }
            Existing::Backup { size, .. } => {
                self.estimate(target, size)?;
                BackupError::NoIncremental(target.location().to_owned())
            }
        };
        if !self.fallback_to_full {
            return Err(reason);
        }
        self.warn(format!("A full copy is made: {reason}"));
        Ok(())
    }

    /// A copy takes about as much room as the last one.
    fn estimate(&self, target: &Target, size: u64) -> Result<(), DiskError> {
        let available = self.disk.available(target.parent())?;
        if available < size {
            self.warn(format!(
                "The backup at '{}' takes {size} bytes, and {available} are free for the copy beside it: it will \
                 probably not fit",
                target.location().display()
            ));
        }
        Ok(())
    }

    /// Copies the database, and adds the commands that create users and roles.
    fn fetch(
        &self,
        source: &Source,
        client: Client,
        target: &Target,
        work: &Path,
    ) -> Result<FullCopy, BackupError> {
        let copy = full::copy(client, source, work, &self.disk, self.settings, &self.progress);
        let mut copy = self.block_on(copy)?;
        let script = self.metadata_script(source, &mut copy, target)?;
        let folder = work.join(layout::TOOLS);
        self.disk.create_dir(&folder)?;
        if let Some(script) = script {
            tools::write_metadata_script(&*self.disk, work, &script)?;
        }
        self.disk.sync_dir(&folder)?;
        self.disk.sync_dir(work)?;
        Ok(copy)
    }

    /// Applies the transactions of the copy to its store files.
    fn recover(&self, copy: &FullCopy) -> Result<(), BackupError> {
        let Some(settings) = self.recovery else { return Ok(()) };
        let stage = Stage {
            disk: self.disk.clone(),
            settings,
            progress: self.progress.clone(),
            runtime: self.runtime.clone(),
            stop: self.stop.clone(),
        };
        stage.recover(&copy.work, copy.range.required).map(drop)
    }

    /// Writes what makes a copy a finished backup: the manifest, and last the id file.
    fn complete(&self, source: &Source, copy: &FullCopy, started: OffsetDateTime) -> Result<(), BackupError> {
        let origin = Origin {
            database: directory_name(&source.name)?,
            database_id: source.database,
            store_id: source.store_id,
            server: source.dialer.to_string(),
            protocol: copy.protocol.to_string(),
            tool_version: self.tool_version,
            kind: Kind::Full,
            first_transaction: copy.range.first,
            required_transaction: copy.range.required,
            started,
            bytes_received: copy.received,
        };
        let work = &copy.work;
        let threads = std::thread::available_parallelism().map_or(1, Into::into);
        tools::write_database_id(&*self.disk, work, source.database)?;
        let facts = Facts::of(work, &origin, self.recovery.is_some())?;
        Manifest::of(work, facts, threads, &self.stop)?.write(&*self.disk, work)?;
        Ok(())
    }

    /// The script for the new copy: a new one if it was asked for and can be had, else that of the backup which the copy
    /// replaces.
    fn metadata_script(
        &self,
        source: &Source,
        copy: &mut FullCopy,
        target: &Target,
    ) -> Result<Option<Vec<u8>>, BackupError> {
        let earlier = match target.existing()? {
            Existing::Backup { store_id, .. } if store_id == Some(source.store_id) => {
                tools::read_metadata_script(target.location())?
            }
            _ => None,
        };
        let Some(kind) = self.metadata else { return Ok(earlier) };
        if source.name.eq_ignore_ascii_case(SYSTEM) {
            self.warn("Include metadata parameter is invalid for backing up system database".to_owned());
            return Ok(earlier);
        }
        let commands = self.block_on(async {
            let mut client = match copy.client.take() {
                Some(client) => client,
                None => source.dialer.connect().await?,
            };
            Ok(client.metadata(&source.name, kind).await?)
        });
        match commands {
            Ok(commands) => Ok(Some(tools::metadata_script(&commands).into_bytes())),
            Err(error @ BackupError::Interrupted(_)) => Err(error),
            Err(error) => {
                let rest = if earlier.is_some() { "; the earlier script is kept" } else { "" };
                self.warn(format!("Error in execution of get metadata, it will be ignored: {error}{rest}"));
                Ok(earlier)
            }
        }
    }

    /// Puts the copy at its place.
    fn publish(&self, source: &Source, target: &Target, copy: &FullCopy) -> Result<(), BackupError> {
        let switched = target.switch(&copy.work, &source.store_id).map_err(|error| BackupError::Switch {
            work: copy.work.clone(),
            location: target.location().to_owned(),
            source: Box::new(error),
        })?;
        match switched {
            Switched::Clean => {}
            Switched::Kept(path) => {
                self.warn(format!(
                    "What was at '{}' is now '{}'",
                    target.location().display(),
                    path.display()
                ));
            }
            Switched::Stuck { path, error } => self.warn(format!(
                "The old backup is replaced, but what is left of it stays at '{}', delete it: {error}",
                path.display()
            )),
        }
        Ok(())
    }

    /// A failed copy is of no use to anybody. One that a signal has ended stays: deleting it may take longer than
    /// whoever sent the signal waits.
    fn give_up(&self, target: &Target, work: &Path, error: &BackupError) {
        if let BackupError::Interrupted(_) = error {
            self.warn(format!("The unfinished copy stays at '{}'", work.display()));
            return;
        }
        if let Err(error) = target.discard(work) {
            self.warn(format!(
                "The unfinished copy '{}' could not be deleted, delete it: {error}",
                work.display()
            ));
        }
    }

    /// Waits for the network, or for the user's wish to end the run.
    pub(super) fn block_on<T>(
        &self,
        work: impl Future<Output = Result<T, BackupError>>,
    ) -> Result<T, BackupError> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                signal = self.stop.wait() => Err(BackupError::Interrupted(signal)),
                result = work => result,
            }
        })
    }

    pub(super) fn warn(&self, text: String) {
        self.progress.report(&Event::Warning(text));
    }
}

/// The name of a database's directory. Names come from servers, too.
fn directory_name(database: &str) -> Result<String, BackupError> {
    match Selection::parse(database) {
        Ok(Selection::Name(name)) if !name.starts_with('.') => Ok(name.to_lowercase()),
        _ => Err(BackupError::DatabaseName(database.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_cannot_lead_out_of_the_backup_directory() {
        assert_eq!(directory_name("Neo4J.a-1").unwrap(), "neo4j.a-1");
        for name in ["..", ".", ".neo4j.lock", "../etc", "a/b", "a\0b", "", "*"] {
            assert!(matches!(directory_name(name), Err(BackupError::DatabaseName(_))), "{name:?}");
        }
    }
}
