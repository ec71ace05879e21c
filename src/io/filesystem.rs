//! What kind of file system a directory lies on, and whose it is.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::disk::{Disk, DiskError};

/// File systems whose data lies on another machine: locks, forcing and renaming there keep weaker promises.
///
/// The numbers are the `f_type` of `statfs(2)`.
const NETWORK: [(u32, &str); 10] = [
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x0000_564c, "NCP"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
];

/// The name of the network file system that holds `path`; `None` for a local one.
pub fn network_file_system(path: &Path) -> Result<Option<&'static str>, DiskError> {
    let status = rustix::fs::statfs(path)
        .map_err(|source| DiskError::new("ask for the file system of", path, source))?;
    Ok(network_name(status.f_type as u64))
}

fn network_name(f_type: u64) -> Option<&'static str> {
    // Some systems extend the sign of the 32 bit number.
    let magic = u32::try_from(f_type & 0xffff_ffff).ok()?;
    NETWORK.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

/// The owner of a file or directory, if it is not the user that this process works as.
pub fn foreign_owner(path: &Path) -> Result<Option<u32>, DiskError> {
    let metadata = std::fs::metadata(path).map_err(|source| DiskError::new("examine", path, source))?;
    let owner = metadata.uid();
    Ok((owner != rustix::process::geteuid().as_raw()).then_some(owner))
}

/// Bytes of all files below a directory, symbolic links not followed.
pub fn size_below(directory: &Path) -> Result<u64, DiskError> {
    let list = |source| DiskError::new("list", directory, source);
    let mut size = 0;
    for entry in std::fs::read_dir(directory).map_err(list)? {
        let entry = entry.map_err(list)?;
        let metadata = entry.metadata().map_err(|source| DiskError::new("examine", &entry.path(), source))?;
        size += if metadata.is_dir() { size_below(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}

/// Deletes a file, or a directory with everything in it; symbolic links are deleted, not followed.
pub fn remove_tree(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    let metadata =
        std::fs::symlink_metadata(path).map_err(|source| DiskError::new("examine", path, source))?;
    if !metadata.is_dir() {
        return disk.remove_file(path);
    }
    let list = |source| DiskError::new("list", path, source);
    for entry in std::fs::read_dir(path).map_err(list)? {
        remove_tree(disk, &entry.map_err(list)?.path())?;
    }
    disk.remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xffff_ffff_ff53_4d42), Some("CIFS"));
        assert_eq!(network_name(0xef53), None, "ext4");
        assert_eq!(network_name(0x0102_1994), None, "tmpfs");
    }

    #[test]
    fn the_size_of_a_directory_counts_what_lies_deeper() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("x"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("a/b/y"), [0; 5]).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        let link = std::fs::symlink_metadata(dir.path().join("root")).unwrap().len();
        assert_eq!(size_below(dir.path()).unwrap(), 15 + link);
        assert_eq!(foreign_owner(dir.path()).unwrap(), None);
    }
}
