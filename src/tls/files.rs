//! Directories of a policy: certificates and revocation lists, PEM or DER.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pkcs8::der::{Reader, SliceReader};

/// The largest file that is read, in bytes; lists of large authorities have some megabytes.
const FILE_LIMIT: u64 = 64 << 20;

/// A file of a directory cannot be used. The texts begin as Neo4j's do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The directory cannot be listed.
    #[error("Cannot list {}: {error}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Not a file with certificates.
    #[error("Error loading certificate file: {} ({problem})", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// Why not.
        problem: Problem,
    },
    /// Not a file with revocation lists.
    #[error("Could not load CRL: {} ({problem})", file.display())]
    RevocationList {
        /// The file.
        file: PathBuf,
        /// Why not.
        problem: Problem,
    },
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The system does not let it be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It is far too large.
    #[error("it has more than 64 MiB")]
    TooLarge,
    /// Its PEM is damaged.
    #[error("its PEM is damaged: {0}")]
    Pem(String),
    /// No PEM object of the right label.
    #[error("it has no PEM object '{0}'")]
    NoObject(&'static str),
    /// Neither PEM nor DER.
    #[error("it is neither PEM nor DER")]
    NeitherPemNorDer,
    /// The contents make no sense.
    #[error("{0}")]
    Contents(String),
}

/// Certificates of one file.
#[derive(Debug)]
pub(super) struct CertificateFile {
    pub path: PathBuf,
    pub certificates: Vec<Vec<u8>>,
}

/// Revocation lists of one file.
#[derive(Debug)]
pub(super) struct ListFile {
    pub path: PathBuf,
    pub lists: Vec<Vec<u8>>,
}

/// The certificates of a directory, DER; none if there is no such directory.
pub(super) fn certificates(
    directory: &Path,
    ignore_dot_files: bool,
) -> Result<Option<Vec<CertificateFile>>, FileError> {
    let Some(files) = files(directory, ignore_dot_files)? else {
        return Ok(None);
    };
    let load = |path: PathBuf| match objects(&path, &["CERTIFICATE", "X509 CERTIFICATE"]) {
        Ok(certificates) => Ok(CertificateFile { path, certificates }),
        Err(problem) => Err(FileError::Certificate { file: path, problem }),
    };
    files.into_iter().map(load).collect::<Result<_, _>>().map(Some)
}

/// The revocation lists of a directory, DER; empty if there is no such directory.
pub(super) fn revocation_lists(directory: &Path, ignore_dot_files: bool) -> Result<Vec<ListFile>, FileError> {
    let load = |path: PathBuf| match objects(&path, &["X509 CRL"]) {
        Ok(lists) => Ok(ListFile { path, lists }),
        Err(problem) => Err(FileError::RevocationList { file: path, problem }),
    };
    files(directory, ignore_dot_files)?.unwrap_or_default().into_iter().map(load).collect()
}

/// All entries in the order of their names.
fn files(directory: &Path, ignore_dot_files: bool) -> Result<Option<Vec<PathBuf>>, FileError> {
    let failed = |error| FileError::Directory { directory: directory.to_owned(), error };
    let entries = match directory.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !(ignore_dot_files && entry.file_name().to_string_lossy().starts_with('.')) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(Some(paths))
}

/// A file's contents.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let file = File::open(path).map_err(Problem::Unreadable)?;
    if file.metadata().map_err(Problem::Unreadable)?.is_dir() {
        return Err(Problem::Directory);
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(Problem::TooLarge);
    }
    Ok(bytes)
}

/// The objects in a PEM file that have one of the labels, or those in a DER file, one after the other. Nothing is in
/// an empty file.
fn objects(path: &Path, labels: &[&'static str]) -> Result<Vec<Vec<u8>>, Problem> {
    let bytes = read(path)?;
    if bytes.windows(10).any(|window| window == b"-----BEGIN") {
        return pem_objects(&bytes, labels);
    }
    let mut objects = Vec::new();
    let mut reader = SliceReader::new(&bytes).map_err(|_| Problem::NeitherPemNorDer)?;
    while !reader.is_finished() {
        let object = reader.tlv_bytes().map_err(|_| Problem::NeitherPemNorDer)?;
        objects.push(object.to_vec());
    }
    Ok(objects)
}

/// The objects in a PEM text that have one of the labels.
pub(super) fn pem_objects(bytes: &[u8], labels: &[&'static str]) -> Result<Vec<Vec<u8>>, Problem> {
    let pems = pem::parse_many(bytes).map_err(|error| Problem::Pem(error.to_string()))?;
    let wanted = pems.into_iter().filter(|pem| labels.contains(&pem.tag()));
    let objects: Vec<Vec<u8>> = wanted.map(pem::Pem::into_contents).collect();
    match labels {
        [label, ..] if objects.is_empty() => Err(Problem::NoObject(label)),
        _ => Ok(objects),
    }
}
