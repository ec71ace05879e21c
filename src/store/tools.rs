//! The folder `tools` of a backup: what backup programs keep with a database, and Neo4j ignores.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::id::DatabaseId;
use crate::io::disk::{Disk, DiskError, DiskFile};

/// Where the database id lies below a backup.
pub const DATABASE_ID_FILE: &str = "tools/database.id";

/// Bytes of it: the id as text, nothing else. Bytes behind it are ignored.
const DATABASE_ID_LENGTH: usize = 36;

/// Where the script that creates users and roles again lies below a backup.
pub const METADATA_SCRIPT_FILE: &str = "tools/metadata_script.cypher";

/// Where it is written before it takes its place.
const NEW_METADATA_SCRIPT_FILE: &str = "tools/metadata_script.cypher.new";

/// Password hashes are in it.
const METADATA_SCRIPT_MODE: u32 = 0o600;

/// Writes the id of a backup whose `tools` directory is there; the caller forces it.
pub fn write_database_id(
    disk: &dyn Disk,
    backup: &Path,
    database: DatabaseId,
) -> Result<Box<dyn DiskFile>, DiskError> {
    let file = disk.create(&backup.join(DATABASE_ID_FILE), 0o666)?;
    file.write_at(0, database.to_string().as_bytes())?;
    Ok(file)
}

/// The database id of a backup; `None` if it has none that can be read. Specification: command line 4.4.
pub fn read_database_id(backup: &Path) -> Option<DatabaseId> {
    let mut text = [0; DATABASE_ID_LENGTH];
    let mut file = File::open(backup.join(DATABASE_ID_FILE)).ok()?;
    file.read_exact(&mut text).ok()?;
    let text = std::str::from_utf8(&text).ok()?;
    uuid::Uuid::try_parse(text).ok().map(DatabaseId)
}

/// The script of commands as Neo4j writes it: each ends in `;`, lines are between them and not behind the last.
/// Specification: command line 2.10.
pub fn metadata_script(commands: &[String]) -> String {
    let mut script = commands.join(";\n");
    script.push(';');
    script
}

/// The commands of a script: what [`metadata_script`] was made of. The end of a command within quotes is none.
pub fn metadata_commands(script: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut command = String::new();
    let mut quote = None;
    let mut escaped = false;
    let mut characters = script.chars().peekable();
    while let Some(character) = characters.next() {
        match quote {
            None if character == ';' && matches!(characters.peek(), None | Some('\n')) => {
                characters.next();
                commands.push(std::mem::take(&mut command));
                continue;
            }
            None if matches!(character, '\'' | '"' | '`') => quote = Some(character),
            // Names in backquotes have no escapes; a doubled backquote closes and opens.
            Some(open) if open != '`' && escaped => escaped = false,
            Some(open) if open != '`' && character == '\\' => escaped = true,
            Some(open) if open == character => quote = None,
            _ => {}
        }
        command.push(character);
    }
    commands.push(command);
    commands.retain(|command| !command.trim().is_empty());
    commands
}

/// Writes and forces the script of a backup whose `tools` directory is there. An earlier one is replaced as a whole.
pub fn write_metadata_script(disk: &dyn Disk, backup: &Path, script: &[u8]) -> Result<(), DiskError> {
    let new = backup.join(NEW_METADATA_SCRIPT_FILE);
    let file = disk.create(&new, METADATA_SCRIPT_MODE)?;
    file.write_at(0, script)?;
    file.sync()?;
    disk.rename(&new, &backup.join(METADATA_SCRIPT_FILE))
}

/// The script of a backup, if it has one.
pub fn read_metadata_script(backup: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    let path = backup.join(METADATA_SCRIPT_FILE);
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
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::io::disk::OsDisk;

    #[test]
    fn commands_are_joined_as_in_neo4j() {
        assert_eq!(metadata_script(&[]), ";");
        let commands =
            ["CREATE ROLE `r` IF NOT EXISTS", "GRANT ACCESS ON DATABASE $database TO `r`"].map(str::to_owned);
        let script = metadata_script(&commands);
        assert_eq!(script, "CREATE ROLE `r` IF NOT EXISTS;\nGRANT ACCESS ON DATABASE $database TO `r`;");
        assert_eq!(script.len(), 73);
        assert_eq!(metadata_commands(&script), commands);
    }

    #[test]
    fn a_script_falls_into_its_commands_again() {
        for commands in [
            vec![],
            vec!["A"],
            vec!["CREATE USER `a;\nb``;\nc` SET PASSWORD 'x\\';\ny'", "B;C", "D \";\n\" E"],
        ] {
            let commands: Vec<_> = commands.into_iter().map(str::to_owned).collect();
            assert_eq!(metadata_commands(&metadata_script(&commands)), commands);
        }
        assert_eq!(metadata_commands(";"), [""; 0]);
        assert_eq!(metadata_commands("A;\nB"), ["A", "B"]);
    }

    #[test]
    fn the_script_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tools")).unwrap();
        assert_eq!(read_metadata_script(dir.path()).unwrap(), None);
        write_metadata_script(&OsDisk, dir.path(), b";").unwrap();
        let mode = fs::metadata(dir.path().join(METADATA_SCRIPT_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(read_metadata_script(dir.path()).unwrap().as_deref(), Some(&b";"[..]));
    }

    #[test]
    fn only_a_whole_id_counts() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tools")).unwrap();
        let id = "7dcb1d0c-4374-4476-b8ae-d3c3f124683f";
        for (text, expected) in [
            (id.to_owned(), Some(id)),
            (format!("{id} and an old tail"), Some(id)),
            (id[..35].to_owned(), None),
            ("x".repeat(36), None),
        ] {
            fs::write(dir.path().join(DATABASE_ID_FILE), &text).unwrap();
            let expected = expected.map(|id| DatabaseId(id.parse().unwrap()));
            assert_eq!(read_database_id(dir.path()), expected, "{text}");
        }
        write_database_id(&OsDisk, dir.path(), DatabaseId(id.parse().unwrap())).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(DATABASE_ID_FILE)).unwrap(), id);
    }
}
