//! The directories of one database below the backup directory: the backup, its lock, the copy in progress beside it,
//! and the switch from one to the other.
//!
//! | Entry          | What it is                                                          |
//! |----------------|---------------------------------------------------------------------|
//! | `<name>`       | the backup                                                          |
//! | `<name>.tmp.N` | a full copy in progress, or what an interrupted run left of one     |
//! | `<name>.err.N` | what lay at `<name>` and was replaced by a copy of another store     |
//! | `.<name>.lock` | locked by the run that works on `<name>`; never deleted             |
//!
//! A full copy always grows beside the backup and takes its place in one step, so that there is no moment without a
//! backup. A copy is finished when it has a manifest, which is written after everything else is on the medium, and has
//! `tools/copy-state.toml` no more, which is there from its first moment on. Specification: command line 4.2, 4.7, 4.11.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::BackupError;
use super::copy_state::{COPY_STATE_FILE, CopyState, StateError};
use super::manifest::{CheckResult, MANIFEST_FILE, Manifest};
use crate::io::disk::{DiskError, SharedDisk};
use crate::io::filesystem::{remove_tree, size_below};
use crate::io::lock::{FileLock, LockError};
use crate::store::id::{DatabaseId, StoreId};
use crate::store::layout::{self, DATABASE_LOCK};
use crate::store::neostore::Neostore;
use crate::store::tools::read_database_id;

/// The place of one database's backup, locked against other runs.
#[derive(Debug)]
pub struct Target {
    disk: SharedDisk,
    /// Where the backup is, or will be.
    location: PathBuf,
    /// Directory and name that the siblings are made of; not those of a symbolic link at the backup's place.
    parent: PathBuf,
    base: String,
    /// Held as long as the run works on this database.
    _lock: FileLock,
    /// `database_lock` of an existing backup: keeps Neo4j's own tools off.
    database_lock: Option<FileLock>,
}

/// The lock of a database, taken before the first change of its files and held until this is dropped.
#[derive(Debug)]
pub struct DatabaseGuard {
    disk: SharedDisk,
    path: PathBuf,
    taken: Mutex<(bool, Option<FileLock>)>,
}

impl DatabaseGuard {
    /// Takes the lock, if that has not been done.
    pub fn take(&self) -> Result<(), BackupError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if !taken.0 {
            let lock = self.disk.lock(&self.path).map_err(|error| match error {
                LockError::Held { path, holder } => BackupError::InUse { path, holder },
                LockError::Disk(error) => error.into(),
            })?;
            *taken = (true, Some(lock));
        }
        Ok(())
    }
}

/// What lies at the place of the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing, or an empty directory.
    Nothing,
    /// Something without a `neostore`.
    Foreign,
    /// An earlier backup.
    Backup {
        /// Its store id; `None` if its `neostore` can't be read.
        store_id: Option<StoreId>,
        /// Its database id; backups of Neo4j 4.0 and 4.1 have none.
        database_id: Option<DatabaseId>,
        /// Bytes of all its files.
        size: u64,
    },
}

/// What an earlier run left beside the backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The directory.
    pub path: PathBuf,
    /// What is in it.
    pub content: LeftContent,
}

/// What is in a directory that an earlier run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftContent {
    /// A complete copy.
    Finished,
    /// A part of one, with its state.
    Unfinished(Box<CopyState>),
    /// A part of one that nothing is known of.
    Unknown,
}

/// Where the old content went when a new copy took its place.
#[derive(Debug)]
pub enum Switched {
    /// There was none, or it was a backup of the same store and is deleted.
    Clean,
    /// It was something else and lies there now.
    Kept(PathBuf),
    /// It should have been deleted or renamed. The new backup is at its place all the same.
    Stuck {
        /// Where the old content is.
        path: PathBuf,
        /// Why.
        error: DiskError,
    },
}

impl Target {
    /// Locks the place of a database. `backup_dir` is a real path, `database` a name in lower case.
    pub fn lock(disk: SharedDisk, backup_dir: &Path, database: &str) -> Result<Self, BackupError> {
        let named = backup_dir.join(database);
        let is_link = std::fs::symlink_metadata(&named).is_ok_and(|metadata| metadata.is_symlink());
        let location = if is_link {
            named.canonicalize().map_err(|source| DiskError::new("resolve", &named, source))?
        } else {
            named
        };
        let (parent, base) = match (location.parent(), location.file_name().and_then(|name| name.to_str())) {
            (Some(parent), Some(base)) => (parent.to_owned(), base.to_owned()),
            _ => (backup_dir.to_owned(), database.to_owned()),
        };
        let lock = disk.lock(&backup_dir.join(format!(".{database}.lock"))).map_err(|error| match error {
            LockError::Held { holder, .. } => BackupError::AnotherRun { location: location.clone(), holder },
            LockError::Disk(error) => error.into(),
        })?;
        let database_lock = FileLock::acquire_existing(&location.join("database_lock"));
        let database_lock = match database_lock {
            Ok(lock) => lock,
            Err(LockError::Held { path, holder }) => return Err(BackupError::InUse { path, holder }),
            // No directory is there, or one that can't be written: nobody else can lock it either.
            Err(LockError::Disk(_)) => None,
        };
        Ok(Self { disk, location, parent, base, _lock: lock, database_lock })
    }

    /// Where the backup is, or will be.
    pub fn location(&self) -> &Path {
        &self.location
    }

    /// Keeps Neo4j's own tools off while files at the place are changed; `None`: that is done already.
    pub fn lock_database(&self) -> Result<Option<FileLock>, BackupError> {
        if self.database_lock.is_some() {
            return Ok(None);
        }
        match self.disk.lock(&self.location.join(DATABASE_LOCK)) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held { path, holder }) => Err(BackupError::InUse { path, holder }),
            Err(LockError::Disk(error)) => Err(error.into()),
        }
    }

    /// The same, when the first file is about to be changed.
    pub fn guard(&self) -> DatabaseGuard {
        let taken = self.database_lock.is_some();
        let path = self.location.join(DATABASE_LOCK);
        DatabaseGuard { disk: self.disk.clone(), path, taken: Mutex::new((taken, None)) }
    }

    /// Directory of the backup and of everything beside it.
    pub fn parent(&self) -> &Path {
        &self.parent
    }

    /// What lies at the place of the backup. Any entry at all makes a directory non-empty.
    pub fn existing(&self) -> Result<Existing, BackupError> {
        if is_free(&self.location)? {
            return Ok(Existing::Nothing);
        }
        let neostore = self.location.join("neostore");
        if !neostore.is_file() {
            return Ok(Existing::Foreign);
        }
        Ok(Existing::Backup {
            store_id: Neostore::read(&neostore).ok().and_then(|neostore| neostore.store_id().ok()),
            database_id: read_database_id(&self.location),
            size: size_below(&self.location)?,
        })
    }

    /// Moves a finished copy of the database to its place if nothing is there: an earlier run was stopped between the
    /// two steps of a switch. One that the check found inconsistent stays where it is. Returns where the copy was.
    pub fn finish_switch(&self, database: DatabaseId) -> Result<Option<PathBuf>, BackupError> {
        if !is_free(&self.location)? {
            return Ok(None);
        }
        let candidates = self.siblings("tmp")?;
        let Some((_, path)) = candidates
            .into_iter()
            .filter(|(_, path)| {
                is_finished(path) && read_database_id(path) == Some(database) && !is_inconsistent(path)
            })
            .max_by_key(|(number, _)| *number)
        else {
            return Ok(None);
        };
        self.disk.rename(&path, &self.location)?;
        self.disk.sync_dir(&self.parent)?;
        Ok(Some(path))
    }

    /// What earlier runs left, older versions' first, then by their numbers.
    pub fn leftovers(&self) -> Result<Vec<Leftover>, BackupError> {
        let mut left = self.siblings("temp")?;
        left.sort();
        let mut newer = self.siblings("tmp")?;
        newer.sort();
        left.extend(newer);
        let mut leftovers = Vec::new();
        for (_, path) in left {
            if !is_free(&path)? {
                let content = match CopyState::read(&path) {
                    Ok(Some(state)) => LeftContent::Unfinished(Box::new(state)),
                    Ok(None) if is_finished(&path) => LeftContent::Finished,
                    Ok(None) | Err(StateError::Unreadable { .. }) => LeftContent::Unknown,
                    Err(error) => return Err(error.into()),
                };
                leftovers.push(Leftover { path, content });
            }
        }
        Ok(leftovers)
    }

    /// Deletes the empty directories of copies that were stopped before their first or behind their last file.
    pub fn remove_empty(&self) -> Result<(), DiskError> {
        for (_, path) in self.siblings("tmp")? {
            if path.is_dir() && is_free(&path)? {
                self.disk.remove_dir(&path)?;
            }
        }
        Ok(())
    }

    /// Makes the directory of a full copy: the first `.tmp.N` that is free.
    pub fn create_work(&self) -> Result<PathBuf, BackupError> {
        let mut number = 0_u64;
        loop {
            let path = self.sibling("tmp", number);
            match std::fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.disk.create_dir(&path)?;
                    if let Err(error) = self.disk.sync_dir(&self.parent) {
                        // Nothing is in it, so nobody misses it; the error that counts is told.
                        let _ = self.disk.remove_dir(&path);
                        return Err(error.into());
                    }
                    return Ok(path);
                }
                _ if is_free(&path)? => return Ok(path),
                _ => number += 1,
            }
        }
    }

    /// Deletes the directory of a copy that failed, or of one that is left. What makes it a finished one goes first, so
    /// that the rest never passes for one, should this be stopped.
    pub fn discard(&self, work: &Path) -> Result<(), DiskError> {
        let manifest = work.join(MANIFEST_FILE);
        if manifest.exists() {
            self.disk.remove_file(&manifest)?;
            self.disk.sync_dir(&work.join(layout::TOOLS))?;
        }
        remove_tree(&*self.disk, work)
    }

    /// Puts a finished copy at the place of the backup. On error the copy is where it was, or already at its place.
    ///
    /// What lay there is deleted if it is a backup of the same store, else kept as `.err.N`.
    pub fn switch(&self, work: &Path, store_id: &StoreId) -> Result<Switched, BackupError> {
        let same_store = match self.existing()? {
            Existing::Nothing => {
                self.disk.rename(work, &self.location)?;
                self.disk.sync_dir(&self.parent)?;
                return Ok(Switched::Clean);
            }
            Existing::Foreign => false,
            Existing::Backup { store_id: old, .. } => old.as_ref() == Some(store_id),
        };
        // Nobody may begin to use the old backup from here on. It goes away, so the file does no harm there.
        let _database_lock = match &self.database_lock {
            Some(_) => None,
            None => match self.disk.lock(&self.location.join(DATABASE_LOCK)) {
                Err(LockError::Held { path, holder }) => return Err(BackupError::InUse { path, holder }),
                other => other.ok(),
            },
        };
        if self.disk.exchange(work, &self.location)? {
            self.disk.sync_dir(&self.parent)?;
            Ok(self.retire(work, same_store))
        } else {
            let aside = self.first_free("err")?;
            self.disk.rename(&self.location, &aside)?;
            if let Err(error) = self.disk.rename(work, &self.location) {
                // Back to where it was; if that fails too, the next run finds the finished copy and no backup.
                let _ = self.disk.rename(&aside, &self.location);
                return Err(error.into());
            }
            self.disk.sync_dir(&self.parent)?;
            Ok(self.retire(&aside, same_store))
        }
    }

    /// Deletes or renames what a new backup has replaced. The switch has happened: nothing here makes it fail.
    fn retire(&self, old: &Path, same_store: bool) -> Switched {
        if same_store && self.discard(old).is_ok() {
            return Switched::Clean;
        }
        match self.keep(old) {
            Ok(path) => Switched::Kept(path),
            Err(error) => Switched::Stuck { path: old.to_owned(), error },
        }
    }

    fn keep(&self, old: &Path) -> Result<PathBuf, DiskError> {
        if self.siblings("err")?.iter().any(|(_, path)| path == old) {
            return Ok(old.to_owned());
        }
        let kept = self.first_free("err")?;
        self.disk.rename(old, &kept)?;
        self.disk.sync_dir(&self.parent)?;
        Ok(kept)
    }

    fn sibling(&self, kind: &str, number: u64) -> PathBuf {
        self.parent.join(format!("{}.{kind}.{number}", self.base))
    }

    fn first_free(&self, kind: &str) -> Result<PathBuf, DiskError> {
        let mut number = 0;
        loop {
            let path = self.sibling(kind, number);
            if is_free(&path)? {
                return Ok(path);
            }
            number += 1;
        }
    }

    /// All `<name>.<kind>.<N>` with their numbers.
    fn siblings(&self, kind: &str) -> Result<Vec<(u64, PathBuf)>, DiskError> {
        let list = |source| DiskError::new("list", &self.parent, source);
        let prefix = format!("{}.{kind}.", self.base);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.parent).map_err(list)? {
            let name = entry.map_err(list)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse().ok());
            if let Some(number) = number {
                found.push((number, self.parent.join(name)));
            }
        }
        Ok(found)
    }
}

/// Whether nothing is there, or an empty directory (a symbolic link is something).
fn is_free(path: &Path) -> Result<bool, DiskError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut entries =
                std::fs::read_dir(path).map_err(|source| DiskError::new("list", path, source))?;
            Ok(entries.next().is_none())
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(source) => Err(DiskError::new("examine", path, source)),
    }
}

fn is_inconsistent(directory: &Path) -> bool {
    let manifest = Manifest::read(directory);
    matches!(manifest, Ok(Some(manifest)) if manifest.backup.checked == CheckResult::Inconsistent)
}

fn is_finished(directory: &Path) -> bool {
    directory.join("neostore").is_file()
        && directory.join(MANIFEST_FILE).is_file()
        && !directory.join(COPY_STATE_FILE).exists()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::io::disk::{Disk, DiskFile, OsDisk};
    use crate::io::lock::FileLock;
    use crate::store::id::StoreVersion;
    use crate::store::tools::write_database_id;

    const DATABASE: DatabaseId = DatabaseId(uuid::Uuid::from_u128(7));

    fn store(random: i64) -> StoreId {
        let version = StoreVersion::from_name("SF4.3.0").unwrap();
        StoreId { creation_time: 1, random, version, upgrade_time: 1, upgrade_transaction: 1 }
    }

    /// A directory with the identity of a backup and one more file.
    fn backup(path: &Path, store_id: &StoreId, content: &str) {
        fs::create_dir_all(path).unwrap();
        let mut neostore = vec![0; 8192];
        let fields = [
            (0, store_id.creation_time),
            (1, store_id.random),
            (4, store_id.version.0.cast_signed()),
            (7, store_id.upgrade_transaction),
            (8, store_id.upgrade_time),
        ];
        for (field, value) in fields {
            neostore[field * 9] = 1;
            neostore[field * 9 + 1..field * 9 + 9].copy_from_slice(&value.to_be_bytes());
        }
        fs::write(path.join("neostore"), neostore).unwrap();
        fs::write(path.join("content"), content).unwrap();
    }

    fn finished(path: &Path, store_id: &StoreId, database: DatabaseId, content: &str) {
        backup(path, store_id, content);
        fs::create_dir(path.join("tools")).unwrap();
        write_database_id(&OsDisk, path, database).unwrap();
        fs::write(path.join(MANIFEST_FILE), "").unwrap();
    }

    fn lock(dir: &Path) -> Target {
        Target::lock(OsDisk::shared(), dir, "neo4j").unwrap()
    }

    fn content(path: &Path) -> String {
        fs::read_to_string(path.join("content")).unwrap()
    }

    /// Names in a directory, sorted, without the lock file.
    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".neo4j.lock")
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_copy_goes_to_the_first_free_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let target = lock(dir.path());
        assert_eq!(target.create_work().unwrap(), path("neo4j.tmp.0"));
        assert_eq!(target.create_work().unwrap(), path("neo4j.tmp.0"), "an empty directory is free");
        fs::write(path("neo4j.tmp.0/file"), "").unwrap();
        fs::write(path("neo4j.tmp.1"), "a file").unwrap();
        std::os::unix::fs::symlink(tempfile::tempdir().unwrap().path(), path("neo4j.tmp.2")).unwrap();
        assert_eq!(target.create_work().unwrap(), path("neo4j.tmp.3"));
    }

    #[test]
    fn a_first_copy_takes_its_place() {
        for empty_directory in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let target = lock(dir.path());
            if empty_directory {
                fs::create_dir(target.location()).unwrap();
            }
            assert_eq!(target.existing().unwrap(), Existing::Nothing);
            let work = target.create_work().unwrap();
            finished(&work, &store(1), DATABASE, "new");
            assert!(matches!(target.switch(&work, &store(1)).unwrap(), Switched::Clean));
            assert_eq!(names(dir.path()), ["neo4j"]);
            assert_eq!(content(target.location()), "new");
            let Existing::Backup { store_id, database_id, size } = target.existing().unwrap() else {
                panic!("no backup")
            };
            assert_eq!((store_id, database_id, size), (Some(store(1)), Some(DATABASE), 8192 + 3 + 36));
        }
    }

    /// A file system without the exchange of two names.
    #[derive(Debug)]
    struct NoExchange;

    impl Disk for NoExchange {
        fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
            OsDisk.create(path, mode)
        }
        fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
            OsDisk.open(path)
        }
        fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
            OsDisk.create_dir(path)
        }
        fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
            OsDisk.sync_dir(path)
        }
        fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
            OsDisk.rename(from, to)
        }
        fn exchange(&self, _: &Path, _: &Path) -> Result<bool, DiskError> {
            Ok(false)
        }
        fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
            OsDisk.remove_file(path)
        }
        fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
            OsDisk.remove_dir(path)
        }
        fn available(&self, path: &Path) -> Result<u64, DiskError> {
            OsDisk.available(path)
        }
    }

    #[test]
    fn an_old_backup_of_the_same_store_goes_and_anything_else_is_kept() {
        for disk in [OsDisk::shared(), std::sync::Arc::new(NoExchange)] {
            for (old, kept) in [(Some(1), None), (Some(2), Some("neo4j.err.1")), (None, Some("neo4j.err.1"))]
            {
                let dir = tempfile::tempdir().unwrap();
                let target = Target::lock(disk.clone(), dir.path(), "neo4j").unwrap();
                fs::create_dir(dir.path().join("neo4j.err.0")).unwrap();
                fs::write(dir.path().join("neo4j.err.0/content"), "older").unwrap();
                if let Some(random) = old {
                    backup(target.location(), &store(random), "old");
                } else {
                    fs::create_dir(target.location()).unwrap();
                    fs::write(target.location().join("content"), "old").unwrap();
                }
                let work = target.create_work().unwrap();
                finished(&work, &store(1), DATABASE, "new");
                let switched = target.switch(&work, &store(1)).unwrap();
                assert_eq!(content(target.location()), "new");
                assert_eq!(content(&dir.path().join("neo4j.err.0")), "older");
                match (kept, switched) {
                    (None, Switched::Clean) => assert_eq!(names(dir.path()), ["neo4j", "neo4j.err.0"]),
                    (Some(name), Switched::Kept(path)) => {
                        assert_eq!(path, dir.path().join(name));
                        assert_eq!(content(&path), "old");
                        assert_eq!(names(dir.path()), ["neo4j", "neo4j.err.0", name]);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_finished_copy_without_a_backup_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let other = DatabaseId(uuid::Uuid::from_u128(8));
        finished(&path("neo4j.tmp.0"), &store(1), DATABASE, "first");
        finished(&path("neo4j.tmp.10"), &store(1), DATABASE, "newest");
        finished(&path("neo4j.tmp.11"), &store(1), other, "the backup of a database called neo4j.tmp.11");
        backup(&path("neo4j.tmp.12"), &store(1), "unfinished");
        let target = lock(dir.path());
        assert_eq!(target.finish_switch(DATABASE).unwrap(), Some(path("neo4j.tmp.10")));
        assert_eq!(content(target.location()), "newest");
        assert_eq!(target.finish_switch(DATABASE).unwrap(), None, "the place is taken");
        let left = target.leftovers().unwrap();
        let left: Vec<_> =
            left.iter().map(|left| (left.path.clone(), left.content == LeftContent::Finished)).collect();
        assert_eq!(
            left,
            [(path("neo4j.tmp.0"), true), (path("neo4j.tmp.11"), true), (path("neo4j.tmp.12"), false)]
        );
    }

    #[test]
    fn a_linked_backup_is_replaced_where_it_lies() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let real = elsewhere.path().canonicalize().unwrap().join("volume");
        backup(&real, &store(1), "old");
        std::os::unix::fs::symlink(&real, dir.path().join("neo4j")).unwrap();
        let target = lock(dir.path());
        let work = target.create_work().unwrap();
        assert_eq!(work, real.with_file_name("volume.tmp.0"));
        finished(&work, &store(1), DATABASE, "new");
        target.switch(&work, &store(1)).unwrap();
        assert_eq!(content(&dir.path().join("neo4j")), "new");
        assert_eq!(names(elsewhere.path()), ["volume"]);
    }

    #[test]
    fn discarding_deletes_the_copy_and_nothing_that_it_points_to() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("content"), "precious").unwrap();
        let target = lock(dir.path());
        let work = target.create_work().unwrap();
        backup(&work.join("deep/er"), &store(1), "failed");
        std::os::unix::fs::symlink(outside.path(), work.join("link")).unwrap();
        target.discard(&work).unwrap();
        assert!(names(dir.path()).is_empty());
        assert_eq!(content(outside.path()), "precious");
        drop(FileLock::acquire(&dir.path().join(".neo4j.lock")).unwrap());
    }
}
