//! Where the files of indexes are, and how they are removed.
//!
//! | Provider | Below the directory of the database |
//! |---|---|
//! | `native-btree-1.0`, `range-1.0`, `point-1.0` | `schema/index/<provider>/<id>/index-<id>` |
//! | `lucene+native-3.0` | `schema/index/lucene_native-3.0/<id>/native-btree-1.0/index-<id>` and `.../<id>/lucene-2.0/<partition>/` |
//! | `text-1.0`, `fulltext-1.0` | `schema/index/<provider>/<id>/<partition>/` |
//! | `token-lookup-1.0` | the two files of [`lookup`] |
//!
//! `<id>` is the id of the schema rule. Specification: indexes 1.

use std::io;
use std::path::{Path, PathBuf};

use crate::io::disk::{Disk, DiskError, SharedDisk};
use crate::io::filesystem::remove_tree;
use crate::store::id::SchemaId;
use crate::store::layout::{DatabaseLayout, NODE_LABEL_INDEX, RELATIONSHIP_TYPE_INDEX, SCHEMA};
use crate::store::schema::{EntityType, IndexProvider};

/// The providers that have a directory for each index, with its parent's name.
const DIRECTORIES: [(IndexProvider, &str); 6] = [
    (IndexProvider::NativeBtree, "native-btree-1.0"),
    (IndexProvider::LuceneNative, "lucene_native-3.0"),
    (IndexProvider::Fulltext, "fulltext-1.0"),
    (IndexProvider::Text, "text-1.0"),
    (IndexProvider::Range, "range-1.0"),
    (IndexProvider::Point, "point-1.0"),
];

/// The directory of all directories of a provider; `None`: it has none.
fn provider_directory(layout: &DatabaseLayout, provider: IndexProvider) -> Option<PathBuf> {
    let (_, name) = DIRECTORIES.into_iter().find(|(other, _)| *other == provider)?;
    Some(layout.database.join(SCHEMA).join("index").join(name))
}

/// The directory of an index; `None`: lookup indexes have none.
pub fn directory(layout: &DatabaseLayout, provider: IndexProvider, id: SchemaId) -> Option<PathBuf> {
    Some(provider_directory(layout, provider)?.join(id.to_string()))
}

/// The tree of a value index; `None`: the provider keeps values in no tree.
pub fn tree(layout: &DatabaseLayout, provider: IndexProvider, id: SchemaId) -> Option<PathBuf> {
    let directory = directory(layout, provider, id)?;
    let file = format!("index-{id}");
    match provider {
        IndexProvider::NativeBtree | IndexProvider::Range | IndexProvider::Point => {
            Some(directory.join(file))
        }
        IndexProvider::LuceneNative => Some(directory.join("native-btree-1.0").join(file)),
        IndexProvider::Text | IndexProvider::Fulltext | IndexProvider::TokenLookup => None,
    }
}

/// The directory of a Lucene index, or of the Lucene part of an index; `None`: the provider has none.
pub fn lucene(layout: &DatabaseLayout, provider: IndexProvider, id: SchemaId) -> Option<PathBuf> {
    let directory = directory(layout, provider, id)?;
    match provider {
        IndexProvider::Text | IndexProvider::Fulltext => Some(directory),
        IndexProvider::LuceneNative => Some(directory.join("lucene-2.0")),
        IndexProvider::NativeBtree
        | IndexProvider::Range
        | IndexProvider::Point
        | IndexProvider::TokenLookup => None,
    }
}

/// The lookup index of nodes by label, or of relationships by type.
pub fn lookup(layout: &DatabaseLayout, entity: EntityType) -> PathBuf {
    layout.database.join(match entity {
        EntityType::Node => NODE_LABEL_INDEX,
        EntityType::Relationship => RELATIONSHIP_TYPE_INDEX,
    })
}

/// All directories of indexes that there are, by provider and id. A directory does not mean that its index is complete,
/// nor that a rule has its id.
pub fn list(layout: &DatabaseLayout) -> Result<Vec<(IndexProvider, SchemaId)>, DiskError> {
    let mut found = Vec::new();
    for (provider, _) in DIRECTORIES {
        let Some(parent) = provider_directory(layout, provider) else { continue };
        let mut ids: Vec<_> = names(&parent)?.iter().filter_map(|name| name.parse().ok()).collect();
        ids.sort_unstable();
        found.extend(ids.into_iter().map(|id| (provider, SchemaId(id))));
    }
    Ok(found)
}

/// Removes what any provider has of an index with this id; lookup indexes have none, they are files of their own. `true`:
/// there was something.
///
/// An index without its directory is one that Neo4j builds anew. A Lucene index that is left half removed must not look
/// complete, so what makes it one goes first. Specification: indexes 9.1, 10.
pub fn discard(layout: &DatabaseLayout, disk: &SharedDisk, id: SchemaId) -> Result<bool, DiskError> {
    let mut found = false;
    for (provider, _) in DIRECTORIES {
        let Some(directory) = directory(layout, provider, id) else { continue };
        if !exists(&directory)? {
            continue;
        }
        found = true;
        if let Some(lucene) = lucene(layout, provider, id) {
            invalidate(&**disk, &lucene)?;
        }
        remove_tree(&**disk, &directory)?;
        if let Some(parent) = directory.parent() {
            disk.sync_dir(parent)?;
        }
    }
    Ok(found)
}

/// Removes the commits of a Lucene index, in every partition, for good.
fn invalidate(disk: &dyn Disk, lucene: &Path) -> Result<(), DiskError> {
    for partition in names(lucene)? {
        let partition = lucene.join(partition);
        let mut removed = false;
        for name in names(&partition)? {
            if name.starts_with(super::lucene::state::COMMIT) {
                disk.remove_file(&partition.join(name))?;
                removed = true;
            }
        }
        if removed {
            disk.sync_dir(&partition)?;
        }
    }
    Ok(())
}

fn exists(path: &Path) -> Result<bool, DiskError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DiskError::new("examine", path, error)),
    }
}

/// The names in a directory that are text; of something that is no directory there are none.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, DiskError> {
    let list = |source| DiskError::new("list", directory, source);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(list(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(list)?.file_name().into_string());
    }
    Ok(names)
}

/// Creates a directory with all that are missing above it, for good.
pub(super) fn create_directories(disk: &dyn Disk, directory: &Path) -> Result<(), DiskError> {
    if exists(directory)? {
        return Ok(());
    }
    let Some(parent) = directory.parent() else { return Ok(()) };
    create_directories(disk, parent)?;
    match disk.create_dir(directory) {
        // Another thread was faster.
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {}
        created => created?,
    }
    disk.sync_dir(parent)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::io::disk::OsDisk;

    const ID: SchemaId = SchemaId(7);

    #[test]
    fn files_are_where_neo4j_has_them() {
        let layout = DatabaseLayout::flat(Path::new("/db"));
        for (provider, tree_path, lucene_path) in [
            (IndexProvider::NativeBtree, Some("native-btree-1.0/7/index-7"), None),
            (IndexProvider::Range, Some("range-1.0/7/index-7"), None),
            (IndexProvider::Point, Some("point-1.0/7/index-7"), None),
            (IndexProvider::Text, None, Some("text-1.0/7")),
            (IndexProvider::Fulltext, None, Some("fulltext-1.0/7")),
            (
                IndexProvider::LuceneNative,
                Some("lucene_native-3.0/7/native-btree-1.0/index-7"),
                Some("lucene_native-3.0/7/lucene-2.0"),
            ),
            (IndexProvider::TokenLookup, None, None),
        ] {
            let full = |path: &str| Path::new("/db/schema/index").join(path);
            assert_eq!(tree(&layout, provider, ID), tree_path.map(full), "{provider:?}");
            assert_eq!(lucene(&layout, provider, ID), lucene_path.map(full), "{provider:?}");
        }
        assert_eq!(lookup(&layout, EntityType::Node), Path::new("/db/neostore.labelscanstore.db"));
    }

    #[test]
    fn an_index_is_removed_whatever_its_provider_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let layout = DatabaseLayout::flat(dir.path());
        assert_eq!(list(&layout).unwrap(), []);
        assert!(!discard(&layout, &OsDisk::shared(), ID).unwrap());
        for file in [
            "native-btree-1.0/7/index-7",
            "native-btree-1.0/70/index-70",
            "lucene_native-3.0/7/native-btree-1.0/index-7",
            "lucene_native-3.0/7/lucene-2.0/1/segments_2",
            "text-1.0/7/failure-message",
            "text-1.0/8/1/segments_1",
            "text-1.0/eight/file",
        ] {
            let path = dir.path().join("schema/index").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        assert!(discard(&layout, &OsDisk::shared(), ID).unwrap());
        let left = [(IndexProvider::NativeBtree, SchemaId(70)), (IndexProvider::Text, SchemaId(8))];
        assert_eq!(list(&layout).unwrap(), left);
        assert!(dir.path().join("schema/index/text-1.0/eight/file").exists());
    }

    /// Stops at a step of removing.
    #[derive(Debug)]
    struct Stopping {
        left: std::sync::atomic::AtomicUsize,
    }

    impl Stopping {
        fn step(&self, path: &Path) -> Result<(), DiskError> {
            use std::sync::atomic::Ordering::Relaxed;
            let left = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
            left.map(|_| ()).map_err(|_| DiskError::new("delete", path, io::ErrorKind::Other))
        }
    }

    impl Disk for Stopping {
        fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn crate::io::disk::DiskFile>, DiskError> {
            OsDisk.create(path, mode)
        }
        fn open(&self, path: &Path) -> Result<Box<dyn crate::io::disk::DiskFile>, DiskError> {
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
        fn exchange(&self, a: &Path, b: &Path) -> Result<bool, DiskError> {
            OsDisk.exchange(a, b)
        }
        fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
            self.step(path)?;
            OsDisk.remove_file(path)
        }
        fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
            self.step(path)?;
            OsDisk.remove_dir(path)
        }
        fn available(&self, path: &Path) -> Result<u64, DiskError> {
            OsDisk.available(path)
        }
    }

    #[test]
    fn an_index_that_is_half_removed_never_looks_complete() {
        use super::super::lucene::state::{LuceneState, state, testing};
        for steps in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let layout = DatabaseLayout::flat(dir.path());
            let lucene = lucene(&layout, IndexProvider::Text, ID).unwrap();
            for partition in ["1", "2"] {
                fs::create_dir_all(lucene.join(partition)).unwrap();
                fs::write(lucene.join(partition).join("segments_2"), testing::commit(true)).unwrap();
                fs::write(lucene.join(partition).join("_0.cfs"), b"").unwrap();
            }
            assert_eq!(state(&lucene).unwrap(), LuceneState::Online);
            let disk: SharedDisk = std::sync::Arc::new(Stopping { left: steps.into() });
            let done = discard(&layout, &disk, ID);
            assert_ne!(state(&lucene).unwrap(), LuceneState::Online, "{steps} steps");
            if done.is_ok() {
                break;
            }
        }
    }
}
