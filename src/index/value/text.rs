//! Values as reports show them: as Java prints the objects that they are, and as Neo4j prints its own.
//!
//! Specification: consistency check 5.4, 5.8.

use std::fmt::{self, Display, Formatter, Write};

use crate::store::value::{Array, Crs, DateTime, Duration, LocalDateTime, Point, Time, Value, Zone};

/// Items of an array that are shown, at most.
const SHOWN: usize = 5;
/// Arrays of more items than this end with dots.
const WHOLE: usize = 4;

/// A value as a property of a record.
#[derive(Clone, Copy, Debug)]
pub struct ObjectText<'a>(pub &'a Value);

impl Display for ObjectText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Bool(value) => write!(f, "{value}"),
            Value::Byte(value) => write!(f, "{value}"),
            Value::Short(value) => write!(f, "{value}"),
            Value::Char(value) => character(f, *value),
            Value::Int(value) => write!(f, "{value}"),
            Value::Long(value) => write!(f, "{value}"),
            Value::Float(value) => float(f, *value),
            Value::Double(value) => double(f, *value),
            Value::String(value) => f.write_str(value),
            Value::Point(value) => point(f, value),
            Value::Date(day) => date(f, *day),
            Value::LocalTime(nano) => time_of_day(f, *nano),
            Value::LocalDateTime(value) => local_date_time(f, *value),
            Value::Time(value) => time(f, value),
            Value::DateTime(value) => date_time(f, value),
            Value::Duration(value) => duration(f, value),
            Value::Array(array) => self::array(f, array),
        }
    }
}

/// A value as an argument: the same, but arrays with all of their items.
#[derive(Clone, Copy, Debug)]
pub struct ArgumentText<'a>(pub &'a Value);

impl Display for ArgumentText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Array(array) => items(f, array),
            value => ObjectText(value).fmt(f),
        }
    }
}

/// A value with its type, as Neo4j writes those that come from an index.
#[derive(Clone, Copy, Debug)]
pub struct TypedText<'a>(pub &'a Value);

impl Display for TypedText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Bool(value) => write!(f, "Boolean('{value}')"),
            Value::Byte(value) => write!(f, "Byte({value})"),
            Value::Short(value) => write!(f, "Short({value})"),
            Value::Int(value) => write!(f, "Int({value})"),
            Value::Long(value) => write!(f, "Long({value})"),
            Value::Float(value) => scientific(f, "Float", f64::from(*value)),
            Value::Double(value) => scientific(f, "Double", *value),
            Value::String(value) => write!(f, "String(\"{value}\")"),
            Value::Array(array) => {
                f.write_str(array_type(array))?;
                items(f, array)
            }
            value => ArgumentText(value).fmt(f),
        }
    }
}

fn array_type(array: &Array) -> &'static str {
    match array {
        Array::Bool(_) => "BooleanArray",
        Array::Byte(_) => "ByteArray",
        Array::Short(_) => "ShortArray",
        Array::Char(_) => "CharArray",
        Array::Int(_) => "IntArray",
        Array::Long(_) => "LongArray",
        Array::Float(_) => "FloatArray",
        Array::Double(_) => "DoubleArray",
        Array::String(_) => "StringArray",
        Array::Point(_) => "PointArray",
        Array::Date(_) => "DateArray",
        Array::LocalTime(_) => "LocalTimeArray",
        Array::LocalDateTime(_) => "LocalDateTimeArray",
        Array::Time(_) => "TimeArray",
        Array::DateTime(_) => "DateTimeArray",
        Array::Duration(_) => "DurationArray",
    }
}

/// Six digits behind the point and two of the exponent at least, with its sign.
fn scientific(f: &mut Formatter<'_>, name: &str, value: f64) -> fmt::Result {
    let text = format!("{value:.6e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    write!(f, "{name}({digits}e{sign}{exponent:0>2})")
}

fn items(f: &mut Formatter<'_>, array: &Array) -> fmt::Result {
    macro_rules! all {
        ($items:expr, $value:expr) => {{
            let items: Vec<_> =
                $items.iter().map($value).map(|value| ObjectText(&value).to_string()).collect();
            write!(f, "[{}]", items.join(", "))
        }};
    }
    match array {
        Array::Bool(items) => all!(items, |item| Value::Bool(*item)),
        Array::Byte(items) => all!(items, |item| Value::Byte(*item)),
        Array::Short(items) => all!(items, |item| Value::Short(*item)),
        Array::Char(items) => all!(items, |item| Value::Char(*item)),
        Array::Int(items) => all!(items, |item| Value::Int(*item)),
        Array::Long(items) => all!(items, |item| Value::Long(*item)),
        Array::Float(items) => all!(items, |item| Value::Float(*item)),
        Array::Double(items) => all!(items, |item| Value::Double(*item)),
        Array::String(items) => write!(f, "[{}]", items.join(", ")),
        Array::Point(items) => all!(items, |item| Value::Point(*item)),
        Array::Date(items) => all!(items, |item| Value::Date(*item)),
        Array::LocalTime(items) => all!(items, |item| Value::LocalTime(*item)),
        Array::LocalDateTime(items) => all!(items, |item| Value::LocalDateTime(*item)),
        Array::Time(items) => all!(items, |item| Value::Time(*item)),
        Array::DateTime(items) => all!(items, |item| Value::DateTime(*item)),
        Array::Duration(items) => all!(items, |item| Value::Duration(*item)),
    }
}

fn array(f: &mut Formatter<'_>, array: &Array) -> fmt::Result {
    match array {
        Array::Bool(items) => list(f, "boolean", items, |f, item| write!(f, "{item}")),
        Array::Byte(items) => list(f, "byte", items, |f, item| write!(f, "{item}")),
        Array::Short(items) => list(f, "short", items, |f, item| write!(f, "{item}")),
        Array::Char(items) => list(f, "char", items, |f, item| character(f, *item)),
        Array::Int(items) => list(f, "int", items, |f, item| write!(f, "{item}")),
        Array::Long(items) => list(f, "long", items, |f, item| write!(f, "{item}")),
        Array::Float(items) => list(f, "float", items, |f, item| float(f, *item)),
        Array::Double(items) => list(f, "double", items, |f, item| double(f, *item)),
        Array::String(items) => list(f, "String", items, |f, item| f.write_str(item)),
        Array::Point(items) => list(f, "PointValue", items, point),
        Array::Date(items) => list(f, "LocalDate", items, |f, item| date(f, *item)),
        Array::LocalTime(items) => list(f, "LocalTime", items, |f, item| time_of_day(f, *item)),
        Array::LocalDateTime(items) => list(f, "LocalDateTime", items, |f, item| local_date_time(f, *item)),
        Array::Time(items) => list(f, "OffsetTime", items, time),
        Array::DateTime(items) => list(f, "ZonedDateTime", items, date_time),
        Array::Duration(items) => list(f, "DurationValue", items, duration),
    }
}

fn list<T>(
    f: &mut Formatter<'_>,
    component: &str,
    items: &[T],
    item: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(f, "{component}[")?;
    for (index, shown) in items.iter().take(SHOWN).enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        item(f, shown)?;
    }
    f.write_str(if items.len() > WHOLE { ",...]" } else { "]" })
}

fn character(f: &mut Formatter<'_>, unit: u16) -> fmt::Result {
    f.write_char(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// The shortest digits that give the number again, with an exponent below 0.001 and from ten million on.
fn float(f: &mut Formatter<'_>, value: f32) -> fmt::Result {
    java_number(f, f64::from(value), &format!("{value:e}"))
}

fn double(f: &mut Formatter<'_>, value: f64) -> fmt::Result {
    java_number(f, value, &format!("{value:e}"))
}

fn java_number(f: &mut Formatter<'_>, value: f64, scientific: &str) -> fmt::Result {
    if value.is_nan() {
        return f.write_str("NaN");
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return write!(f, "{sign}Infinity");
    }
    // Where one digit would do Java takes the nearest number of two: 4.9E-324 instead of 5E-324.
    let pair = format!("{value:.1e}");
    let scientific = if scientific.contains('.') { scientific } else { &pair };
    let Some((digits, exponent)) = scientific.trim_start_matches('-').split_once('e') else {
        return f.write_str(scientific);
    };
    let digits = digits.strip_suffix(".0").map_or_else(|| digits.replace('.', ""), str::to_owned);
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if value == 0.0 {
        return write!(f, "{sign}0.0");
    }
    if (-3..7).contains(&exponent) {
        let (whole, fraction) = match usize::try_from(exponent) {
            Ok(point) if digits.len() > point + 1 => {
                let (whole, fraction) = digits.split_at(point + 1);
                (whole.to_owned(), fraction.to_owned())
            }
            Ok(point) => (format!("{digits:0<width$}", width = point + 1), "0".to_owned()),
            Err(_) => {
                let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
                ("0".to_owned(), format!("{zeros}{digits}"))
            }
        };
        return write!(f, "{sign}{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let rest = if rest.is_empty() { "0" } else { rest };
    write!(f, "{sign}{first}.{rest}E{exponent}")
}

fn point(f: &mut Formatter<'_>, point: &Point) -> fmt::Result {
    let crs = match point.crs() {
        Crs::Wgs84 => "wgs-84",
        Crs::Wgs84_3d => "wgs-84-3d",
        Crs::Cartesian => "cartesian",
        Crs::Cartesian3d => "cartesian-3d",
    };
    f.write_str("point({")?;
    for (name, coordinate) in ["x", "y", "z"].into_iter().zip(point.coordinates()) {
        write!(f, "{name}: ")?;
        double(f, *coordinate)?;
        f.write_str(", ")?;
    }
    write!(f, "crs: '{crs}'}})")
}

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Year, month and day of a day since 1970-01-01 of the Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that a leap day is the last day of its year.
    let day = day.saturating_add(719_468);
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn date(f: &mut Formatter<'_>, day: i64) -> fmt::Result {
    let (year, month, day) = civil(day);
    match year {
        0..=9999 => write!(f, "{year:04}")?,
        10_000.. => write!(f, "+{year}")?,
        _ => write!(f, "-{:04}", year.unsigned_abs())?,
    }
    write!(f, "-{month:02}-{day:02}")
}

fn time_of_day(f: &mut Formatter<'_>, nano: i64) -> fmt::Result {
    let (second, nano) = (nano / NANOS_PER_SECOND, nano % NANOS_PER_SECOND);
    write!(f, "{:02}:{:02}", second / 3600, second / 60 % 60)?;
    if second % 60 == 0 && nano == 0 {
        return Ok(());
    }
    write!(f, ":{:02}", second % 60)?;
    match nano {
        0 => Ok(()),
        _ if nano % 1_000_000 == 0 => write!(f, ".{:03}", nano / 1_000_000),
        _ if nano % 1000 == 0 => write!(f, ".{:06}", nano / 1000),
        _ => write!(f, ".{nano:09}"),
    }
}

fn local_date_time(f: &mut Formatter<'_>, value: LocalDateTime) -> fmt::Result {
    date(f, value.second.div_euclid(SECONDS_PER_DAY))?;
    f.write_str("T")?;
    let second = value.second.rem_euclid(SECONDS_PER_DAY);
    time_of_day(f, second * NANOS_PER_SECOND + i64::from(value.nano))
}

fn offset(f: &mut Formatter<'_>, seconds: i32) -> fmt::Result {
    if seconds == 0 {
        return f.write_str("Z");
    }
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    write!(f, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
    if seconds % 60 == 0 { Ok(()) } else { write!(f, ":{:02}", seconds % 60) }
}

fn time(f: &mut Formatter<'_>, value: &Time) -> fmt::Result {
    time_of_day(f, value.local_nano)?;
    offset(f, value.offset)
}

/// A moment as the clocks of its zone show it.
fn date_time(f: &mut Formatter<'_>, value: &DateTime) -> fmt::Result {
    let local = |seconds: i32| LocalDateTime {
        second: value.second.saturating_add(i64::from(seconds)),
        nano: value.nano,
    };
    match value.zone {
        Zone::Offset(seconds) => {
            local_date_time(f, local(seconds))?;
            offset(f, seconds)
        }
        Zone::Named(zone) => {
            let seconds = zone.offset_at(value.second).unwrap_or_default();
            local_date_time(f, local(seconds))?;
            offset(f, seconds)?;
            write!(f, "[{zone}]")
        }
    }
}

fn duration(f: &mut Formatter<'_>, value: &Duration) -> fmt::Result {
    let Duration { months, days, seconds, nanos } = *value;
    if (months, days, seconds, nanos) == (0, 0, 0, 0) {
        return f.write_str("PT0S");
    }
    f.write_str("P")?;
    let mut part = |amount: i64, unit: &str| if amount == 0 { Ok(()) } else { write!(f, "{amount}{unit}") };
    part(months / 12, "Y")?;
    part(months % 12, "M")?;
    part(days, "D")?;
    if (seconds, nanos) == (0, 0) {
        return Ok(());
    }
    f.write_str("T")?;
    let mut part = |amount: i64, unit: &str| if amount == 0 { Ok(()) } else { write!(f, "{amount}{unit}") };
    part(seconds / 3600, "H")?;
    part(seconds / 60 % 60, "M")?;
    let rest = seconds % 60;
    if (rest, nanos) == (0, 0) {
        return Ok(());
    }
    let total = i128::from(rest) * i128::from(NANOS_PER_SECOND) + i128::from(nanos);
    let (whole, fraction) = (total.unsigned_abs() / 1_000_000_000, total.unsigned_abs() % 1_000_000_000);
    let sign = if total < 0 { "-" } else { "" };
    if fraction == 0 {
        return write!(f, "{sign}{whole}S");
    }
    let fraction = format!("{fraction:09}");
    write!(f, "{sign}{whole}.{}S", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> String {
        ObjectText(value).to_string()
    }

    #[test]
    fn numbers_read_as_in_java() {
        for (value, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (123_456.75, "123456.75"),
            (1.0e7, "1.0E7"),
            (0.001, "0.001"),
            (0.000_12, "1.2E-4"),
            (1.5e300, "1.5E300"),
            (1.0e23, "1.0E23"),
            (10.0, "10.0"),
            (0.0, "0.0"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::from_bits(4), "2.0E-323"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(&Value::Double(value)), expected);
        }
        assert_eq!(text(&Value::Float(0.1)), "0.1");
        assert_eq!(text(&Value::Float(3.4e38)), "3.4E38");
        assert_eq!(text(&Value::Float(f32::from_bits(1))), "1.4E-45");
    }

    #[test]
    fn arrays_show_five_items() {
        assert_eq!(text(&Value::Array(Array::Int(vec![1, 2, 3]))), "int[1,2,3]");
        assert_eq!(text(&Value::Array(Array::Int(vec![1, 2, 3, 4]))), "int[1,2,3,4]");
        assert_eq!(text(&Value::Array(Array::Long(vec![1, 2, 3, 4, 5, 6]))), "long[1,2,3,4,5,...]");
        assert_eq!(text(&Value::Array(Array::String(Vec::new()))), "String[]");
    }

    #[test]
    fn values_of_indexes_have_their_types() {
        let text = |value: &Value| TypedText(value).to_string();
        assert_eq!(text(&Value::String("abc".to_owned())), "String(\"abc\")");
        assert_eq!(text(&Value::Double(1.0)), "Double(1.000000e+00)");
        assert_eq!(text(&Value::Double(-1.5e-123)), "Double(-1.500000e-123)");
        assert_eq!(text(&Value::Bool(true)), "Boolean('true')");
        assert_eq!(text(&Value::Array(Array::Int(vec![1, 2, 3, 4, 5, 6]))), "IntArray[1, 2, 3, 4, 5, 6]");
    }

    #[test]
    fn times_read_as_in_java() {
        assert_eq!(text(&Value::Date(0)), "1970-01-01");
        assert_eq!(text(&Value::Date(-719_528)), "0000-01-01");
        assert_eq!(text(&Value::Date(11_016)), "2000-02-29");
        assert_eq!(text(&Value::LocalTime(43_200_000_000_000)), "12:00");
        assert_eq!(text(&Value::LocalTime(43_201_500_000_000)), "12:00:01.500");
        let offset = Time { local_nano: 1_000, offset: -5400 };
        assert_eq!(text(&Value::Time(offset)), "00:00:00.000001-01:30");
        let moment = DateTime { second: 3600, nano: 0, zone: Zone::Offset(3600) };
        assert_eq!(text(&Value::DateTime(moment)), "1970-01-01T02:00+01:00");
        let span = Duration { months: 14, days: 3, seconds: 3661, nanos: 500_000_000 };
        assert_eq!(text(&Value::Duration(span)), "P1Y2M3DT1H1M1.5S");
    }
}
