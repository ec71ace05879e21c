//! `@file` on the command line: the words of a file in place of one word.

use std::collections::HashSet;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

use rustix::fs::{Access, access};

use super::usage::UsageError;

/// Puts the words of each readable `@file` in its place; files may name further files.
///
/// `@@word` stands for the word `@word`. A word that names no readable file stays as it is. A file that is named
/// again by a file, be it itself, gives no more words. Specification: command line 1.1.
pub(super) fn expand(words: Vec<String>) -> Result<Vec<String>, UsageError> {
    let mut expansion = Expansion { visited: HashSet::new(), words: Vec::with_capacity(words.len()) };
    for word in words {
        expansion.visited.clear();
        expansion.add(word)?;
    }
    Ok(expansion.words)
}

struct Expansion {
    visited: HashSet<PathBuf>,
    words: Vec<String>,
}

impl Expansion {
    fn add(&mut self, word: String) -> Result<(), UsageError> {
        let Some(name) = word.strip_prefix('@') else {
            self.words.push(word);
            return Ok(());
        };
        if name.starts_with('@') {
            self.words.push(name.to_owned());
        } else if !name.is_empty() && access(name, Access::READ_OK).is_ok() {
            self.add_file(Path::new(name))?;
        } else {
            self.words.push(word);
        }
        Ok(())
    }

    fn add_file(&mut self, file: &Path) -> Result<(), UsageError> {
        let unreadable = |source| UsageError::ArgumentFile { file: file.to_owned(), source };
        if self.visited.insert(std::path::absolute(file).map_err(unreadable)?) {
            let text = std::fs::read_to_string(file).map_err(unreadable)?;
            for word in Tokens::new(&text) {
                self.add(word)?;
            }
        }
        Ok(())
    }
}

/// Words as Java's `StreamTokenizer` cuts them: blanks and control characters separate, `"` and `'` start a word that
/// ends at the same character or at the end of the line, `#` starts a comment. Both also end a word that came before
/// without a blank between.
struct Tokens<'t> {
    characters: Peekable<Chars<'t>>,
}

impl<'t> Tokens<'t> {
    fn new(text: &'t str) -> Self {
        Self { characters: text.chars().peekable() }
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut word = String::new();
        while let Some(character) = self.characters.next_if(|c| !matches!(c, '\n' | '\r')) {
            match character {
                _ if character == quote => break,
                '\\' => word.extend(self.escaped()),
                _ => word.push(character),
            }
        }
        word
    }

    /// What stands after a backslash: a letter for a control character, up to three octal digits, or itself.
    fn escaped(&mut self) -> Option<char> {
        let first = self.characters.next()?;
        let Some(mut code) = first.to_digit(8) else {
            return Some(match first {
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0b',
                other => other,
            });
        };
        // A third digit only if the value stays below 256.
        for _ in 0..if first <= '3' { 2 } else { 1 } {
            match self.characters.next_if(|c| c.is_digit(8)).and_then(|c| c.to_digit(8)) {
                Some(digit) => code = code * 8 + digit,
                None => break,
            }
        }
        char::from_u32(code)
    }
}

impl Iterator for Tokens<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            match self.characters.next()? {
                '\0'..=' ' => {}
                '#' => while self.characters.next_if(|c| !matches!(c, '\n' | '\r')).is_some() {},
                quote @ ('"' | '\'') => return Some(self.quoted(quote)),
                first => {
                    let mut word = String::from(first);
                    while let Some(c) =
                        self.characters.next_if(|c| !matches!(c, '\0'..=' ' | '#' | '"' | '\''))
                    {
                        word.push(c);
                    }
                    return Some(word);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        Tokens::new(text).collect()
    }

    #[test]
    fn words_are_cut_as_by_the_tokenizer_of_java() {
        for (text, words) in [
            ("", &[][..]),
            (" a\tb\r\nc ", &["a", "b", "c"]),
            ("a # comment \"x\"\nb", &["a", "b"]),
            ("--from=h:1#c", &["--from=h:1"]),
            ("\"a b\" 'c \"d'", &["a b", "c \"d"]),
            ("--from=\"h x\":3", &["--from=", "h x", ":3"]),
            ("'open to the end\nof the line", &["open to the end", "of", "the", "line"]),
            (r#""a\tb\101\q\\\"" x\ty"#, &["a\tbAq\\\"", r"x\ty"]),
            (r#""\477\8""#, &["'78"]),
            ("ä€ b", &["ä€", "b"]),
        ] {
            assert_eq!(tokens(text), words, "{text:?}");
        }
    }

    #[test]
    fn files_may_name_files_but_each_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("first"), directory.path().join("second"));
        std::fs::write(&first, format!("a @{} @@b @{}", second.display(), first.display())).unwrap();
        std::fs::write(&second, format!("c @{}", first.display())).unwrap();
        let words =
            expand(vec![format!("@{}", first.display()), "@".to_owned(), "@no/such".to_owned()]).unwrap();
        assert_eq!(words, ["a", "c", "@b", "@", "@no/such"]);
    }

    #[test]
    fn a_directory_is_no_argument_file() {
        let directory = tempfile::tempdir().unwrap();
        let word = format!("@{}", directory.path().display());
        let error = expand(vec![word.clone()]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("Could not read argument file {word}")), "{error}");
    }
}
