//! The script that creates the users and roles of a database again.

use std::io;
use std::path::Path;

use crate::io::disk::{Disk, DiskError};

/// Where the script lies below a backup.
pub const SCRIPT_FILE: &str = "tools/metadata_script.cypher";

/// Password hashes are in it.
const MODE: u32 = 0o600;

/// The script of commands as Neo4j writes it: each ends in `;`, lines are between them and not behind the last.
/// Specification: command line 2.10.
pub fn script(commands: &[String]) -> String {
    let mut script = commands.join(";\n");
    script.push(';');
    script
}

/// Writes and forces the script of a backup whose `tools` directory is there.
pub fn write(disk: &dyn Disk, backup: &Path, script: &[u8]) -> Result<(), DiskError> {
    let file = disk.create(&backup.join(SCRIPT_FILE), MODE)?;
    file.write_at(0, script)?;
    file.sync()
}

/// The script of an earlier backup, if it has one.
pub fn read(backup: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    let path = backup.join(SCRIPT_FILE);
    match std::fs::read(&path) {
        Ok(script) => Ok(Some(script)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(DiskError::new("read", &path, source)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::io::disk::OsDisk;

    #[test]
    fn commands_are_joined_as_in_neo4j() {
        assert_eq!(script(&[]), ";");
        let commands =
            ["CREATE ROLE `r` IF NOT EXISTS", "GRANT ACCESS ON DATABASE $database TO `r`"].map(str::to_owned);
        let script = script(&commands);
        assert_eq!(script, "CREATE ROLE `r` IF NOT EXISTS;\nGRANT ACCESS ON DATABASE $database TO `r`;");
        assert_eq!(script.len(), 73);
    }

    #[test]
    fn the_script_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tools")).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        write(&OsDisk, dir.path(), b";").unwrap();
        let mode = std::fs::metadata(dir.path().join(SCRIPT_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(read(dir.path()).unwrap().as_deref(), Some(&b";"[..]));
    }
}
