//! How long transaction logs are kept: `dbms.tx_log.rotation.retention_policy`.

use std::time::Duration;

use super::value::{ValueError, trim};

/// Which transaction log files may go.
///
/// Specification: command line 4.5 and 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionPolicy {
    /// None.
    KeepAll,
    /// All but the newest one that is needed.
    KeepNone,
    /// All but the newest so many files.
    Files(u64),
    /// The oldest ones while all together have more bytes.
    Size(u64),
    /// The oldest ones while the others hold at least so many transactions.
    Transactions(u64),
    /// Those whose transactions are all older.
    Age(Duration),
}

/// `true` or `keep_all`, `false` or `keep_none`, or `<number>[K|M|G] <what>`, the units being powers of 1024.
pub(super) fn parse(setting: &'static str, text: &str) -> Result<RetentionPolicy, ValueError> {
    let value = trim(text);
    read(value).ok_or_else(|| ValueError::Constraint {
        setting,
        value: value.to_owned(),
        constraint: CONSTRAINT.to_owned(),
    })
}

const CONSTRAINT: &str = "value does not match expression: \
    `^(true|keep_all|false|keep_none|(\\d+[KkMmGg]?( (files|size|txs|entries|hours|days))))$` \
    (Must be `true` or `keep_all`, `false` or `keep_none`, or of format `<number><optional unit> <type>`. \
    Valid units are `K`, `M` and `G`. Valid types are `files`, `size`, `txs`, `entries`, `hours` and `days`. \
    For example, `100M size` will limit logical log space on disk to 100MB per database,and `200K txs` will limit \
    the number of transactions kept to 200 000 per database.)";

fn read(value: &str) -> Option<RetentionPolicy> {
    match value {
        "true" | "keep_all" => return Some(RetentionPolicy::KeepAll),
        "false" | "keep_none" => return Some(RetentionPolicy::KeepNone),
        _ => {}
    }
    let (amount, what) = value.split_once(' ')?;
    let unit = amount.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = amount.strip_suffix(unit)?;
    let factor: u64 = match unit {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        _ => return None,
    };
    if digits.is_empty() {
        return None;
    }
    // A number beyond 64 bits keeps everything, and so does the largest one.
    let number = digits.parse().unwrap_or(u64::MAX).saturating_mul(factor);
    let hours = |hours: u64| RetentionPolicy::Age(Duration::from_secs(hours.saturating_mul(3600)));
    Some(match what {
        "files" => RetentionPolicy::Files(number),
        "size" => RetentionPolicy::Size(number),
        "txs" | "entries" => RetentionPolicy::Transactions(number),
        "hours" => hours(number),
        "days" => hours(number.saturating_mul(24)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for (text, policy) in [
            ("true", RetentionPolicy::KeepAll),
            ("keep_all", RetentionPolicy::KeepAll),
            ("false", RetentionPolicy::KeepNone),
            ("keep_none", RetentionPolicy::KeepNone),
            ("7 days", RetentionPolicy::Age(Duration::from_secs(7 * 86_400))),
            ("2 hours", RetentionPolicy::Age(Duration::from_secs(7200))),
            (" 2G size ", RetentionPolicy::Size(2 << 30)),
            ("10k txs", RetentionPolicy::Transactions(10_240)),
            ("10 entries", RetentionPolicy::Transactions(10)),
            ("5m files", RetentionPolicy::Files(5 << 20)),
            ("99999999999999999999 files", RetentionPolicy::Files(u64::MAX)),
        ] {
            assert_eq!(parse("s", text), Ok(policy), "{text:?}");
        }
    }

    #[test]
    fn other_forms_are_refused_with_the_grammar() {
        for text in [
            "",
            "7 dayz",
            "FALSE",
            "7days",
            "100M size 7 days",
            "1.5G size",
            "-1 days",
            "keep_all x",
            "G size",
        ] {
            assert_eq!(
                parse("s", text).unwrap_err().to_string(),
                format!(
                    "Failed to validate '{text}' for 's': value does not match expression: \
                     `^(true|keep_all|false|keep_none|(\\d+[KkMmGg]?( (files|size|txs|entries|hours|days))))$` (Must be \
                     `true` or `keep_all`, `false` or `keep_none`, or of format `<number><optional unit> <type>`. Valid \
                     units are `K`, `M` and `G`. Valid types are `files`, `size`, `txs`, `entries`, `hours` and `days`. \
                     For example, `100M size` will limit logical log space on disk to 100MB per database,and `200K txs` \
                     will limit the number of transactions kept to 200 000 per database.)"
                )
            );
        }
    }
}
