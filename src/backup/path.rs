//! Names of files as a server gives them, before one of them gets near the file system.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file below a database directory, by a relative path that stays below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(String);

/// Why a path of a server is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The server names a file {path:?}, which is refused: {reason}")]
pub struct PathError {
    /// The path as it came.
    pub path: String,
    /// What is wrong with it.
    pub reason: Refusal,
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More than [`StorePath::LONGEST`] bytes.
    #[error("it is longer than 4096 bytes")]
    TooLong,
    /// It starts at the root or at a drive.
    #[error("it is not relative")]
    Absolute,
    /// NUL or another control character.
    #[error("it holds a control character")]
    ControlCharacter,
    /// Nothing between two separators, or nothing at all.
    #[error("it has an empty component")]
    EmptyComponent,
    /// More than [`StorePath::LONGEST_COMPONENT`] bytes between two separators.
    #[error("it has a component of more than 255 bytes")]
    LongComponent,
    /// `.` or `..`.
    #[error("it has a component that leads elsewhere")]
    Dots,
    /// A name that belongs to the client: transaction and checkpoint logs, locks, `tools`.
    #[error("a server never sends such a file")]
    Reserved,
    /// A directory in the name of a file that must be a bare name.
    #[error("a file name without directory was expected")]
    NotBare,
}

impl StorePath {
    /// Bytes of the longest path.
    pub const LONGEST: usize = 4096;
    /// Bytes of the longest component.
    pub const LONGEST_COMPONENT: usize = 255;

    /// Checks a path from the header of a file. Specification: protocol 7.2.
    pub fn parse(sent: &str) -> Result<Self, PathError> {
        check(sent).map_err(|reason| PathError { path: shown(sent), reason })
    }

    /// Checks a name from the list of files to ask for: a path of one component.
    pub fn parse_name(sent: &str) -> Result<Self, PathError> {
        let path = Self::parse(sent)?;
        if path.0.contains('/') {
            return Err(PathError { path: shown(sent), reason: Refusal::NotBare });
        }
        Ok(path)
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Where the file lies in a directory.
    pub fn below(&self, directory: &Path) -> PathBuf {
        directory.join(&self.0)
    }

    /// The directories above the file, from the top down.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(end, _)| self.0.get(..end))
    }

    /// With `/` between the components.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name for an error message: hostile ones are not repeated in full.
fn shown(sent: &str) -> String {
    const SHOWN: usize = 200;
    let mut characters = sent.chars();
    let mut start: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}

fn check(sent: &str) -> Result<StorePath, Refusal> {
    if sent.len() > StorePath::LONGEST {
        return Err(Refusal::TooLong);
    }
    if sent.chars().any(char::is_control) {
        return Err(Refusal::ControlCharacter);
    }
    // A server on Windows sends its own separator, and only that one.
    let from_windows = sent.contains('\\') && !sent.contains('/');
    let path = if from_windows { sent.replace('\\', "/") } else { sent.to_owned() };
    let has_drive = matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if path.starts_with('/') || (from_windows && has_drive) {
        return Err(Refusal::Absolute);
    }
    for component in path.split('/') {
        match component {
            "" => return Err(Refusal::EmptyComponent),
            "." | ".." => return Err(Refusal::Dots),
            long if long.len() > StorePath::LONGEST_COMPONENT => return Err(Refusal::LongComponent),
            _ => {}
        }
    }
    if path.split('/').next().is_some_and(is_reserved) {
        return Err(Refusal::Reserved);
    }
    Ok(StorePath(path))
}

/// Whether an entry of a database directory is the client's own business.
fn is_reserved(top: &str) -> bool {
    matches!(top, "tools" | "database_lock" | "store_lock")
        || top.starts_with("neostore.transaction.db.")
        || top.starts_with("checkpoint.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_servers_are_checked() {
        use Refusal::*;
        let long_component = "a".repeat(256);
        let longest_component = "a".repeat(255);
        let long = "a/".repeat(2048) + "b";
        for (sent, expected) in [
            ("neostore", Ok("neostore")),
            ("neostore.nodestore.db.labels", Ok("neostore.nodestore.db.labels")),
            ("schema/index/native-btree-1.0/5/index-5", Ok("schema/index/native-btree-1.0/5/index-5")),
            ("schema\\index\\text-1.0\\5\\1\\_0.cfs", Ok("schema/index/text-1.0/5/1/_0.cfs")),
            ("odd\\name/in a directory", Ok("odd\\name/in a directory")),
            ("...", Ok("...")),
            ("c:d", Ok("c:d")),
            ("profiles/tools/x", Ok("profiles/tools/x")),
            ("schema/checkpoint.0", Ok("schema/checkpoint.0")),
            ("ünïcödé", Ok("ünïcödé")),
            (&longest_component, Ok(&longest_component)),
            ("", Err(EmptyComponent)),
            ("a//b", Err(EmptyComponent)),
            ("a/", Err(EmptyComponent)),
            ("a\\\\b", Err(EmptyComponent)),
            ("/etc/passwd", Err(Absolute)),
            ("\\etc\\passwd", Err(Absolute)),
            ("C:\\neostore", Err(Absolute)),
            ("c:a\\neostore", Err(Absolute)),
            ("\\\\host\\share", Err(Absolute)),
            ("..", Err(Dots)),
            ("../../etc/passwd", Err(Dots)),
            ("..\\..\\etc\\passwd", Err(Dots)),
            ("schema/../neostore", Err(Dots)),
            ("schema/.", Err(Dots)),
            ("neo\0store", Err(ControlCharacter)),
            ("neo\nstore", Err(ControlCharacter)),
            ("neo\u{7f}store", Err(ControlCharacter)),
            ("neo\u{85}store", Err(ControlCharacter)),
            (&long_component, Err(LongComponent)),
            (&long, Err(TooLong)),
            ("neostore.transaction.db.0", Err(Reserved)),
            ("neostore.transaction.db.0/x", Err(Reserved)),
            ("checkpoint.0", Err(Reserved)),
            ("database_lock", Err(Reserved)),
            ("store_lock", Err(Reserved)),
            ("tools/database.id", Err(Reserved)),
            ("tools\\database.id", Err(Reserved)),
            ("tools", Err(Reserved)),
        ] {
            let got = StorePath::parse(sent);
            assert_eq!(got.as_ref().map(StorePath::as_str).map_err(|e| e.reason), expected, "{sent:?}");
        }
    }

    #[test]
    fn listed_names_have_no_directory() {
        assert_eq!(StorePath::parse_name("a/b").map_err(|e| e.reason), Err(Refusal::NotBare));
        assert!(StorePath::parse_name("neostore.nodestore.db").is_ok());
    }

    #[test]
    fn a_path_knows_the_directories_above_it() {
        let path = StorePath::parse("schema/index/x").unwrap();
        assert_eq!(path.directories().collect::<Vec<_>>(), ["schema", "schema/index"]);
        assert_eq!(path.file_name(), "x");
    }

    #[test]
    fn a_hostile_name_does_not_flood_the_message() {
        let error = StorePath::parse(&"x".repeat(100_000)).unwrap_err();
        assert!(error.to_string().len() < 400);
    }
}
