//! Which databases are asked for: one name, or a pattern over the server's databases.

use globset::{GlobBuilder, GlobMatcher};

/// The value of `--database`.
#[derive(Clone, Debug)]
pub enum Selection {
    /// A plain name, as typed: the server folds case.
    Name(String),
    /// Every database of the server whose name matches.
    Pattern(Pattern),
}

/// A value that can't be a database name or a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Nothing but blanks.
    #[error("The provided database name is empty.")]
    Empty,
    /// More than [`LONGEST_NAME`] characters.
    #[error("The provided database name must have a length between 1 and 63 characters.")]
    TooLong,
    /// A character that no database name has. The name is shown in lower case.
    #[error(
        "Database name '{0}' contains illegal characters. Use simple ascii characters, numbers, dots, question marks, asterisk and dashes."
    )]
    IllegalCharacter(String),
}

/// Characters of the longest database name.
pub const LONGEST_NAME: usize = 63;

impl Selection {
    /// Checks a value of `--database`. Specification: command line 2.6.
    pub fn parse(value: &str) -> Result<Self, SelectionError> {
        let lower = value.to_lowercase();
        if lower.trim().is_empty() {
            return Err(SelectionError::Empty);
        }
        // Java counts UTF-16 units, and this rule comes before the one on characters.
        if lower.encode_utf16().count() > LONGEST_NAME {
            return Err(SelectionError::TooLong);
        }
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-*?".contains(c);
        if !lower.chars().all(legal) {
            return Err(SelectionError::IllegalCharacter(lower));
        }
        if lower.contains(['*', '?']) {
            // Only literals, dots, dashes and the two wildcards are left: each such glob is valid.
            Pattern::new(value).map(Self::Pattern).map_err(|_| SelectionError::IllegalCharacter(lower))
        } else {
            Ok(Self::Name(value.to_owned()))
        }
    }
}

/// A pattern over database names: `*` is one or more characters, `?` is one or none, case does not matter.
#[derive(Clone, Debug)]
pub struct Pattern {
    typed: String,
    matcher: GlobMatcher,
}

impl Pattern {
    /// Translates into a glob, where `*` may be empty and `?` may not.
    fn new(typed: &str) -> Result<Self, globset::Error> {
        let mut glob = String::with_capacity(typed.len() * 4);
        for character in typed.chars() {
            match character {
                '*' => glob.push_str("?*"),
                '?' => glob.push_str("{,?}"),
                literal => glob.push_str(&globset::escape(literal.encode_utf8(&mut [0; 4]))),
            }
        }
        let matcher =
            GlobBuilder::new(&glob).case_insensitive(true).empty_alternates(true).build()?.compile_matcher();
        Ok(Self { typed: typed.to_owned(), matcher })
    }

    /// The pattern as typed.
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }

    /// The matching names in the order in which they are backed up: `system` first, because it knows the others'
    /// users and roles, then by name.
    pub fn select(&self, mut names: Vec<String>) -> Vec<String> {
        names.retain(|name| self.matches(name));
        names.sort_by(|a, b| (a != "system", a).cmp(&(b != "system", b)));
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(typed: &str) -> Pattern {
        match Selection::parse(typed) {
            Ok(Selection::Pattern(pattern)) => pattern,
            other => panic!("{typed}: {other:?}"),
        }
    }

    #[test]
    fn patterns_match_as_in_neo4j() {
        let names = "system neo4j n neo4j2 ac abc abbc fo foo fooo j a.b1 axb1";
        for (typed, expected) in [
            ("*", names),
            ("n*", "neo4j neo4j2"),
            ("N*", "neo4j neo4j2"),
            ("neo4j*", "neo4j2"),
            ("*j", "neo4j"),
            ("a?c", "ac abc"),
            ("fo?", "fo foo"),
            ("fo??", "fo foo fooo"),
            ("a.b*", "a.b1"),
            ("**", "system neo4j neo4j2 ac abc abbc fo foo fooo a.b1 axb1"),
            ("?", "n j"),
        ] {
            let pattern = pattern(typed);
            let matched: Vec<_> = names.split(' ').filter(|name| pattern.matches(name)).collect();
            assert_eq!(matched.join(" "), expected, "{typed}");
        }
    }

    #[test]
    fn system_comes_first_then_the_others_by_name() {
        let names = ["zoo", "neo4j", "system", "aa"].map(str::to_owned).to_vec();
        assert_eq!(pattern("*").select(names), ["system", "aa", "neo4j", "zoo"]);
    }

    #[test]
    fn the_longest_pattern_of_question_marks_is_usable() {
        let all = pattern(&"?".repeat(LONGEST_NAME));
        assert!(all.matches("neo4j"));
        assert!(all.matches(&"a".repeat(LONGEST_NAME)));
        assert!(!all.matches(&"a".repeat(LONGEST_NAME + 1)));
    }

    #[test]
    fn values_that_no_database_can_have_are_refused() {
        let illegal = |name: &str| SelectionError::IllegalCharacter(name.to_owned());
        for (value, expected) in [
            ("", SelectionError::Empty),
            ("  ", SelectionError::Empty),
            (&"a".repeat(64), SelectionError::TooLong),
            ("Neo4j Db", illegal("neo4j db")),
            ("a/b", illegal("a/b")),
            ("[a]", illegal("[a]")),
            ("{a,b}*", illegal("{a,b}*")),
            ("naïve", illegal("naïve")),
        ] {
            assert_eq!(Selection::parse(value).err(), Some(expected), "{value:?}");
        }
        assert!(matches!(Selection::parse("Neo4J.a-b"), Ok(Selection::Name(name)) if name == "Neo4J.a-b"));
    }
}
