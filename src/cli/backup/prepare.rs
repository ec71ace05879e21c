//! Everything between the command line and the first byte on the wire that does not need the network.

use std::io;
use std::path::PathBuf;

use super::arguments::BackupArguments;
use crate::cli::environment::Directories;
use crate::cli::streams::Streams;
use crate::config::address::{AddressError, SocketAddress};
use crate::config::bytes::{self, SizeError};

/// What a run needs to know beside its options.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Home and configuration directory.
    pub directories: Directories,
    /// Where the backups are, symbolic links followed.
    pub backup_dir: PathBuf,
    /// The server. Without a port it is [`DEFAULT_PORT`].
    pub from: SocketAddress,
    /// Size of the page cache, bytes.
    pub pagecache: u64,
}

/// Where Neo4j serves backups.
pub const DEFAULT_PORT: u16 = 6362;

/// Why a run can't begin. Exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// `--backup-dir` is missing.
    #[error("Path '{}' does not exist.", .0.display())]
    NoBackupDirectory(PathBuf),
    /// `--backup-dir` can't be resolved.
    #[error("Path '{}' can't be resolved", .path.display())]
    Unresolved {
        /// As given.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// `--backup-dir` or `--report-dir` is no directory.
    #[error("Directory '{}' does not exist.", .0.display())]
    NotADirectory(PathBuf),
    /// `--from` is no address.
    #[error(transparent)]
    From(AddressError),
    /// `--pagecache` is no size.
    #[error(transparent)]
    PageCache(SizeError),
}

/// Checks in the order of Neo4j's tool, which decides the message when several things are wrong.
/// Specification: command line 4.1.
pub(super) fn prepare(
    arguments: &BackupArguments,
    directories: &Directories,
    streams: &Streams,
) -> Result<Prepared, PrepareError> {
    let here = PathBuf::from(".");
    let given = if arguments.backup_dir.as_os_str().is_empty() { &here } else { &arguments.backup_dir };
    let backup_dir = given.canonicalize().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => PrepareError::NoBackupDirectory(arguments.backup_dir.clone()),
        _ => PrepareError::Unresolved { path: arguments.backup_dir.clone(), source },
    })?;
    for deprecation in arguments.deprecations() {
        streams.out.line(deprecation);
    }
    let mut from = SocketAddress::parse(&arguments.from).map_err(PrepareError::From)?;
    from.port.get_or_insert(DEFAULT_PORT);
    for directory in [&backup_dir, &arguments.report_dir] {
        // An empty path is the working directory, which exists.
        if !directory.as_os_str().is_empty() && !directory.is_dir() {
            return Err(PrepareError::NotADirectory(directory.clone()));
        }
    }
    let pagecache = bytes::parse(&arguments.pagecache).map_err(PrepareError::PageCache)?;
    Ok(Prepared { directories: directories.clone(), backup_dir, from, pagecache })
}
