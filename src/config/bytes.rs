//! Sizes in bytes as people write them: `--pagecache=8m`, `dbms.tx_log.rotation.size=250MiB`.

/// Text is not a size. Both texts are Neo4j's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No number, or no unit that exists.
    #[error(
        "'{0}' is not a valid size, must be e.g. 10, 5K, 1M, 11G (valid multipliers are `B`, `KiB`, `KB`, `K`, `kB`, \
         `kb`, `k`, `MiB`, `MB`, `M`, `mB`, `mb`, `m`, `GiB`, `GB`, `G`, `gB`, `gb`, `g`, `TiB`, `TB`, `PiB`, `PB`, \
         `EiB`, `EB`)"
    )]
    Malformed(String),
    /// Negative, or beyond 2^63.
    #[error("'{0}' is not a valid size. Value should be between 0 and 8388608.00TiB")]
    OutOfRange(String),
}

/// Reads a size: a decimal number in English notation (`1.5`, `1,000`), blanks, a case-sensitive unit, and returns
/// bytes, 0 to 2^63 - 1. All units are powers of 1024; fractions of a byte are dropped.
///
/// Specification: command line 2.8.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let malformed = || SizeError::Malformed(text.to_owned());
    let (number, rest) = Number::scan(text.trim_start_matches(blank)).ok_or_else(malformed)?;
    // As in the original, the unit is the next word, and whatever follows it is ignored.
    let unit = rest.trim_start_matches(blank).split(blank).next().unwrap_or_default();
    let shift = shift_of(unit).ok_or_else(malformed)?;

    let factor = (1_u64 << shift) as f64;
    let value: f64 = number.text.parse().map_err(|_| malformed())?;
    let value = value * factor;
    if value < 0.0 || value > i64::MAX as f64 {
        return Err(SizeError::OutOfRange(text.to_owned()));
    }
    // The original keeps a number without unit as an integer and computes the others in floating point.
    let exact = if unit.is_empty() { number.text.parse::<i64>().ok() } else { None };
    #[expect(clippy::cast_possible_truncation, reason = "range was checked, and 2^63 itself saturates")]
    Ok(exact.unwrap_or(value as i64).unsigned_abs())
}

/// The power of two behind a unit.
fn shift_of(unit: &str) -> Option<u32> {
    Some(match unit {
        "" | "B" => 0,
        "KiB" | "KB" | "K" | "kB" | "kb" | "k" => 10,
        "MiB" | "MB" | "M" | "mB" | "mb" | "m" => 20,
        "GiB" | "GB" | "G" | "gB" | "gb" | "g" => 30,
        "TiB" | "TB" => 40,
        "PiB" | "PB" => 50,
        "EiB" | "EB" => 60,
        _ => return None,
    })
}

fn blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// A number at the start of a text, without its grouping commas.
struct Number {
    text: String,
}

impl Number {
    /// The longest number that `text` begins with, and what follows it.
    fn scan(text: &str) -> Option<(Self, &str)> {
        let mut number = String::new();
        let mut rest = text;
        if let Some(after) = rest.strip_prefix('-') {
            number.push('-');
            rest = after;
        }
        let before = number.len();
        loop {
            rest = take_digits(rest, &mut number);
            // Grouping is lenient about where the commas stand, but a digit must follow.
            match rest.strip_prefix(',').filter(|after| after.starts_with(|c: char| c.is_ascii_digit())) {
                Some(after) => rest = after,
                None => break,
            }
        }
        let mut digits = number.len() - before;
        if let Some(after) = rest.strip_prefix('.') {
            let mut fraction = String::new();
            let end = take_digits(after, &mut fraction);
            if digits + fraction.len() > 0 {
                digits += fraction.len();
                if !fraction.bytes().all(|digit| digit == b'0') {
                    number.push('.');
                    number.push_str(&fraction);
                }
                rest = end;
            }
        }
        if digits == 0 {
            return None;
        }
        if let Some(after) = rest.strip_prefix('E') {
            let mut exponent = String::from("E");
            let after = after.strip_prefix('-').inspect(|_| exponent.push('-')).unwrap_or(after);
            let signed = exponent.len();
            let end = take_digits(after, &mut exponent);
            if exponent.len() > signed {
                number.push_str(&exponent);
                rest = end;
            }
        }
        Some((Self { text: number }, rest))
    }
}

/// Moves the leading decimal digits of `text` to `into`; returns the rest.
fn take_digits<'a>(text: &'a str, into: &mut String) -> &'a str {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    into.push_str(text.strip_suffix(rest).unwrap_or_default());
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Neo4j 4.4.38 makes of each text.
    const ACCEPTED: &[(&str, u64)] = &[
        ("8m", 8 << 20),
        ("1.5G", 1_610_612_736),
        ("4096", 4096),
        ("2 g", 2 << 30),
        ("1,000", 1000),
        ("1,000k", 1_024_000),
        ("1,000.5k", 1_024_512),
        ("1,0,0k", 102_400),
        (",1", 1),
        ("1.5", 1),
        ("1.9", 1),
        ("0.5", 0),
        ("-0", 0),
        (".5k", 512),
        ("5.", 5),
        ("1.4999k", 1535),
        ("1.005k", 1029),
        ("1E3k", 1_024_000),
        ("1E-3M", 1048),
        ("1E5", 100_000),
        ("1EB", 1 << 60),
        ("1 k b", 1024),
        ("1 m junk", 1 << 20),
        (" 8m ", 8 << 20),
        ("8\tm", 8 << 20),
        ("10 B", 10),
        ("9007199254740993", 9_007_199_254_740_993),
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("9007199254740993B", 9_007_199_254_740_992),
        ("4503599627370497k", 4_611_686_018_427_388_928),
        ("8388607.9TiB", 9_223_371_926_903_613_440),
        ("8388608TiB", i64::MAX as u64),
        ("9223372036854775808", i64::MAX as u64),
        ("7.99EiB", 9_211_842_821_808_707_584),
    ];

    #[test]
    fn sizes_have_the_values_of_the_original() {
        for (text, bytes) in ACCEPTED {
            assert_eq!(parse(text), Ok(*bytes), "{text:?}");
        }
    }

    #[test]
    fn every_unit_of_the_message_exists() {
        let message = SizeError::Malformed(String::new()).to_string();
        let units: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        assert_eq!(units.len(), 25);
        for unit in units {
            assert!(parse(&format!("1{unit}")).is_ok(), "{unit}");
        }
    }

    #[test]
    fn malformed_sizes_list_the_units() {
        let tail = " is not a valid size, must be e.g. 10, 5K, 1M, 11G (valid multipliers are `B`, `KiB`, `KB`, `K`, \
                    `kB`, `kb`, `k`, `MiB`, `MB`, `M`, `mB`, `mb`, `m`, `GiB`, `GB`, `G`, `gB`, `gb`, `g`, `TiB`, \
                    `TB`, `PiB`, `PB`, `EiB`, `EB`)";
        for text in [
            "1T",
            "",
            "  ",
            "k",
            "1kk",
            "1e3",
            "0x10",
            "+5",
            "--5",
            "1.5.5",
            "8 mib",
            "1_000",
            "1b",
            "1,k",
            "1,",
            "10\u{a0}m",
            "-",
            "m8",
            "1E B",
            "1E",
            "1E+3k",
            ".",
            ".k",
            "1.,5",
            "1 000",
            "- 1",
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), format!("'{text}'{tail}"));
        }
    }

    #[test]
    fn negative_and_huge_sizes_are_out_of_range() {
        for text in ["-1", "-1k", "-,1", "-0.5", "92233720368547758070", "1E2EiB", "1E400", "-1E400k"] {
            assert_eq!(
                parse(text).unwrap_err().to_string(),
                format!("'{text}' is not a valid size. Value should be between 0 and 8388608.00TiB")
            );
        }
    }
}
