//! Value types of settings: how each is read from its text.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::bytes::{self, SizeError};
use super::duration::{self, DurationError};

/// A text is no value of its setting's type. The texts are Neo4j's own, except where a variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a boolean.
    #[error("'{0}' is not a valid boolean value, must be 'true' or 'false'")]
    Boolean(String),
    /// Not a decimal number of 32 bits.
    #[error("'{0}' is not a valid integer value")]
    Integer(String),
    /// None of the words that the type has.
    #[error("'{value}' not one of [{}]", options.join(", "))]
    NotOneOf {
        /// What was written.
        value: String,
        /// What may be written.
        options: Vec<&'static str>,
    },
    /// Of the right type, but beyond a limit or not of the right form.
    #[error("Failed to validate '{value}' for '{setting}': {constraint}")]
    Constraint {
        /// Name of the setting.
        setting: &'static str,
        /// The value.
        value: String,
        /// What it violates.
        constraint: String,
    },
    /// Not a size.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// Not a duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// A path with a NUL in it.
    #[error("Nul character not allowed: {0}")]
    Nul(String),
    /// Not `<major>.<minor>` (our text).
    #[error("'{0}' is not a valid protocol version, must be e.g. 4.0")]
    Version(String),
    /// A TLS version that exists but is not offered (our text).
    #[error("TLS version '{0}' is not supported because it is not safe, use TLSv1.2 or TLSv1.3")]
    UnsafeTlsVersion(String),
    /// A cipher suite that is unknown or not offered (our text).
    #[error("cipher suite '{name}' is not supported, use some of {}", supported.join(", "))]
    Cipher {
        /// What was written.
        name: String,
        /// What may be written.
        supported: Vec<&'static str>,
    },
}

/// A text that never appears in logs and errors.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Sixteen `#` for every secret, so that not even the length shows.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("################")
    }
}

/// The blanks that Java's `String.trim` takes away.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// A type that is one of a few words, in any case.
pub(super) trait Words: Sized + Copy + 'static {
    /// The words in their order, each with its value.
    const WORDS: &'static [(&'static str, Self)];

    fn word(self) -> &'static str
    where
        Self: PartialEq,
    {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| *word)
    }
}

pub(super) fn one_of<T: Words>(_: &'static str, text: &str) -> Result<T, ValueError> {
    let value = trim(text);
    let found = T::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
    found.map(|(_, value)| *value).ok_or_else(|| ValueError::NotOneOf {
        value: text.to_owned(),
        options: T::WORDS.iter().map(|(word, _)| *word).collect(),
    })
}

pub(super) fn boolean(_: &'static str, text: &str) -> Result<bool, ValueError> {
    match trim(text).to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(ValueError::Boolean(text.to_owned())),
    }
}

pub(super) fn integer(_: &'static str, text: &str) -> Result<i32, ValueError> {
    trim(text).parse().map_err(|_| ValueError::Integer(text.to_owned()))
}

/// An integer from `MIN` on; a value beyond `MAX` is reported as Neo4j reports it.
pub(super) fn integer_between<const MIN: i32, const MAX: i32>(
    setting: &'static str,
    text: &str,
) -> Result<i32, ValueError> {
    let value = integer(setting, text)?;
    let constraint = match value {
        _ if value < MIN => format!("minimum allowed value is {MIN}"),
        _ if value > MAX => format!("maximum allowed value is {MAX}"),
        _ => return Ok(value),
    };
    Err(ValueError::Constraint { setting, value: value.to_string(), constraint })
}

pub(super) fn size(_: &'static str, text: &str) -> Result<u64, ValueError> {
    Ok(bytes::parse(text)?)
}

/// A size, or nothing.
pub(super) fn optional_size(setting: &'static str, text: &str) -> Result<Option<u64>, ValueError> {
    if trim(text).is_empty() { Ok(None) } else { size(setting, text).map(Some) }
}

/// A size of at least 128 KiB.
pub(super) fn rotation_size(setting: &'static str, text: &str) -> Result<u64, ValueError> {
    let value = size(setting, text)?;
    if value < 128 << 10 {
        let constraint = "minimum allowed value is 128.00KiB".to_owned();
        return Err(ValueError::Constraint { setting, value: value.to_string(), constraint });
    }
    Ok(value)
}

pub(super) fn time(_: &'static str, text: &str) -> Result<Duration, ValueError> {
    Ok(duration::parse(text)?)
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(trim(text).to_owned())
}

/// A path; blanks are part of it, a backslash separates like a slash.
pub(super) fn path(_: &'static str, text: &str) -> Result<PathBuf, ValueError> {
    if text.contains('\0') {
        return Err(ValueError::Nul(text.to_owned()));
    }
    Ok(PathBuf::from(text.replace('\\', "/")))
}

/// Items between commas; empty ones do not count.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(trim).filter(|item| !item.is_empty())
}

pub(super) fn words_of<T: Words>(setting: &'static str, text: &str) -> Result<Vec<T>, ValueError> {
    items(text).map(|item| one_of(setting, item)).collect()
}

/// Protocol versions, each `<major>.<minor>`.
pub(super) fn versions(_: &'static str, text: &str) -> Result<Vec<(u16, u16)>, ValueError> {
    let version = |item: &str| {
        let (major, minor) = item.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    items(text).map(|item| version(item).ok_or_else(|| ValueError::Version(item.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T: fmt::Debug>(result: Result<T, ValueError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn booleans_are_true_or_false_in_any_case() {
        assert_eq!(boolean("s", " TRUE "), Ok(true));
        assert_eq!(boolean("s", "False"), Ok(false));
        for text in ["yes", "", "1"] {
            let expected = format!("'{text}' is not a valid boolean value, must be 'true' or 'false'");
            assert_eq!(error(boolean("s", text)), expected);
        }
    }

    #[test]
    fn integers_have_32_bits_and_limits() {
        assert_eq!((integer("s", " 1 "), integer("s", "+1"), integer("s", "-1")), (Ok(1), Ok(1), Ok(-1)));
        for text in ["1.0", "", "2147483648", "1k", "0x1"] {
            assert_eq!(error(integer("s", text)), format!("'{text}' is not a valid integer value"));
        }
        assert_eq!(integer_between::<1, 32>("s", "32"), Ok(32));
        assert_eq!(
            error(integer_between::<1, 32>("s", "0")),
            "Failed to validate '0' for 's': minimum allowed value is 1"
        );
        assert_eq!(
            error(integer_between::<1, 32>("s", "33")),
            "Failed to validate '33' for 's': maximum allowed value is 32"
        );
    }

    #[test]
    fn a_rotation_size_has_a_minimum() {
        assert_eq!(rotation_size("s", "128K"), Ok(131_072));
        assert_eq!(
            error(rotation_size("s", "100K")),
            "Failed to validate '102400' for 's': minimum allowed value is 128.00KiB"
        );
    }

    #[test]
    fn paths_keep_their_blanks_and_know_both_separators() {
        assert_eq!(path("s", " a\\b "), Ok(PathBuf::from(" a/b ")));
        assert_eq!(error(path("s", "a\0b")), "Nul character not allowed: a\0b");
    }

    #[test]
    fn lists_are_cut_at_commas_and_trimmed() {
        assert_eq!(items(",a,, b ,").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(versions("s", "3.0, 4.0"), Ok(vec![(3, 0), (4, 0)]));
        assert_eq!(versions("s", " "), Ok(vec![]));
        for text in ["4", "4.x", "4.0.1", "-1.0"] {
            let expected = format!("'{text}' is not a valid protocol version, must be e.g. 4.0");
            assert_eq!(error(versions("s", text)), expected);
        }
    }

    #[test]
    fn a_secret_shows_neither_text_nor_length() {
        for text in ["", "geheim"] {
            assert_eq!(format!("{:?}", secret(text)), "################");
        }
        assert_eq!(secret(" a b ").reveal(), "a b");
    }
}
