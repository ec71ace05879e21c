//! Lists of paths to backups, the last component perhaps a pattern: `--from` of `restore`, `--target` of
//! `prepare-restore`. Specification: command line 6.6.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction};

use super::definition::{invalid, value};
use super::java_path;
use crate::backup::selection::Selection;
use crate::io::disk::DiskError;

/// One item of a list.
#[derive(Clone, Debug)]
pub struct BackupPath {
    /// Absolute.
    path: PathBuf,
    /// What the last component selects, if that is a pattern.
    selection: Selection,
}

/// Why a list is refused; the text stands within that of a usage error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum PathListError {
    #[error("The provided from parameter is empty.")]
    Empty,
    #[error("{} is illegal. Asterisks and question marks should be placed in the last subpath", .0.display())]
    PatternAbove(PathBuf),
    #[error("From path with value={} should not point to the root of the file system", .0.display())]
    Root(PathBuf),
    #[error("Last path of {} is in illegal format.", .0.display())]
    LastComponent(PathBuf),
}

/// A required option with lists of paths, which may stand more than once.
pub(super) fn option(name: &'static str) -> Arg {
    let parser = move |text: &str| {
        parse(text).map_err(|reason| {
            let reason =
                format!("Invalid from parameter '{text}'. (java.lang.IllegalArgumentException: {reason})");
            invalid(name, reason)
        })
    };
    value(name, "path").action(ArgAction::Append).value_parser(parser).required(true)
}

/// The items of a list.
fn parse(text: &str) -> Result<Vec<BackupPath>, PathListError> {
    if text.trim().is_empty() {
        return Err(PathListError::Empty);
    }
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(item).collect()
}

fn item(text: &str) -> Result<BackupPath, PathListError> {
    let path = java_path::absolute(Path::new(text));
    let above = path.parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
    if above.contains(['*', '?']) {
        return Err(PathListError::PatternAbove(path));
    }
    // The root, and what lies directly below it.
    if above.is_empty() || above == "/" {
        return Err(PathListError::Root(path));
    }
    let last = path.file_name().and_then(|name| name.to_str()).map(Selection::parse);
    match last {
        Some(Ok(selection)) => Ok(BackupPath { path, selection }),
        _ => Err(PathListError::LastComponent(path)),
    }
}

/// The directories that lists name, each once, by path. A plain path is taken whether it exists or not.
pub(super) fn resolve(lists: &[Vec<BackupPath>]) -> Result<Vec<PathBuf>, DiskError> {
    let mut found = Vec::new();
    for BackupPath { path, selection } in lists.iter().flatten() {
        let (Selection::Pattern(pattern), Some(parent)) = (selection, path.parent()) else {
            found.push(path.clone());
            continue;
        };
        let failed = |source| DiskError::new("list", parent, source);
        for entry in std::fs::read_dir(parent).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let matches = entry.file_name().to_str().is_some_and(|name| pattern.matches(name));
            if matches && entry.path().is_dir() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_refused_as_in_neo4j() {
        let read = |text: &str| {
            let paths = parse(text).map_err(|error| error.to_string())?;
            Ok(paths.into_iter().map(|item| item.path.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(read("/b/neo4j, /b/other ,,"), Ok(vec!["/b/neo4j".to_owned(), "/b/other".to_owned()]));
        assert_eq!(read("/b/n*"), Ok(vec!["/b/n*".to_owned()]));
        let long = format!("/b/{}", "a".repeat(64));
        for (text, reason) in [
            ("", "The provided from parameter is empty."),
            ("  ", "The provided from parameter is empty."),
            (
                "/b*/neo4j",
                "/b*/neo4j is illegal. Asterisks and question marks should be placed in the last subpath",
            ),
            ("/backup", "From path with value=/backup should not point to the root of the file system"),
            ("/", "From path with value=/ should not point to the root of the file system"),
            ("/b/with_underscore", "Last path of /b/with_underscore is in illegal format."),
            ("/b/ok,/b/..x%", "Last path of /b/..x% is in illegal format."),
            (&long, &format!("Last path of {long} is in illegal format.")),
        ] {
            assert_eq!(read(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_pattern_selects_directories() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["neo4j", "neo4j2", "other"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("neo4j3"), "").unwrap();
        // The directories of tests have names that the rules refuse, so the items are made here.
        let item = |name: &str| BackupPath {
            path: dir.path().join(name),
            selection: Selection::parse(name).unwrap(),
        };
        let resolved = |names: &[&str]| {
            let lists = [names.iter().map(|name| item(name)).collect()];
            let found = resolve(&lists).unwrap().into_iter();
            found.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(resolved(&["neo4j*"]), ["neo4j2"], "a star is at least one character");
        assert_eq!(
            resolved(&["neo4j?", "other", "neo4j", "missing"]),
            ["missing", "neo4j", "neo4j2", "other"]
        );
        assert!(resolved(&["x*"]).is_empty());
    }
}
