//! Values of properties: the types, and how they lie in property records and in dynamic records.
//!
//! Specification: store format 6.
#![expect(
    clippy::cast_possible_truncation,
    reason = "fields are cut out of words that were masked to their width"
)]

pub mod array;
mod bits;
pub mod block;
mod offset;
mod point;
mod short_array;
mod short_string;
mod system_v;
mod temporal;
mod zone;

pub use point::{Crs, Point};
pub use temporal::{DateTime, Duration, LocalDateTime, Time, Zone};
pub use zone::ZoneId;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// An integer of 8 bits.
    Byte(i8),
    /// An integer of 16 bits.
    Short(i16),
    /// A UTF-16 code unit.
    Char(u16),
    /// An integer of 32 bits.
    Int(i32),
    /// An integer of 64 bits.
    Long(i64),
    /// An IEEE number of 32 bits.
    Float(f32),
    /// An IEEE number of 64 bits.
    Double(f64),
    /// Text.
    String(String),
    /// A point.
    Point(Point),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since midnight.
    LocalTime(i64),
    /// A date and a time of day.
    LocalDateTime(LocalDateTime),
    /// A time of day with an offset.
    Time(Time),
    /// A moment with an offset or a zone.
    DateTime(DateTime),
    /// A span of time.
    Duration(Duration),
    /// Several values of one type.
    Array(Array),
}

/// Values of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// True or false.
    Bool(Vec<bool>),
    /// Integers of 8 bits.
    Byte(Vec<i8>),
    /// Integers of 16 bits.
    Short(Vec<i16>),
    /// UTF-16 code units.
    Char(Vec<u16>),
    /// Integers of 32 bits.
    Int(Vec<i32>),
    /// Integers of 64 bits.
    Long(Vec<i64>),
    /// IEEE numbers of 32 bits.
    Float(Vec<f32>),
    /// IEEE numbers of 64 bits.
    Double(Vec<f64>),
    /// Texts.
    String(Vec<String>),
    /// Points of one reference system.
    Point(Vec<Point>),
    /// Days since 1970-01-01.
    Date(Vec<i64>),
    /// Nanoseconds since midnight.
    LocalTime(Vec<i64>),
    /// Dates with times of day.
    LocalDateTime(Vec<LocalDateTime>),
    /// Times of day with offsets.
    Time(Vec<Time>),
    /// Moments.
    DateTime(Vec<DateTime>),
    /// Spans of time.
    Duration(Vec<Duration>),
}
