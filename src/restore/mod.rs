//! The way back: the files of a backup become a database of an installation.
//!
//! A database of an installation lies in two directories, store and logs, perhaps on two file systems, and no step of a
//! file system changes both. What makes a stop at any moment harmless:
//!
//! 1. Both new directories are made beside their places and forced. The last file of the store is `quarantine_marker`,
//!    with which Neo4j Enterprise starts no database; the Community Edition does not know it. Until here the old database
//!    is as it was.
//! 2. The old logs go aside, the new store takes its place in one step, then the new logs do. A stop in between leaves a
//!    store without logs, which no edition starts, with everything of old and new still on the disk.
//! 3. With `move` the backup is deleted. Then the marker goes: the database is restored.
//! 4. The old directories are deleted.
//!
//! The next run for the same database finishes what an earlier one has begun with step 2, and throws away what did not
//! get there. Specification: command line 6.3.

mod files;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::place::{Place, Places};
use crate::backup::stop::{Signal, Stop};
use crate::io::disk::{Disk, DiskError, SharedDisk};
use crate::io::filesystem::remove_tree;
use crate::io::lock::{FileLock, LockError};
use crate::store::layout::DatabaseLayout;
use crate::store::tools::METADATA_SCRIPT_FILE;

/// Why a backup was not restored. The texts are those of Neo4j's tool where it has one.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Nothing is there.
    #[error("Source directory does not exist [{}]", .0.display())]
    NoSource(PathBuf),
    /// Something else is there.
    #[error("Source directory is not a database backup [{}]", .0.display())]
    NoBackup(PathBuf),
    /// It would replace a database.
    #[error("Database with name [{database}] already exists at {}", directory.display())]
    Exists {
        /// Name of the database.
        database: String,
        /// Its directory.
        directory: PathBuf,
    },
    /// A member of a cluster still knows the database.
    #[error(
        "Database with name [{0}] already exists locally. Please run `DROP DATABASE {0}` against the system database. If the database already is dropped, then you need to unbind the local instance using `neo4j-admin unbind`. Note that unbind requires stopping the instance, and affects all databases."
    )]
    InCluster(String),
    /// Somebody has it open.
    #[error("The database is in use. Stop database '{0}' and try again.")]
    InUse(String),
    /// It can't be locked.
    #[error("You do not have permission to restore database.")]
    NoPermission(#[source] DiskError),
    /// Another run restores the same database, or takes a backup of the source.
    #[error("Another run is working on '{}'{}.", location.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    AnotherRun {
        /// What it is working on.
        location: PathBuf,
        /// Who, as far as the system tells.
        holder: Option<i32>,
    },
    /// Source and place are the same, or one lies in the other.
    #[error("'{}' can not be restored to '{}': one lies in the other", source_directory.display(), target.display())]
    Nested {
        /// The backup.
        source_directory: PathBuf,
        /// Where it should go.
        target: PathBuf,
    },
    /// Something that is neither file nor directory.
    #[error("'{}' is neither a file nor a directory, and can not be restored", .0.display())]
    OddFile(PathBuf),
    /// There is no room.
    #[error("'{}' needs {needed} bytes and {available} are free at '{}'", source_directory.display(), target.display())]
    NoRoom {
        /// The backup.
        source_directory: PathBuf,
        /// Where it should go.
        target: PathBuf,
        /// Bytes of the backup.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The user ended the run.
    #[error("interrupted by {0}")]
    Interrupted(Signal),
    /// The file system.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A backup that is to be restored.
#[derive(Debug)]
pub struct Restore {
    /// The only way to change files.
    pub disk: SharedDisk,
    /// Directory of the backup: store and logs together.
    pub source: PathBuf,
    /// Name of the database, in lower case.
    pub database: String,
    /// Where its store and its logs will be.
    pub target: DatabaseLayout,
    /// State of the members of a cluster; a directory for each database that this machine has a part of.
    pub cluster_state: PathBuf,
    /// Whether a database of the name may be replaced.
    pub force: bool,
    /// Whether the backup is to be gone afterwards.
    pub moving: bool,
    /// Ends the run early.
    pub stop: Stop,
}

/// A restored backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// A script that is still to be executed, for users and roles.
    pub metadata_script: Option<PathBuf>,
    /// What an operator should know.
    pub remarks: Vec<String>,
}

impl Restore {
    /// Restores. On error the database of the name is as it was, or can't be opened until the same command is run again.
    pub fn run(&self) -> Result<Restored, RestoreError> {
        let places = Places::new(&self.target, &self.database);
        for place in places.all() {
            create_directories(&*self.disk, place.parent())?;
        }
        let _restoring = self.lock(&places.store.lock())?;
        let mut remarks = Vec::new();
        if let Some(earlier) = self.finish_earlier(&places)? {
            remarks.push(format!("an interrupted restore of '{}' was brought to its end", earlier.display()));
            if earlier == self.source && (!self.force || !exists(&self.source)?) {
                return Ok(self.restored(remarks));
            }
        }
        self.check_source()?;
        let _source = self.lock_source()?;
        let _target = self.check_target()?;
        let staged = self.stage(&places);
        if staged.is_err() {
            // The old database and the backup are what they were.
            self.clean_up(&places)?;
        }
        staged?;
        let aside = places.logs().map_or(Ok(()), |logs| logs.set_aside(&*self.disk));
        if let Err(error) = aside.and_then(|()| places.store.switch(&*self.disk)) {
            if !places.store.is_between() {
                self.step_back(&places)?;
            }
            return Err(error.into());
        }
        if let Some(logs) = places.logs() {
            logs.put_in_place(&*self.disk)?;
        }
        if self.moving {
            self.remove_backup(&self.source)?;
        }
        self.unmark(&places)?;
        self.clean_up(&places)?;
        Ok(self.restored(remarks))
    }

    fn restored(&self, remarks: Vec<String>) -> Restored {
        let script = self.target.database.join(METADATA_SCRIPT_FILE);
        Restored { metadata_script: script.is_file().then_some(script), remarks }
    }

    /// Keeps other runs for the same database away.
    fn lock(&self, path: &Path) -> Result<FileLock, RestoreError> {
        self.disk.lock(path).map_err(|error| match error {
            LockError::Held { holder, .. } => {
                RestoreError::AnotherRun { location: self.target.database.clone(), holder }
            }
            LockError::Disk(error) => RestoreError::NoPermission(error),
        })
    }

    fn check_source(&self) -> Result<(), RestoreError> {
        if !self.source.is_dir() {
            return Err(RestoreError::NoSource(self.source.clone()));
        }
        if !DatabaseLayout::flat(&self.source).neostore().is_file() {
            return Err(RestoreError::NoBackup(self.source.clone()));
        }
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let source = real(&self.source);
        for target in [&self.target.database, &self.target.logs] {
            let place = real(target);
            if place.starts_with(&source) || source.starts_with(&place) {
                let source_directory = self.source.clone();
                return Err(RestoreError::Nested { source_directory, target: target.clone() });
            }
        }
        Ok(())
    }

    /// Keeps a backup run from changing the source meanwhile. A source that can't be written needs no lock.
    fn lock_source(&self) -> Result<Option<FileLock>, RestoreError> {
        let (Some(parent), Some(name)) = (self.source.parent(), self.source.file_name()) else {
            return Ok(None);
        };
        let lock = parent.join(format!(".{}.lock", name.to_string_lossy()));
        match FileLock::acquire_existing(&lock) {
            Err(LockError::Held { holder, .. }) => {
                Err(RestoreError::AnotherRun { location: self.source.clone(), holder })
            }
            Ok(lock) => Ok(lock),
            Err(LockError::Disk(_)) => Ok(None),
        }
    }

    /// Whether the place is free or may be taken; keeps Neo4j from opening what lies there.
    fn check_target(&self) -> Result<Option<FileLock>, RestoreError> {
        for directory in [&self.target.database, &self.target.logs] {
            if !self.force && exists(directory)? {
                let (database, directory) = (self.database.clone(), directory.clone());
                return Err(RestoreError::Exists { database, directory });
            }
        }
        if exists(&self.cluster_state.join("db").join(&self.database))? {
            return Err(RestoreError::InCluster(self.database.clone()));
        }
        if !exists(&self.target.database)? {
            return Ok(None);
        }
        match self.disk.lock(&self.target.lock()) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held { .. }) => Err(RestoreError::InUse(self.database.clone())),
            Err(LockError::Disk(error)) => Err(RestoreError::NoPermission(error)),
        }
    }

    /// Makes the new directories beside their places, and forces them.
    fn stage(&self, places: &Places) -> Result<(), RestoreError> {
        let files = files::list(&self.source)?;
        let mut copier = files::Copier::new(&*self.disk, &self.source, self.moving, &self.stop);
        for place in places.all() {
            self.disk.create_dir(&place.beside())?;
        }
        for place in places.all() {
            let here = || files.iter().filter(|file| std::ptr::eq(places.of(file.is_log()), place));
            let needed = here().map(|file| file.size).sum();
            let available = self.disk.available(place.parent())?;
            // Whether links can be made, which need no room, shows only when they are made.
            if available < needed && !self.moving {
                let (source_directory, target) = (self.source.clone(), place.directory().to_owned());
                return Err(RestoreError::NoRoom { source_directory, target, needed, available });
            }
            for file in here() {
                copier.copy(file, &place.beside())?;
            }
            copier.force_directories()?;
            self.disk.sync_dir(&place.beside())?;
        }
        for place in places.all().rev() {
            place.mark(&*self.disk, &self.source)?;
            self.disk.sync_dir(place.parent())?;
        }
        Ok(())
    }

    /// Brings an earlier run to its end if it had begun to switch, or removes what is left of it. Returns what it had
    /// restored.
    fn finish_earlier(&self, places: &Places) -> Result<Option<PathBuf>, RestoreError> {
        places.store.finish_switch(&*self.disk)?;
        let mut restored = Place::marked_with(places.store.directory())?;
        if restored.is_none() && places.logs().is_some_and(Place::is_between) {
            // The old logs had gone aside, and the store had not been switched yet.
            restored = Place::marked_with(&places.store.beside())?;
        }
        if let Some(source) = &restored {
            for place in places.all() {
                if Place::marked_with(place.directory())?.is_none()
                    && Place::marked_with(&place.beside())?.is_some()
                {
                    place.put_in_place(&*self.disk)?;
                }
                place.finish_switch(&*self.disk)?;
            }
            // A backup that was to be moved still shares its files with the database, which will change them.
            if files::share_a_file(source, &self.target.database) {
                self.remove_backup(source)?;
            } else {
                self.remove_moved(source)?;
            }
            self.unmark(places)?;
            self.clean_up(places)?;
        } else {
            self.step_back(places)?;
        }
        Ok(restored)
    }

    /// Leaves the old database as it was.
    fn step_back(&self, places: &Places) -> Result<(), RestoreError> {
        if let Some(logs) = places.logs() {
            logs.take_back(&*self.disk)?;
        }
        self.clean_up(places)
    }

    /// Deletes a backup, first its name: half a backup must not look like one.
    fn remove_backup(&self, source: &Path) -> Result<(), RestoreError> {
        self.disk.rename(source, &moved(source))?;
        self.remove_moved(source)
    }

    /// Deletes what an earlier run has left of a backup that it had begun to delete.
    fn remove_moved(&self, source: &Path) -> Result<(), RestoreError> {
        let moved = moved(source);
        if moved.exists() {
            remove_tree(&*self.disk, &moved)?;
            if let Some(parent) = moved.parent() {
                self.disk.sync_dir(parent)?;
            }
        }
        Ok(())
    }

    /// Makes the restored database usable. The store is the last: until then Neo4j doesn't open it.
    fn unmark(&self, places: &Places) -> Result<(), RestoreError> {
        places.all().rev().try_for_each(|place| place.unmark(&*self.disk))
    }

    /// Deletes what lies beside the places: old databases and unfinished new ones.
    fn clean_up(&self, places: &Places) -> Result<(), RestoreError> {
        for place in places.all() {
            if place.beside().exists() {
                remove_tree(&*self.disk, &place.beside())?;
                self.disk.sync_dir(place.parent())?;
            }
        }
        Ok(())
    }
}

/// Where a backup is while it is deleted.
fn moved(source: &Path) -> PathBuf {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    source.with_file_name(format!(".{name}.moved"))
}

/// Creates a directory and those above it.
fn create_directories(disk: &dyn Disk, directory: &Path) -> Result<(), RestoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        create_directories(disk, parent)?;
        disk.create_dir(directory)?;
        disk.sync_dir(parent)?;
    }
    Ok(())
}

/// Whether there is anything but an empty directory.
fn exists(path: &Path) -> Result<bool, DiskError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut entries = fs::read_dir(path).map_err(|source| DiskError::new("list", path, source))?;
            Ok(entries.next().is_some())
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(DiskError::new("examine", path, source)),
    }
}
