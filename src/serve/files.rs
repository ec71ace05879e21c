//! The files of a database that are sent.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::ServeError;
use crate::catchup::server::SourceFile;
use crate::io::disk::DiskError;
use crate::store::layout::{Purpose, RecordStore};

/// Paths below a database directory, with `/` as separator, of the files that no log replay can rebuild: all but the
/// record stores, logs and what is not of the database. In the order of their names.
///
/// What is no file and no directory is refused: a link would send something from elsewhere, and a file left out would
/// spoil the copy silently.
pub(super) fn atomic(database: &Path) -> Result<Vec<String>, ServeError> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let directory = database.join(&folder);
        let failed = |source| DiskError::new("list", &directory, source);
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else { return Err(ServeError::FileName { path }) };
            if folder.is_empty() && Purpose::of(&name) != Purpose::Other {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                folders.push(format!("{folder}{name}/"));
            } else if kind.is_file() {
                files.push(format!("{folder}{name}"));
            } else {
                return Err(ServeError::NotAFile { path });
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Bare names of the record stores, in the order in which a server lists them.
pub(super) fn replayable() -> Vec<String> {
    RecordStore::ALL.iter().map(|store| store.file_name().to_owned()).collect()
}

/// The one file whose last component is `name`, as a path below the database directory. Names are only compared with
/// those that are there. Specification: protocol 6.5.
pub(super) fn find(database: &Path, name: &str) -> Result<Option<String>, ServeError> {
    if RecordStore::of_file_name(name).is_some() {
        return Ok(Some(name.to_owned()));
    }
    let mut found = atomic(database)?;
    found.retain(|path| !is_id_file(path) && path.rsplit('/').next() == Some(name));
    let mut found = found.into_iter();
    Ok(found.next().filter(|_| found.next().is_none()))
}

/// Opens a listed file.
pub(super) fn open(database: &Path, path: String) -> Result<SourceFile, ServeError> {
    let place = database.join(&path);
    let failed = |source| DiskError::new("open", &place, source);
    let mut options = OpenOptions::new();
    // A pipe that took the place of the file must not make the server wait for a writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.read(true).custom_flags(flags.bits().cast_signed()).open(&place).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(ServeError::NotAFile { path: place });
    }
    Ok(source_file(path, file))
}

fn source_file(path: String, file: File) -> SourceFile {
    SourceFile { alignment: alignment(&path), path, content: Box::new(file) }
}

fn is_id_file(path: &str) -> bool {
    let store = path.strip_suffix(".id").and_then(RecordStore::of_file_name);
    store.is_some_and(|store| store != RecordStore::Neostore)
}

/// Record size of a file as the `standard` format has it, 1 for a file without records, 0 for an id file. Receivers
/// make nothing of it. Specification: protocol 4.4.
fn alignment(path: &str) -> i32 {
    let Some(store) = RecordStore::of_file_name(path) else { return i32::from(!is_id_file(path)) };
    match store {
        RecordStore::Label | RecordStore::RelationshipType => 5,
        RecordStore::Schema => 8,
        RecordStore::Neostore | RecordStore::PropertyKey => 9,
        RecordStore::Node => 15,
        RecordStore::RelationshipGroup => 25,
        RecordStore::Relationship => 34,
        RecordStore::LabelName | RecordStore::RelationshipTypeName | RecordStore::PropertyKeyName => 38,
        RecordStore::Property => 41,
        RecordStore::NodeLabels => 64,
        RecordStore::PropertyString | RecordStore::PropertyArray => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        dir
    }

    #[test]
    fn what_is_not_of_the_database_is_not_listed() {
        let dir = directory(&[
            "neostore",
            "neostore.nodestore.db",
            "neostore.nodestore.db.id",
            "neostore.counts.db",
            "neostore.transaction.db.0",
            "neostore.transaction.db.old",
            "checkpoint.0",
            "database_lock",
            "quarantine_marker",
            "tools/database.id",
            "tools/metadata_script.cypher",
            "profiles/neostore.nodestore.db.0.cacheprof",
            "temp-copy/neostore.counts.db",
            "schema/index/text-1.0/9/1/segments_3",
            "schema/index/text-1.0/9/failure-message",
            "schema/tools/x",
        ]);
        let listed = atomic(dir.path()).unwrap();
        assert_eq!(
            listed,
            [
                "neostore.counts.db",
                "neostore.nodestore.db.id",
                "schema/index/text-1.0/9/1/segments_3",
                "schema/index/text-1.0/9/failure-message",
                "schema/tools/x",
            ]
        );
    }

    #[test]
    fn files_are_found_by_their_bare_name_only() {
        let dir = directory(&[
            "neostore",
            "neostore.counts.db",
            "neostore.nodestore.db.id",
            "neostore.transaction.db.0",
            "tools/database.id",
            "schema/index/native-btree-1.0/3/index-3",
            "schema/index/text-1.0/9/failure-message",
            "schema/index/text-1.0/10/failure-message",
        ]);
        for (name, found) in [
            ("neostore", Some("neostore")),
            ("neostore.counts.db", Some("neostore.counts.db")),
            ("index-3", Some("schema/index/native-btree-1.0/3/index-3")),
            ("failure-message", None),
            ("neostore.nodestore.db.id", None),
            ("neostore.transaction.db.0", None),
            ("database.id", None),
            ("schema/index/native-btree-1.0/3/index-3", None),
            ("../neostore.counts.db", None),
            ("/etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(find(dir.path(), name).unwrap().as_deref(), found, "{name}");
        }
    }

    #[test]
    fn links_are_refused() {
        let dir = directory(&["neostore"]);
        let link = dir.path().join("neostore.counts.db");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(matches!(atomic(dir.path()), Err(ServeError::NotAFile { path }) if path == link));
        assert!(matches!(open(dir.path(), "neostore.counts.db".to_owned()), Err(ServeError::Disk(_))));
    }
}
