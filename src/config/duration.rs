//! Durations as `neo4j.conf` has them: `20m`, `1h30m`, `90`.

use std::time::Duration;

/// Text is not a duration. The first two texts are Neo4j's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A unit that does not exist.
    #[error(
        "Unrecognized unit `{0}`. Valid units are: `ns`, `μs`, `ms`, `s`, `m`, `h` and `d`; default unit is `s`"
    )]
    Unit(String),
    /// A digit must come first.
    #[error("Missing numeric value")]
    NumberMissing,
    /// A number of more than 2^31 - 1.
    #[error("'{0}' is too large a number for a duration, at most 2147483647 is possible")]
    TooLarge(String),
    /// More than one number, and the last one has no unit.
    #[error("Missing unit after `{0}`: only a single number may stand without one, it means seconds")]
    UnitMissing(String),
}

/// Reads one or more numbers with their units, in any case and order. A single number without unit means seconds.
/// The sum is cut to milliseconds and ends at 2^63 - 1 nanoseconds.
///
/// Specification: command line 5.4.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let mut rest = text;
    let mut total: u64 = 0;
    loop {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = rest.strip_suffix(after).unwrap_or_default();
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        if digits.is_empty() {
            return Err(DurationError::NumberMissing);
        }
        if unit.is_empty() && digits.len() < text.len() {
            return Err(DurationError::UnitMissing(digits.to_owned()));
        }
        let number = digits.parse::<i32>().map_err(|_| DurationError::TooLarge(digits.to_owned()))?;
        let nanos = nanos_per(unit).ok_or_else(|| DurationError::Unit(unit.to_owned()))?;
        total = total.saturating_add(u64::from(number.unsigned_abs()).saturating_mul(nanos));
        rest = next;
        if rest.is_empty() {
            break;
        }
    }
    Ok(Duration::from_millis(total.min(i64::MAX as u64) / 1_000_000))
}

/// Nanoseconds in one of the unit.
fn nanos_per(unit: &str) -> Option<u64> {
    Some(match unit.to_lowercase().as_str() {
        "ns" => 1,
        "us" | "μs" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_values_of_the_original() {
        for (text, millis) in [
            ("20m", 1_200_000),
            ("1h30m", 5_400_000),
            ("90", 90_000),
            ("1s1s", 2_000),
            ("10ms", 10),
            ("10us", 0),
            ("10μs", 0),
            ("1000us", 1),
            ("999us1us", 1),
            ("999us999us", 1),
            ("10ns", 0),
            ("1d", 86_400_000),
            (" 10\t", 10_000),
            ("10S", 10_000),
            ("10M", 600_000),
            ("1MS", 1),
            ("0", 0),
            ("2147483647", 2_147_483_647_000),
            ("2147483647d", 9_223_372_036_854),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text:?}");
        }
    }

    #[test]
    fn unknown_units_are_quoted_and_the_known_ones_listed() {
        for (text, unit) in [
            ("5x", "x"),
            ("5 s", " s"),
            ("5s 6", "s "),
            ("1.5s", "."),
            ("1h 30m", "h "),
            ("10µs", "µs"),
            ("1h-30m", "h-"),
            ("10mm", "mm"),
            ("5;", ";"),
        ] {
            assert_eq!(
                parse(text).unwrap_err().to_string(),
                format!(
                    "Unrecognized unit `{unit}`. Valid units are: `ns`, `μs`, `ms`, `s`, `m`, `h` and `d`; default \
                     unit is `s`"
                )
            );
        }
    }

    #[test]
    fn a_number_must_come_first() {
        for text in ["", "  ", "x", "s", "-5s", "-5", "+5s"] {
            assert_eq!(parse(text).unwrap_err().to_string(), "Missing numeric value", "{text:?}");
        }
    }

    #[test]
    fn numbers_beyond_the_range_and_a_last_number_without_unit_are_explained() {
        assert_eq!(
            parse("2147483648").unwrap_err().to_string(),
            "'2147483648' is too large a number for a duration, at most 2147483647 is possible"
        );
        assert_eq!(
            parse("1m30").unwrap_err().to_string(),
            "Missing unit after `30`: only a single number may stand without one, it means seconds"
        );
    }
}
