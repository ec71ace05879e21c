//! Whether a backup is still what its manifest says.

use std::path::{Path, PathBuf};

use super::blocks::{self, Source};
use super::listing::{self, Listed};
use super::{Checksums, End, Manifest, ManifestError, State};
use crate::backup::stop::Stop;
use crate::store::layout::Purpose;

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is no manifest to compare with.
    NoManifest,
    /// A run began to change the files and did not come to its end.
    Interrupted,
    /// The database goes further than the manifest knows: Neo4j has opened it, or its own tool has continued it.
    Continued {
        /// The last transaction, as its metadata store says.
        last_transaction: i64,
        /// What the manifest says.
        recorded: i64,
    },
    /// Every file was compared.
    Compared {
        /// How many files the manifest lists.
        files: usize,
        /// Bytes that they have.
        bytes: u64,
        /// What is not as it should be, by path.
        differences: Vec<Difference>,
    },
}

/// A file that is not as the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// It is gone.
    #[error("{path}: missing")]
    Missing {
        /// Below the backup.
        path: String,
    },
    /// Nobody knows it.
    #[error("{}: not in the manifest", path.display())]
    Extra {
        /// Below the backup.
        path: PathBuf,
    },
    /// It has another length.
    #[error("{path}: {found} bytes, the manifest has {expected}; block {block} is the first that differs")]
    Size {
        /// Below the backup.
        path: String,
        /// Bytes by the manifest.
        expected: u64,
        /// Bytes.
        found: u64,
        /// Number of the first block, of 1 MiB, that differs.
        block: u64,
    },
    /// It has other content.
    #[error("{path}: block {block} differs (bytes {} to {})", block * super::BLOCK, (block * super::BLOCK + super::BLOCK).min(*size) - 1)]
    Content {
        /// Below the backup.
        path: String,
        /// Number of the first block, of 1 MiB, that differs.
        block: u64,
        /// Bytes of the file.
        size: u64,
    },
}

impl Difference {
    fn path(&self) -> &Path {
        match self {
            Self::Missing { path } | Self::Size { path, .. } | Self::Content { path, .. } => Path::new(path),
            Self::Extra { path } => path,
        }
    }
}

/// Compares a backup with its manifest, reading every file with several threads.
pub fn verify(directory: &Path, threads: usize) -> Result<Verdict, ManifestError> {
    let Some(manifest) = Manifest::read(directory)? else { return Ok(Verdict::NoManifest) };
    if manifest.backup.state == State::Changing {
        return Ok(Verdict::Interrupted);
    }
    // One that can't be read is damaged, and will be among the differences.
    if let Ok(end) = End::of(directory) {
        let recorded = manifest.backup.last_transaction;
        // Of a damaged last record an earlier one shows.
        let checkpointed = end.checkpoint > manifest.backup.checkpoint;
        // A damaged metadata store may name any transaction; only logs that have grown can hold later ones.
        if checkpointed || end.last_transaction > recorded && logs_differ(directory, &manifest)? {
            return Ok(Verdict::Continued { last_transaction: end.last_transaction, recorded });
        }
    }
    compare(directory, &manifest, threads)
}

/// Whether a transaction log has another length than the manifest says, or is not in it.
fn logs_differ(directory: &Path, manifest: &Manifest) -> Result<bool, ManifestError> {
    let is_log = |path: &str| matches!(Purpose::of(path), Purpose::Log(_));
    let recorded =
        manifest.files.iter().filter(|entry| is_log(&entry.path)).map(|entry| (&*entry.path, entry.size));
    let listed = listing::list(directory)?;
    let found = listed.iter().filter_map(|listed| match listed {
        Listed::File { path, size } if is_log(path) => Some((&**path, *size)),
        _ => None,
    });
    Ok(!recorded.eq(found))
}

fn compare(directory: &Path, manifest: &Manifest, threads: usize) -> Result<Verdict, ManifestError> {
    let mut differences = Vec::new();
    let mut found = std::collections::BTreeMap::new();
    for listed in listing::list(directory)? {
        match listed {
            Listed::File { path, size } => drop(found.insert(path, size)),
            Listed::Odd(path) => differences.push(Difference::Extra { path }),
        }
    }
    let mut expected = Vec::with_capacity(manifest.files.len());
    let mut sources = Vec::with_capacity(manifest.files.len());
    for entry in &manifest.files {
        match found.remove(&entry.path) {
            Some(size) => {
                sources.push(Source::whole(directory.join(&entry.path), size));
                expected.push((entry, size));
            }
            None => differences.push(Difference::Missing { path: entry.path.clone() }),
        }
    }
    differences.extend(found.into_keys().map(|path| Difference::Extra { path: path.into() }));
    for ((entry, size), (source, computed)) in
        expected.into_iter().zip(sources.iter().zip(blocks::compute(&sources, threads, &Stop::default())?))
    {
        let mut actual = Checksums::default();
        actual.replace(size, source, &computed);
        let path = entry.path.clone();
        match entry.blocks.first_difference(&actual) {
            None if size == entry.size => {}
            block if size != entry.size => {
                let block = block.unwrap_or(size.min(entry.size) / super::BLOCK);
                differences.push(Difference::Size { path, expected: entry.size, found: size, block });
            }
            block => {
                differences.push(Difference::Content { path, block: block.unwrap_or_default(), size });
            }
        }
    }
    differences.sort_by(|a, b| a.path().cmp(b.path()));
    let bytes = manifest.files.iter().map(|entry| entry.size).sum();
    Ok(Verdict::Compared { files: manifest.files.len(), bytes, differences })
}
