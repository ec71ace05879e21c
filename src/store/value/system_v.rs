//! The zones `SystemV/...`: the list of all zones dropped them in 2020, Java still has them.

use time::{Date, Duration, Month, OffsetDateTime};

use super::offset::CYCLE;

const HOUR: i64 = 3600;
/// 1900-01-01: Java knows no summer time before.
const FIRST_SUMMER: i64 = -2_208_988_800;

/// Seconds that local time is ahead of UTC at a second since 1970 UTC; `None`: no such zone.
///
/// `SystemV/EST5` is always 5 hours behind UTC. `SystemV/EST5EDT` has summer time from 2:00 on the last Sunday of April to
/// 2:00 on the last Sunday of October, longer in 1974 and 1975, when oil was short.
pub(super) fn offset(name: &str, second: i64) -> Option<i32> {
    let zone = name.strip_prefix("SystemV/")?;
    let hours = zone.get(3..)?.trim_end_matches(|letter: char| letter.is_ascii_uppercase());
    let standard = -HOUR * hours.parse::<i64>().ok()?;
    let summer = !zone.ends_with(hours) && second >= FIRST_SUMMER && is_summer(standard, second)?;
    i32::try_from(standard + if summer { HOUR } else { 0 }).ok()
}

fn is_summer(standard: i64, second: i64) -> Option<bool> {
    let in_cycle = second.rem_euclid(CYCLE);
    let year = OffsetDateTime::from_unix_timestamp(in_cycle).ok()?.year();
    let (start, end) = match year {
        1974 if in_cycle == second => (date(year, Month::January, 6)?, last_sunday(year, Month::November)?),
        1975 if in_cycle == second => (date(year, Month::February, 23)?, last_sunday(year, Month::October)?),
        _ => (last_sunday(year, Month::April)?, last_sunday(year, Month::October)?),
    };
    // 2:00 in the time that ends.
    let start = midnight(start) + 2 * HOUR - standard;
    let end = midnight(end) + HOUR - standard;
    Some((start..end).contains(&in_cycle))
}

fn date(year: i32, month: Month, day: u8) -> Option<Date> {
    Date::from_calendar_date(year, month, day).ok()
}

fn last_sunday(year: i32, month: Month) -> Option<Date> {
    let last = date(year, month, month.length(year))?;
    last.checked_sub(Duration::days(last.weekday().number_days_from_sunday().into()))
}

fn midnight(date: Date) -> i64 {
    date.midnight().assume_utc().unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summers_are_those_of_java() {
        let hours = |name, second| offset(name, second).map(|offset| offset / 3600);
        assert_eq!(hours("SystemV/HST10", 0), Some(-10));
        assert_eq!(hours("Europe/Berlin", 0), None);
        let name = "SystemV/EST5EDT";
        // 2020-04-26T07:00Z and 2020-10-25T06:00Z.
        for (second, expected) in [
            (1_587_884_399, -5),
            (1_587_884_400, -4),
            (1_603_605_599, -4),
            (1_603_605_600, -5),
            // 1974-01-06T07:00Z, and the same in the year 2374.
            (126_687_599, -5),
            (126_687_600, -4),
            (126_687_600 + CYCLE, -5),
            // 1975-02-23T07:00Z.
            (162_370_799, -5),
            (162_370_800, -4),
            // The summers of 1900 and 1899.
            (-2_192_000_000, -4),
            (-2_223_500_000, -5),
            (i64::MIN, -5),
        ] {
            assert_eq!(hours(name, second), Some(expected), "{second}");
        }
        assert!(hours(name, i64::MAX).is_some());
    }
}
