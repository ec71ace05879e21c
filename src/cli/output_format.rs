//! `--format`: results for people or for programs.

use clap::Arg;

use super::definition::{ADDITIONAL, invalid, value};

/// How a result is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The option, which Neo4j's tool does not have.
pub(super) fn option() -> Arg {
    value("format", "text/json").default_value("text").help_heading(ADDITIONAL).value_parser(|text: &str| {
        match text {
            "text" => Ok(OutputFormat::Text),
            "json" => Ok(OutputFormat::Json),
            _ => {
                let reason = format!("expected one of [text, json] (case-sensitive) but was '{text}'");
                Err(invalid("format", reason))
            }
        }
    })
}
