//! The structure of tree files. Specification: consistency check 2.12.

use std::path::Path;

use super::error::CheckError;
use super::report::{Level, Reporter};
use super::summary::RecordType;
use crate::gbptree::{Inconsistency, Layout, Tree, TreeError};
use crate::io::disk::Disk;
use crate::store::page_cache::PageCache;

/// Checks the structure of an open tree; its entries, or `None` if something is wrong with it.
pub(super) fn check<L: Layout>(
    report: &Reporter<'_>,
    about: RecordType,
    tree: &Tree<L>,
) -> Result<Option<u64>, CheckError> {
    let path = absolute(tree.path());
    if !tree.was_clean() {
        let message = format!(
            "Index was dirty on startup which means it was not shutdown correctly and need to be cleaned up with a \
             successful recovery.\nIndex file: {path}."
        );
        report.lines(Level::Warn, about, &message);
    }
    let mut sound = true;
    let structure = tree.check(&mut |inconsistency| {
        sound = false;
        let message = match inconsistency {
            Inconsistency::Exception(_) => format!("Index inconsistency: {inconsistency}"),
            _ => format!(
                "Index inconsistency: {inconsistency}Index will be excluded from further consistency checks. Index \
                 file: {path}."
            ),
        };
        report.lines(Level::Error, about, &message);
    })?;
    // Of these Neo4j's checker reads the entries, too, and gives up.
    let is_searched = matches!(
        about,
        RecordType::Index
            | RecordType::LabelScanDocument
            | RecordType::RelationshipTypeScanDocument
            | RecordType::IndexStatistics
    );
    if sound && is_searched && structure.unreadable > 0 {
        sound = false;
        unreadable(report, about, tree.path());
    }
    Ok(sound.then_some(structure.entries))
}

/// Reports that a search in a tree does not come to its end. Neo4j's checker gives up there.
pub(super) fn unreadable(report: &Reporter<'_>, about: RecordType, path: &Path) {
    let path = absolute(path);
    let message = format!(
        "The index can't be read to its end: a pointer of its tree leads nowhere, or to a page that is newer than it.\n\
         Index file: {path}."
    );
    report.lines(Level::Error, about, &message);
}

/// Opens a tree. One that can't be opened ends Neo4j's checker; here it is reported: `None`.
pub(super) fn open<L: Layout>(
    report: &Reporter<'_>,
    about: RecordType,
    (disk, cache): (&dyn Disk, &PageCache),
    path: &Path,
    layout: L,
) -> Result<Option<Tree<L>>, CheckError> {
    let opened = disk.open(path).map_err(TreeError::Disk).and_then(|file| Tree::open(cache, file, layout));
    match opened {
        Ok(tree) => Ok(Some(tree)),
        Err(TreeError::Disk(error)) if error.source.kind() != std::io::ErrorKind::NotFound => {
            Err(error.into())
        }
        Err(error @ TreeError::Cache(_)) => Err(error.into()),
        Err(error) => {
            let message = format!("The tree can't be opened: {error}.\nIndex file: {}.", absolute(path));
            report.lines(Level::Error, about, &message);
            Ok(None)
        }
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
