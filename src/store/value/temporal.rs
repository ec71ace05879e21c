//! Dates, times and durations.

use std::ops::RangeInclusive;

use super::zone::ZoneId;
use super::{Array, Value, bits};
use crate::store::error::Malformed;

/// A date and a time of day, without a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDateTime {
    /// Seconds since 1970-01-01T00:00, as if it were UTC.
    pub second: i64,
    /// Nanoseconds of the second.
    pub nano: u32,
}

/// A time of day with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    /// Nanoseconds since midnight where it is told.
    pub local_nano: i64,
    /// Seconds that local time is ahead of UTC.
    pub offset: i32,
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Seconds since 1970-01-01T00:00 UTC.
    pub second: i64,
    /// Nanoseconds of the second.
    pub nano: u32,
    /// Where it is told.
    pub zone: Zone,
}

/// Where a moment is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Seconds that local time is ahead of UTC.
    Offset(i32),
    /// A zone with a name and rules of its own.
    Named(ZoneId),
}

/// A span of time; its parts don't convert into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Duration {
    /// Months.
    pub months: i64,
    /// Days.
    pub days: i64,
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds.
    pub nanos: i64,
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;
const SECONDS_PER_DAY: i64 = 86_400;
/// 18 hours.
const MAX_OFFSET: i64 = 64_800;
/// Days of the years from -999,999,999 to 999,999,999, since 1970-01-01.
const DAYS: RangeInclusive<i64> = -365_243_219_162..=365_241_780_471;
/// As Neo4j compares durations: a month has 30.436875 days.
const SECONDS_PER_MONTH: i64 = 2_629_746;

/// The temporal types.
#[derive(Clone, Copy, Debug)]
pub(super) enum Temporal {
    Date,
    LocalTime,
    LocalDateTime,
    Time,
    DateTime,
    Duration,
}

impl Temporal {
    pub(super) fn of(number: u64) -> Result<Self, Malformed> {
        Ok(match number {
            1 => Self::Date,
            2 => Self::LocalTime,
            3 => Self::LocalDateTime,
            4 => Self::Time,
            5 => Self::DateTime,
            6 => Self::Duration,
            _ => return Err(Malformed::ValuePart { what: "temporal type", value: number as i64 }),
        })
    }
}

/// | Type | Value          | Words | Bit 32 on of the first word                     | Further words                          |
/// |-----:|----------------|------:|-------------------------------------------------|----------------------------------------|
/// |    1 | date           |  1, 2 | bit 32 inline, bits 33-63 day                   | day                                    |
/// |    2 | local time     |  1, 2 | bit 32 inline, bits 33-63 nanosecond of the day | nanosecond of the day                  |
/// |    3 | local date time |    2 | bits 32-63 nanosecond                           | second                                 |
/// |    4 | time           |     2 | bits 32-63 offset                               | nanosecond of the day in UTC           |
/// |    5 | date time      |     3 | bit 32 offset, else zone; bits 33-63 nanosecond | second; offset or zone                 |
/// |    6 | duration       |     4 | bits 32-63 nanoseconds                          | months; days; seconds                  |
///
/// The type is in bits 28-31. Specification: store format 6.5.
const TYPE: usize = 28;
const FLAG: usize = 32;

fn kind(words: &[u64]) -> Result<Temporal, Malformed> {
    Temporal::of(bits::of_words(words, TYPE, 4))
}

/// Words of a value whose first word is this.
pub(super) fn words(first: u64) -> Result<usize, Malformed> {
    Ok(match kind(&[first])? {
        Temporal::Date | Temporal::LocalTime if bits::of_words(&[first], FLAG, 1) == 1 => 1,
        Temporal::Date | Temporal::LocalTime | Temporal::LocalDateTime | Temporal::Time => 2,
        Temporal::DateTime => 3,
        Temporal::Duration => 4,
    })
}

/// The value of all its words.
pub(super) fn decode(words: &[u64]) -> Result<Value, Malformed> {
    let word = |index: usize| words.get(index).copied().unwrap_or_default() as i64;
    let flag = bits::of_words(words, FLAG, 1) == 1;
    let after_flag = bits::of_words(words, FLAG + 1, 31) as i64;
    let upper_half = bits::of_words(words, FLAG, 32) as u32;
    let inline_or_next = || if flag { after_flag } else { word(1) };
    Ok(match kind(words)? {
        Temporal::Date => Value::Date(day(inline_or_next())?),
        Temporal::LocalTime => Value::LocalTime(nano_of_day(inline_or_next())?),
        Temporal::LocalDateTime => Value::LocalDateTime(local_date_time(word(1), upper_half.into())?),
        Temporal::Time => {
            let offset = offset(upper_half.cast_signed().into())?;
            let local = word(1).saturating_add(i64::from(offset) * NANOS_PER_SECOND);
            Value::Time(Time { local_nano: nano_of_day(local)?, offset })
        }
        Temporal::DateTime => {
            let zone = if flag {
                Zone::Offset(offset((word(2) as i32).into())?)
            } else {
                Zone::Named(ZoneId::new((word(2) as u16).into())?)
            };
            Value::DateTime(date_time(word(1), after_flag, zone)?)
        }
        Temporal::Duration => {
            let nanos = upper_half.cast_signed().into();
            Value::Duration(duration(word(1), word(2), word(3), nanos)?)
        }
    })
}

/// The array of a temporal type whose longs are these. Times are local here, unlike in a single value.
/// Specification: store format 6.7.
pub(super) fn array(kind: Temporal, longs: impl Iterator<Item = i64>) -> Result<Array, Malformed> {
    Ok(match kind {
        Temporal::Date => Array::Date(longs.map(day).collect::<Result<_, _>>()?),
        Temporal::LocalTime => Array::LocalTime(longs.map(nano_of_day).collect::<Result<_, _>>()?),
        Temporal::LocalDateTime => {
            Array::LocalDateTime(groups(longs, |[second, nanos]| local_date_time(second, nanos))?)
        }
        Temporal::Time => Array::Time(groups(longs, |[nanos, seconds]| {
            Ok(Time { local_nano: nano_of_day(nanos)?, offset: offset(seconds)? })
        })?),
        Temporal::DateTime => Array::DateTime(groups(longs, |[second, nanos, zone]| {
            let zone = if zone & 1 == 1 {
                Zone::Offset(offset(zone >> 1)?)
            } else {
                Zone::Named(ZoneId::new(zone >> 1)?)
            };
            date_time(second, nanos, zone)
        })?),
        Temporal::Duration => Array::Duration(groups(longs, |[months, days, seconds, nanos]| {
            duration(months, days, seconds, nanos)
        })?),
    })
}

/// Makes one thing of each `N` longs; fewer, at the end of an array that was cut, are none.
fn groups<const N: usize, T>(
    mut longs: impl Iterator<Item = i64>,
    make: impl Fn([i64; N]) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut made = Vec::new();
    while let Some(first) = longs.next() {
        let mut group = [first; N];
        for slot in group.iter_mut().skip(1) {
            let Some(long) = longs.next() else { return Ok(made) };
            *slot = long;
        }
        made.push(make(group)?);
    }
    Ok(made)
}

fn day(value: i64) -> Result<i64, Malformed> {
    if DAYS.contains(&value) { Ok(value) } else { Err(Malformed::ValuePart { what: "day", value }) }
}

/// A second whose day can be told.
fn second(value: i64) -> Result<i64, Malformed> {
    day(value.div_euclid(SECONDS_PER_DAY))?;
    Ok(value)
}

fn local_date_time(value: i64, nanos: i64) -> Result<LocalDateTime, Malformed> {
    Ok(LocalDateTime { second: second(value)?, nano: nano(nanos)? })
}

/// The day must be one where the moment is told.
fn date_time(value: i64, nanos: i64, zone: Zone) -> Result<DateTime, Malformed> {
    // No zone has another day as far from the ends of time as that.
    let is_safe = |value: i64| DAYS.contains(&(value.div_euclid(SECONDS_PER_DAY)));
    if ![-MAX_OFFSET, MAX_OFFSET].into_iter().all(|far| is_safe(value.saturating_add(far))) {
        let offset = match zone {
            Zone::Offset(offset) => offset,
            Zone::Named(zone) => zone.offset_at(value).unwrap_or_default(),
        };
        second(value.saturating_add(offset.into()))?;
    }
    Ok(DateTime { second: value, nano: nano(nanos)?, zone })
}

/// All of it together must be a number of seconds that a long can hold, whether nanoseconds are carried over or not.
fn duration(months: i64, days: i64, seconds: i64, nanos: i64) -> Result<Duration, Malformed> {
    // Nanoseconds below zero take one second more than there are whole ones in them.
    let carried = nanos / NANOS_PER_SECOND - i64::from(nanos < 0);
    let total = || {
        let before =
            months.checked_mul(SECONDS_PER_MONTH)?.checked_add(days.checked_mul(SECONDS_PER_DAY)?)?;
        seconds.checked_add(carried)?;
        before.checked_add(seconds)?.checked_add(carried)
    };
    match total() {
        Some(_) => Ok(Duration { months, days, seconds, nanos }),
        None => Err(Malformed::ValuePart { what: "seconds of a duration", value: seconds }),
    }
}

fn nano(value: i64) -> Result<u32, Malformed> {
    u32::try_from(value)
        .ok()
        .filter(|_| value < NANOS_PER_SECOND)
        .ok_or(Malformed::ValuePart { what: "nanosecond of a second", value })
}

fn nano_of_day(value: i64) -> Result<i64, Malformed> {
    if (0..NANOS_PER_DAY).contains(&value) {
        return Ok(value);
    }
    Err(Malformed::ValuePart { what: "nanosecond of a day", value })
}

fn offset(value: i64) -> Result<i32, Malformed> {
    i32::try_from(value)
        .ok()
        .filter(|_| value.abs() <= MAX_OFFSET)
        .ok_or(Malformed::ValuePart { what: "offset of a zone", value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: i64 = (365_241_780_471 + 1) * SECONDS_PER_DAY - 1;
    const FIRST: i64 = -365_243_219_162 * SECONDS_PER_DAY;

    #[test]
    fn days_end_where_those_of_java_do() {
        assert!(day(365_241_780_471).is_ok() && day(-365_243_219_162).is_ok());
        assert!(day(365_241_780_472).is_err() && day(-365_243_219_163).is_err());
        let local = |second| local_date_time(second, 0).is_ok();
        assert!(local(LAST) && local(FIRST));
        assert!(!local(LAST + 1) && !local(FIRST - 1) && !local(i64::MAX) && !local(i64::MIN));
    }

    #[test]
    fn moments_end_where_they_are_told() {
        let is_moment = |second, zone| date_time(second, 0, zone).is_ok();
        let offset = Zone::Offset(3600);
        assert!(is_moment(LAST - 3600, offset) && !is_moment(LAST - 3599, offset));
        assert!(is_moment(FIRST - 3600, offset) && !is_moment(FIRST - 3601, offset));
        // 5:45 ahead of UTC today, 5:41:16 before there were zones.
        let kathmandu =
            (0..606).map(|number| ZoneId::new(number).unwrap()).find(|zone| zone.name() == "Asia/Katmandu");
        let kathmandu = Zone::Named(kathmandu.unwrap());
        assert!(is_moment(LAST - 20_700, kathmandu) && !is_moment(LAST - 20_699, kathmandu));
        assert!(is_moment(FIRST - 20_476, kathmandu) && !is_moment(FIRST - 20_477, kathmandu));
    }

    #[test]
    fn durations_are_as_long_as_a_long_is() {
        let is_one = |months, days, seconds, nanos| duration(months, days, seconds, nanos).is_ok();
        let months = i64::MAX / SECONDS_PER_MONTH;
        let days = i64::MAX / SECONDS_PER_DAY;
        assert!(is_one(months, 0, 0, 0) && !is_one(months + 1, 0, 0, 0));
        assert!(is_one(0, days, 0, 0) && !is_one(0, days + 1, 0, 0));
        assert!(is_one(0, 0, i64::MAX, NANOS_PER_SECOND - 1) && !is_one(0, 0, i64::MAX, NANOS_PER_SECOND));
        assert!(is_one(0, 0, i64::MIN, 0) && !is_one(0, 0, i64::MIN, -1));
        // What is carried counts by itself, and what it is carried to.
        assert!(!is_one(-1, 0, i64::MAX, NANOS_PER_SECOND));
        assert!(!is_one(0, 1, i64::MAX - SECONDS_PER_DAY + 1, -1));
        assert!(
            is_one(0, 0, i64::MIN + 2, -NANOS_PER_SECOND) && !is_one(0, 0, i64::MIN + 1, -NANOS_PER_SECOND)
        );
        assert!(is_one(0, 0, 0, i64::MAX) && is_one(0, 0, 5, i64::MIN));
    }
}
