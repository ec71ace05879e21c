//! The backup of one database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;

use super::changing::Changing;
use super::check::{CheckSettings, CheckStage, Checked};
use super::copy_state::{CopyState, Received};
use super::full::{CopySettings, Copying};
use super::incremental::{self, Point};
use super::manifest::{Facts, Kind, Manifest, Origin};
use super::plan::{self, Plan};
use super::progress::{Event, Progress};
use super::recover::{RecoverySettings, Stage};
use super::resume::Unfinished;
use super::selection::Selection;
use super::source::Source;
use super::stop::Stop;
use super::target::{Existing, LeftContent, Leftover, Switched, Target};
use super::{BackupError, story};
use crate::catchup::message::MetadataKind;
use crate::catchup::{CatchupError, Client, Dialer};
use crate::io::disk::{Disk, DiskError, SharedDisk};
use crate::io::force;
use crate::recovery;
use crate::store::id::TransactionId;
use crate::store::layout::{self, DatabaseLayout};
use crate::store::tools;

/// What is asked for, the same for all databases of a command.
#[derive(Clone)]
pub struct Job {
    /// The only way to change files.
    pub disk: SharedDisk,
    /// Real path of the directory that holds the backups.
    pub backup_dir: PathBuf,
    /// Where the databases are: the first server that has one is taken.
    pub servers: Vec<Dialer>,
    /// How a copy is made.
    pub settings: CopySettings,
    /// How the backup is recovered; `None`: its transactions stay unapplied.
    pub recovery: Option<RecoverySettings>,
    /// How it is checked then; `None`: it is not.
    pub check: Option<CheckSettings>,
    /// Version of this program, for the manifest.
    pub tool_version: &'static str,
    /// When a full copy may replace a backup that can't be continued.
    pub fallback: Fallback,
    /// Whether an unfinished copy is continued, and kept when it fails.
    pub resume: bool,
    /// Whether what earlier runs left beside a backup is deleted if it is of no use.
    pub cleanup: bool,
    /// Which commands to save, if any.
    pub metadata: Option<MetadataKind>,
    /// Hears what happens.
    pub progress: Arc<dyn Progress>,
    /// Runs the network.
    pub runtime: tokio::runtime::Handle,
    /// Ends the run early.
    pub stop: Stop,
}

/// When a full copy may replace a backup that can't be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Never.
    Never,
    /// When it helps against the reason.
    IfItHelps,
    /// Whatever the reason, as Neo4j's own tool has it.
    Always,
}

/// One database in work.
#[derive(Clone, Copy)]
struct Run<'a> {
    source: &'a Source,
    target: &'a Target,
    started: OffsetDateTime,
}

/// What a run has brought.
struct Brought {
    kind: Kind,
    /// The first transaction that was asked for, and the one that the logs must reach.
    first: TransactionId,
    required: Option<TransactionId>,
    /// Bytes of files and transactions.
    bytes: u64,
}

/// The database whose users and roles are those of all others.
const SYSTEM: &str = "system";

impl Brought {
    fn by_copy(received: Received, bytes: u64) -> Self {
        Self { kind: Kind::Full, first: received.first(), required: received.required(), bytes }
    }
}

impl Job {
    /// Backs up one database, `name` as the user or the server wrote it. Returns where the backup is.
    ///
    /// On error the earlier backup is what it was before or goes further, unless the error says that the copy could not
    /// be moved. That the check found something, or did not come to its end, is an error, too; then the first copy, and
    /// a backup that was continued, is at its place all the same.
    pub fn back_up(&self, name: &str) -> Result<PathBuf, BackupError> {
        let began = Instant::now();
        let result = self.stages(name, OffsetDateTime::now_utc());
        self.progress.report(&Event::DatabaseFinished { took: began.elapsed() });
        result
    }

    /// The way of the data, from the server to its place.
    fn stages(&self, name: &str, started: OffsetDateTime) -> Result<PathBuf, BackupError> {
        let (source, client) = self.identify(name)?;
        let directory = directory_name(name)?;
        let target = Target::lock(self.disk.clone(), &self.backup_dir, &directory)?;
        let unfinished = self.tidy(&source, &target)?;
        let run = Run { source: &source, target: &target, started };
        let planned =
            plan::decide(&source, &target).or_else(|error| self.fall_back(error).map(Plan::Replace))?;
        let checked = match planned {
            Plan::First => self.copy(&run, Some(client), unfinished)?,
            Plan::Replace(reason) => {
                self.announce(&self.fall_back(reason)?, &target)?;
                self.copy(&run, Some(client), unfinished)?
            }
            Plan::Continue(point) => match self.update(&run, client, &point) {
                Ok(checked) => {
                    self.pass_over(unfinished, &target);
                    checked
                }
                Err(error) => {
                    self.announce(&self.fall_back(error)?, &target)?;
                    self.copy(&run, None, unfinished)?
                }
            },
        };
        checked.into_result()?;
        Ok(target.location().to_owned())
    }

    /// Asks a server for the ids. Nothing local is touched before they are known.
    fn identify(&self, name: &str) -> Result<(Source, Client), BackupError> {
        let identified =
            Source::identify(&self.servers, name, |server, error| self.passed_over(server, error));
        let (source, client) = self.block_on(identified)?;
        if self.servers.len() > 1 {
            let text = format!("Database '{name}' is read from {}", source.dialer);
            self.progress.report(&Event::Notice(text));
        }
        Ok((source, client))
    }

    pub(super) fn passed_over(&self, server: &Dialer, error: &CatchupError) {
        self.warn(format!("{server} is passed over, the next server is tried: {}", story(error)));
    }

    /// Completes the switch of an interrupted run, and names or deletes what others left. Returns the copy that can be
    /// continued if a full one is needed.
    fn tidy(&self, source: &Source, target: &Target) -> Result<Option<Leftover>, BackupError> {
        if let Some(from) = target.finish_switch(source.database)? {
            self.warn(format!(
                "The finished copy '{}' of an interrupted run has been moved to '{}'",
                from.display(),
                target.location().display()
            ));
        }
        target.remove_empty()?;
        let mut newest = None;
        for left in target.leftovers()? {
            match &left.content {
                LeftContent::Unfinished(state)
                    if state.is_resumable() && state.is_of(source.database, &source.store_id) =>
                {
                    if let Some(older) = newest.replace(left) {
                        self.sort_out(&older, target);
                    }
                }
                _ => self.sort_out(&left, target),
            }
        }
        Ok(newest)
    }

    /// Names what is of no use, or deletes it if that is wished.
    fn sort_out(&self, left: &Leftover, target: &Target) {
        let path = left.path.display();
        let content = match left.content {
            LeftContent::Finished => "a finished copy that is not in use",
            LeftContent::Unfinished(_) | LeftContent::Unknown => "an unfinished copy",
        };
        if !self.cleanup {
            self.warn(format!(
                "'{path}' was left by an earlier run: {content}, delete it (--cleanup does that)"
            ));
            return;
        }
        match target.discard(&left.path) {
            Ok(()) => {
                self.warn(format!("'{path}' was left by an earlier run: {content}, which has been deleted"));
            }
            Err(error) => self.warn(format!(
                "'{path}' was left by an earlier run: {content}, delete it, which this run could not: {error}"
            )),
        }
    }

    /// An unfinished copy that was not needed.
    fn pass_over(&self, unfinished: Option<Leftover>, target: &Target) {
        if let Some(left) = unfinished {
            self.sort_out(&left, target);
        }
    }

    /// The error, if a full copy may be the answer to it.
    fn fall_back(&self, error: BackupError) -> Result<BackupError, BackupError> {
        let allowed = match self.fallback {
            Fallback::Never => false,
            Fallback::IfItHelps => plan::is_cured_by_full_copy(&error),
            // Somebody else at work, or the user, is no failure.
            Fallback::Always => !matches!(
                error,
                BackupError::Interrupted(_) | BackupError::AnotherRun { .. } | BackupError::InUse { .. }
            ),
        };
        if allowed { Ok(error) } else { Err(error) }
    }

    /// Says that a full copy takes the place of a backup, and why. It takes about as much room as the last one.
    fn announce(&self, reason: &BackupError, target: &Target) -> Result<(), BackupError> {
        self.warn(format!("A full copy is made: {}", story(reason)));
        if let Existing::Backup { size, .. } = target.existing()? {
            let available = self.disk.available(target.parent())?;
            if available < size {
                self.warn(format!(
                    "The backup at '{}' takes {size} bytes, and {available} are free for the copy beside it: it will \
                     probably not fit",
                    target.location().display()
                ));
            }
        }
        Ok(())
    }

    /// Brings the backup up to date where it is.
    fn update(&self, run: &Run<'_>, client: Client, point: &Point) -> Result<Checked, BackupError> {
        let Run { source, target, .. } = *run;
        let location = target.location();
        let changing = Arc::new(Changing::of(target, &self.disk)?);
        let begin = {
            let changing = changing.clone();
            Box::new(move || changing.begin())
        };
        let disk = changing.disk();
        let pulled = incremental::pull(client, source, point, &disk, self.settings, &self.progress, begin);
        let mut pulled = self.block_on(pulled)?;
        let script = self.metadata_script(source, &mut pulled.client, target)?;
        if let Some(script) = script.filter(|script| !is_kept(location, script)) {
            changing.begin()?;
            write_tool(&disk, location, |disk| tools::write_metadata_script(disk, location, &script))?;
        }
        if tools::read_database_id(location).is_none() {
            changing.begin()?;
            write_tool(&disk, location, |disk| {
                tools::write_database_id(disk, location, source.database)?.sync()
            })?;
        }
        if self.recovery.is_some() && recovery::reason(&DatabaseLayout::flat(location))?.is_some() {
            changing.begin()?;
        }
        self.recover(disk, location, changing.required())?;
        let checked = self.check(location)?;
        let earlier = changing.facts();
        let first = earlier.map(|facts| TransactionId(facts.first_transaction));
        let brought = Brought {
            kind: Kind::Incremental,
            first: first.unwrap_or(point.last().next()),
            required: changing.required(),
            bytes: pulled.bytes,
        };
        let unchanged = pulled.transactions.is_none() && earlier.is_some_and(|facts| facts.recovered);
        let recovered = self.recovery.is_some() || unchanged;
        let result = match (&checked, earlier) {
            (Checked::No, Some(earlier)) if unchanged => earlier.checked,
            _ => checked.result(),
        };
        changing.end(&self.origin(run, &brought)?, recovered, result, threads(), &self.stop)?;
        Ok(checked)
    }

    /// Applies the transactions of a backup to its store files, if that is wanted and needed.
    fn recover(
        &self,
        disk: SharedDisk,
        directory: &Path,
        required: Option<TransactionId>,
    ) -> Result<(), BackupError> {
        let Some(settings) = self.recovery else { return Ok(()) };
        let stage = Stage {
            disk,
            settings,
            progress: self.progress.clone(),
            runtime: self.runtime.clone(),
            stop: self.stop.clone(),
        };
        stage.recover(directory, required).map(drop)
    }

    /// Checks a backup that was recovered, if that is wanted.
    fn check(&self, directory: &Path) -> Result<Checked, BackupError> {
        let (Some(settings), Some(_)) = (&self.check, self.recovery) else { return Ok(Checked::No) };
        let Self { disk, progress, runtime, stop, .. } = self;
        CheckStage { disk, settings, progress, runtime, stop }.check(directory)
    }

    fn origin(&self, run: &Run<'_>, brought: &Brought) -> Result<Origin, BackupError> {
        let source = run.source;
        Ok(Origin {
            database: directory_name(&source.name)?,
            database_id: source.database,
            store_id: source.store_id,
            server: source.dialer.to_string(),
            protocol: source.protocol.to_string(),
            tool_version: self.tool_version,
            kind: brought.kind,
            first_transaction: brought.first,
            required_transaction: brought.required,
            started: run.started,
            bytes_received: brought.bytes,
        })
    }

    /// Makes a full copy, or completes one, and puts it at the place of the backup.
    fn copy(
        &self,
        run: &Run<'_>,
        mut client: Option<Client>,
        unfinished: Option<Leftover>,
    ) -> Result<Checked, BackupError> {
        if let Some(left) = unfinished {
            if self.resume {
                let finished = self.continue_copy(run, client.take(), &left);
                match self.or_discard(run.target, &left.path, finished) {
                    Err(reason @ BackupError::NotResumable { .. }) => {
                        self.warn(format!("{reason}; a new copy is made"));
                    }
                    result => return result,
                }
            }
            self.sort_out(&left, run.target);
        }
        let work = run.target.create_work()?;
        let finished = self.new_copy(run, client, &work);
        self.or_discard(run.target, &work, finished)
    }

    fn new_copy(&self, run: &Run<'_>, client: Option<Client>, work: &Path) -> Result<Checked, BackupError> {
        let copying = self.copying(run.source, work);
        let copy = self.block_on(async {
            let client = run.source.open(client).await?;
            copying.start(client).await
        })?;
        self.complete(run, work, copy.client, &Brought::by_copy(copy.received, copy.bytes))
    }

    /// Goes on with a copy where it was left: with its files, or with the transactions behind it.
    fn continue_copy(
        &self,
        run: &Run<'_>,
        client: Option<Client>,
        left: &Leftover,
    ) -> Result<Checked, BackupError> {
        let LeftContent::Unfinished(state) = &left.content else { return Ok(Checked::No) };
        let (work, source) = (&left.path, run.source);
        let Some(received) = state.received else {
            let unfinished = Unfinished::examine(work, (**state).clone())?;
            let text = format!(
                "The unfinished copy '{}' is continued, {} files of it are complete",
                work.display(),
                unfinished.kept()
            );
            self.progress.report(&Event::Notice(text));
            let copying = self.copying(source, work);
            let copy = self.block_on(async {
                let client = source.open(client).await?;
                copying.resume(client, unfinished).await
            })?;
            return self.complete(run, work, copy.client, &Brought::by_copy(copy.received, copy.bytes));
        };
        let useless = |error: BackupError| {
            if plan::is_cured_by_full_copy(&error) {
                BackupError::NotResumable { work: work.clone(), reason: story(&error) }
            } else {
                error
            }
        };
        let point = Point::find(work).map_err(useless)?;
        let text = format!(
            "The copy '{}' is complete up to transaction {}, and is continued",
            work.display(),
            point.last()
        );
        self.progress.report(&Event::Notice(text));
        let pulled = self.block_on(async {
            let client = source.open(client).await?;
            let begin = Box::new(|| Ok(()));
            incremental::pull(client, source, &point, &self.disk, self.settings, &self.progress, begin).await
        });
        let pulled = pulled.map_err(useless)?;
        self.complete(run, work, pulled.client, &Brought::by_copy(received, pulled.bytes))
    }

    fn copying<'a>(&'a self, source: &'a Source, work: &'a Path) -> Copying<'a> {
        Copying {
            source,
            work,
            disk: &self.disk,
            settings: self.settings,
            resumable: self.resume,
            progress: &self.progress,
        }
    }

    /// Makes a backup of a copy and puts it at its place. That it is an unfinished one is taken back at the end, after
    /// everything is on the medium.
    fn complete(
        &self,
        run: &Run<'_>,
        work: &Path,
        mut client: Option<Client>,
        brought: &Brought,
    ) -> Result<Checked, BackupError> {
        let Run { source, target, .. } = *run;
        if let Some(script) = self.metadata_script(source, &mut client, target)? {
            write_tool(&self.disk, work, |disk| tools::write_metadata_script(disk, work, &script))?;
        }
        self.recover(self.disk.clone(), work, brought.required)?;
        let checked = self.check(work)?;
        let id = tools::write_database_id(&*self.disk, work, source.database)?;
        let mut facts = Facts::of(work, &self.origin(run, brought)?, self.recovery.is_some())?;
        facts.checked = checked.result();
        let manifest = Manifest::of(work, facts, threads(), &self.stop)?.write_beside(&*self.disk, work)?;
        force::each([id, manifest], |file| file.sync())?;
        Manifest::take_place(&*self.disk, work)?;
        CopyState::remove(&*self.disk, work)?;
        self.disk.sync_dir(&work.join(layout::TOOLS))?;
        if checked.is_good() || matches!(target.existing()?, Existing::Nothing) {
            self.publish(source, target, work)?;
        } else {
            self.warn(format!(
                "The copy stays at '{}', and '{}' is as it was",
                work.display(),
                target.location().display()
            ));
        }
        Ok(checked)
    }

    /// After a failure the copy stays if the next run can go on with it, else it is deleted.
    fn or_discard<T>(
        &self,
        target: &Target,
        work: &Path,
        result: Result<T, BackupError>,
    ) -> Result<T, BackupError> {
        let Err(error) = &result else { return result };
        if matches!(error, BackupError::Switch { .. } | BackupError::NotResumable { .. }) {
            return result;
        }
        let state = CopyState::read(work);
        if self.resume
            && error.leaves_copy_usable()
            && matches!(state, Ok(Some(state)) if state.is_resumable())
        {
            self.warn(format!(
                "The unfinished copy '{}' stays, the next run can continue it",
                work.display()
            ));
        } else {
            self.discard(target, work);
        }
        result
    }

    /// The script for the backup: a new one if it was asked for and can be had; for a new copy else that of the backup
    /// which the copy replaces.
    fn metadata_script(
        &self,
        source: &Source,
        client: &mut Option<Client>,
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
            let mut client = source.open(client.take()).await?;
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
    fn publish(&self, source: &Source, target: &Target, work: &Path) -> Result<(), BackupError> {
        let switched = target.switch(work, &source.store_id).map_err(|error| BackupError::Switch {
            work: work.to_owned(),
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

    fn discard(&self, target: &Target, work: &Path) {
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

/// Threads for checksums.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// Writes a file of the folder `tools` of a backup, which is made if it is missing.
fn write_tool(
    disk: &SharedDisk,
    backup: &Path,
    write: impl FnOnce(&dyn Disk) -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let folder = backup.join(layout::TOOLS);
    if !folder.is_dir() {
        disk.create_dir(&folder)?;
        disk.sync_dir(backup)?;
    }
    write(&**disk)?;
    disk.sync_dir(&folder)
}

/// Whether a backup has this script of commands.
fn is_kept(backup: &Path, script: &[u8]) -> bool {
    tools::read_metadata_script(backup).is_ok_and(|kept| kept.as_deref() == Some(script))
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
