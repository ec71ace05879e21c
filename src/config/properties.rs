//! The syntax of `neo4j.conf`: Java properties.

/// A `\u` without four hexadecimal digits behind it. The text is Java's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Malformed \\uxxxx encoding.")]
pub struct MalformedEscape {
    /// First line of the logical line with the escape; the first line of a file is 1.
    pub line: usize,
}

/// A logical line: one key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped; it may be empty.
    pub key: String,
    /// The value, unescaped, with its trailing blanks; empty if there is none.
    pub value: String,
    /// The line on which the logical line begins; the first line of a file is 1.
    pub line: usize,
}

/// Takes a file apart. Every byte is a character (ISO-8859-1).
///
/// * A logical line is a natural one, continued by the next one if it ends in an odd number of backslashes; blanks at
///   the start of any of them are dropped. Blank lines and lines that begin with `#` or `!` are skipped, and a comment
///   is never continued.
/// * The key ends at the first `=`, `:` or blank without a backslash before it. Blanks, at most one `=` or `:`, and
///   blanks again separate it from the value.
/// * `\t`, `\n`, `\r`, `\f` and `\u` with four hexadecimal digits (a UTF-16 unit) are what they say, any other `\c` is `c`.
///
/// Specification: command line 5.4.
pub fn parse(input: &[u8]) -> Result<Vec<Entry>, MalformedEscape> {
    let mut entries = Vec::new();
    let mut lines = NaturalLines { rest: input, line: 0 };
    while let Some((line, text)) = lines.next() {
        // A line of nothing but a backslash counts as blank, so what follows it may be a comment.
        if matches!(text.first(), None | Some(b'#' | b'!')) || text == b"\\" {
            continue;
        }
        let mut logical = text.to_vec();
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, more)) => logical.extend_from_slice(more),
                None => break,
            }
        }
        entries.push(split(&logical, line)?);
    }
    Ok(entries)
}

/// Lines without their ends and the blanks at their start.
struct NaturalLines<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Iterator for NaturalLines<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = match rest {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => rest,
        };
        self.line += 1;
        let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
        Some((self.line, text.get(blanks..).unwrap_or_default()))
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

fn ends_in_continuation(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Splits a logical line at its separator.
fn split(text: &[u8], line: usize) -> Result<Entry, MalformedEscape> {
    let mut escaped = false;
    let ends_key = |byte: &u8| {
        let end = !escaped && (matches!(byte, b'=' | b':') || is_blank(*byte));
        escaped = !escaped && *byte == b'\\';
        end
    };
    let end = text.iter().position(ends_key).unwrap_or(text.len());
    let (key, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let rest = skip_blanks(rest);
    let value = match rest {
        [b'=' | b':', value @ ..] => skip_blanks(value),
        value => value,
    };
    Ok(Entry { key: unescape(key, line)?, value: unescape(value, line)?, line })
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    text.get(blanks..).unwrap_or_default()
}

fn unescape(text: &[u8], line: usize) -> Result<String, MalformedEscape> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let unit = if byte == b'\\' {
            match bytes.next() {
                Some(b't') => u16::from(b'\t'),
                Some(b'n') => u16::from(b'\n'),
                Some(b'r') => u16::from(b'\r'),
                Some(b'f') => 0x0c,
                Some(b'u') => {
                    let digits: String = bytes.by_ref().take(4).map(char::from).collect();
                    let is_hexadecimal = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                    is_hexadecimal
                        .then(|| u16::from_str_radix(&digits, 16).ok())
                        .flatten()
                        .ok_or(MalformedEscape { line })?
                }
                Some(other) => u16::from(other),
                None => break,
            }
        } else {
            u16::from(byte)
        };
        units.push(unit);
    }
    Ok(String::from_utf16_lossy(&units))
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(input: &[u8]) -> Vec<(String, String)> {
        parse(input).unwrap().into_iter().map(|entry| (entry.key, entry.value)).collect()
    }

    #[test]
    fn every_separator_ends_the_key() {
        for text in ["k=v", "k:v", "k v", "k = v", " \t k\t:\tv", "k  v", "k\u{c}=v", "k=\\\n  v", "k\\\n=v"]
        {
            assert_eq!(pairs(text.as_bytes()), [("k".to_owned(), "v".to_owned())], "{text:?}");
        }
        assert_eq!(pairs(b"k==v"), [("k".to_owned(), "=v".to_owned())], "one separator only");
        assert_eq!(pairs(b"k v=w :x "), [("k".to_owned(), "v=w :x ".to_owned())], "trailing blanks stay");
        assert_eq!(pairs(b"k"), [("k".to_owned(), String::new())]);
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        let input = b"# k=1 \\\n! k=2\n\n \t \n  #k=3\nk=4 # not a comment\n";
        assert_eq!(pairs(input), [("k".to_owned(), "4 # not a comment".to_owned())]);
    }

    #[test]
    fn escapes_and_latin_1_give_unicode() {
        let input = b"\\u006b\\=\\:\\ \\#=C:\\\\temp\\t\\n\\r\\f\\q\\ud83d\\ude00\xe4";
        assert_eq!(pairs(input), [("k=: #".to_owned(), "C:\\temp\t\n\r\u{c}q😀ä".to_owned())]);
        for (input, line) in [("k=\\u00", 1), ("\n\nk=\\\n\\u+123", 3), ("a=b\r\nk=\\u00gg", 2)] {
            assert_eq!(parse(input.as_bytes()), Err(MalformedEscape { line }), "{input:?}");
        }
        assert_eq!(MalformedEscape { line: 1 }.to_string(), r"Malformed \uxxxx encoding.");
    }

    #[test]
    fn an_entry_tells_the_line_where_it_begins() {
        let input = b"# one\r\ntwo=a\\\r\n   b\rfour=c\n\n\\\nseven=d";
        let lines: Vec<_> = parse(input).unwrap().into_iter().map(|e| (e.line, e.key, e.value)).collect();
        let expected =
            [(2, "two", "ab"), (4, "four", "c"), (7, "seven", "d")].map(|(l, k, v)| (l, k.into(), v.into()));
        assert_eq!(lines, expected);
    }

    /// Random inputs with what `java.util.Properties` (Java 17) made of them; `!` stands for an error.
    #[test]
    fn recorded_inputs_give_what_java_gives() {
        let bytes = |text: &str| -> Vec<u8> {
            let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
            digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
        };
        let text = |hex: &str| String::from_utf8(bytes(hex)).unwrap();
        let recorded = include_str!("../../fixtures/config/java-properties.txt");
        let cases = recorded.lines().filter(|line| !line.starts_with('#'));
        let mut count = 0;
        for case in cases {
            let (input, expected) = case.split_once(' ').unwrap();
            let pairs = |list: &str| -> Vec<(String, String)> {
                let pairs = list.split(',').map(|pair| pair.split_once('=').unwrap());
                pairs.map(|(key, value)| (text(key), text(value))).collect()
            };
            let expected = (expected != "!").then(|| pairs(expected));
            let found = parse(&bytes(input)).ok();
            let found = found.map(|entries| entries.into_iter().map(|e| (e.key, e.value)).collect());
            assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(&bytes(input)));
            count += 1;
        }
        assert_eq!(count, 400);
    }

    /// Writes a text so that it is read back as it was.
    fn escape(text: &str) -> String {
        let escaped = |unit: u16| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii_alphanumeric() && !b"tnrfu".contains(&byte) => {
                char::from(byte).to_string()
            }
            Ok(byte) if byte.is_ascii_punctuation() => format!("\\{}", char::from(byte)),
            _ => format!("\\u{unit:04x}"),
        };
        text.encode_utf16().map(escaped).collect()
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(entries) = parse(&input) {
                prop_assert!(entries.len() <= input.len());
            }
        }

        #[test]
        fn an_escaped_entry_is_read_back(
            entries in proptest::collection::vec((".{1,20}", ".{0,40}"), 0..8),
            separator in prop::sample::select(vec!["=", ":", " ", " = ", "\t:"]),
            end in prop::sample::select(vec!["\n", "\r", "\r\n", "\n\n# x\n", "\\\n\n"]),
        ) {
            let line = |(key, value): &(String, String)| [&escape(key), separator, &escape(value), end].concat();
            let text: String = entries.iter().map(line).collect();
            prop_assert_eq!(pairs(text.as_bytes()), entries);
        }
    }
}
