//! What is to be checked.

use std::num::NonZeroU32;
use std::path::PathBuf;

/// Which checks run, and where the report goes. Specification: consistency check 1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the options of the command")]
pub struct CheckOptions {
    /// Records, the contents of the token indexes, counts.
    pub graph: bool,
    /// The contents of property indexes.
    pub indexes: bool,
    /// The structure of trees.
    pub index_structure: bool,
    /// Directory of the report file; it is created when there is something to report.
    pub report_directory: PathBuf,
    /// Whether findings that Neo4j's checker does not have are reported too, with the level `EXTRA`.
    pub extra: bool,
    /// Whether such a finding makes the database inconsistent.
    pub strict: bool,
    /// After so many errors and warnings about records the check ends; those about the structure of trees do not count.
    /// Specification: consistency check 1.7.
    pub fail_fast: Option<NonZeroU32>,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            graph: true,
            indexes: true,
            index_structure: true,
            report_directory: PathBuf::from("."),
            extra: true,
            strict: false,
            fail_fast: None,
        }
    }
}
