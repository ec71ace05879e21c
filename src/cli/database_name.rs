//! Exact names of databases: `--database` of the commands that know no patterns. Specification: command line 6.7.

use clap::Arg;

use super::definition::{invalid, value};
use crate::backup::selection::LONGEST_NAME;

/// A name in lower case that Neo4j gives to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseName(String);

impl DatabaseName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, DatabaseNameError> {
        let name = text.to_lowercase();
        if name.is_empty() {
            return Err(DatabaseNameError::Empty);
        }
        // Java counts UTF-16 units.
        if !(SHORTEST_NAME..=LONGEST_NAME).contains(&name.encode_utf16().count()) {
            return Err(DatabaseNameError::Length);
        }
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(DatabaseNameError::FirstCharacter(name));
        }
        if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-')) {
            return Err(DatabaseNameError::IllegalCharacter(name));
        }
        Ok(Self(name))
    }
}

/// Characters of the shortest name.
const SHORTEST_NAME: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum DatabaseNameError {
    #[error("The provided database name is empty.")]
    Empty,
    #[error("The provided database name must have a length between 3 and 63 characters.")]
    Length,
    #[error("Database name '{0}' is not starting with an ASCII alphabetic character.")]
    FirstCharacter(String),
    #[error(
        "Database name '{0}' contains illegal characters. Use simple ascii characters, numbers, dots and dashes."
    )]
    IllegalCharacter(String),
}

/// An option with the name of a database.
pub(super) fn option(name: &'static str) -> Arg {
    value(name, "database").value_parser(move |text: &str| {
        DatabaseName::parse(text).map_err(|reason| {
            // The class of the exception is part of the text that scripts know.
            let reason =
                format!("Invalid database name '{text}'. (java.lang.IllegalArgumentException: {reason})");
            invalid(name, reason)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::DatabaseNameError::{Empty, FirstCharacter, IllegalCharacter, Length};
    use super::*;

    #[test]
    fn names_are_taken_and_refused_as_in_neo4j() {
        let (long, too_long) = ("a".repeat(63), "a".repeat(64));
        for name in ["neo4j", "Neo4J", "a.b", "a-1", "system", "system2", &long] {
            assert_eq!(DatabaseName::parse(name).unwrap().as_str(), name.to_lowercase());
        }
        for (name, error) in [
            ("", Empty),
            ("ab", Length),
            (&too_long, Length),
            ("1ab", FirstCharacter("1ab".to_owned())),
            ("A_B", IllegalCharacter("a_b".to_owned())),
            ("abc*", IllegalCharacter("abc*".to_owned())),
        ] {
            assert_eq!(DatabaseName::parse(name), Err(error), "{name}");
        }
    }
}
