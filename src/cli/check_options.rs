//! The options of a consistency check that `backup` and `check-consistency` share. Specification: consistency check 1.2.

use std::path::PathBuf;

use clap::Arg;

use super::definition::{additional, boolean, flag, path};
use super::grammar::Call;
use super::usage::UsageError;
use crate::consistency::CheckOptions;

/// The options, in the order of the help.
pub(super) fn options() -> [Arg; 8] {
    [
        path("report-dir").default_value(".").help("Directory where consistency report will be written."),
        boolean("check-graph").default_value("true").help(
            "Perform consistency checks between nodes, relationships, properties, types and tokens.",
        ),
        boolean("check-indexes").default_value("true").help("Perform consistency checks on indexes."),
        boolean("check-index-structure").default_value("true").help("Perform structure checks on indexes."),
        boolean("check-label-scan-store").help(
            "Perform consistency checks on the label scan store. This option is deprecated and its value will be \
             ignored. Checking of label scan store/lookup index on labels is controlled by --check-graph.",
        ),
        boolean("check-relationship-type-scan-store").help(
            "Perform consistency checks on the relationship type scan store. This option is deprecated and its value \
             will be ignored. Checking of relationship type scan store/lookup index on relationship types is \
             controlled by --check-graph.",
        ),
        boolean("check-property-owners").help(
            "Perform additional consistency checks on property ownership. This check is very expensive in time and \
             memory. This option is deprecated and its value will be ignored.",
        ),
        additional(flag("strict")).help(
            "Also findings that Neo4j's checker does not have, of the level EXTRA in the report, make a database \
             inconsistent.",
        ),
    ]
}

/// What a call says of the check; an empty directory of the report is the working directory.
pub(super) fn of(call: &Call) -> Result<CheckOptions, UsageError> {
    Ok(CheckOptions {
        graph: call.value("check-graph")?,
        indexes: call.value("check-indexes")?,
        index_structure: call.value("check-index-structure")?,
        report_directory: call.value::<PathBuf>("report-dir")?,
        extra: true,
        strict: call.value("strict")?,
        // That is a setting, and no option.
        fail_fast: None,
    })
}

/// In the order of their warnings.
const DEPRECATED: [&str; 3] =
    ["--check-label-scan-store", "--check-relationship-type-scan-store", "--check-property-owners"];

/// The options of a call that have no effect any more, with their dashes.
pub(super) fn deprecated(call: &Call) -> Vec<&'static str> {
    DEPRECATED.into_iter().filter(|option| call.is_given(option.trim_start_matches('-'))).collect()
}

/// What a deprecated option on the command line, also with its default, is answered with.
/// Specification: command line 2.7.
pub(super) fn deprecation(option: &str) -> String {
    format!("Warning: Option '{option}' has been deprecated and its value will be ignored.")
}
