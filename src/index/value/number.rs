//! Integers and floating point numbers in one order.

use std::cmp::Ordering;

/// A number of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Kinds 0 to 3: 8, 16, 32 and 64 bits.
    Integer(i64),
    /// Kinds 4 and 5: 32 and 64 bits.
    Double(f64),
}

impl Number {
    /// The order of numbers of any kinds; equal numbers of different kinds are equal.
    #[inline]
    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.cmp(&right),
            (Self::Double(left), Self::Double(right)) => rank(left).cmp(&rank(right)),
            (Self::Integer(left), Self::Double(right)) => integer_and_double(left, right),
            (Self::Double(left), Self::Integer(right)) => integer_and_double(right, left).reverse(),
        }
    }
}

/// A number that orders doubles as Java does: -0.0 before 0.0, NaN behind all and one like the other.
#[inline]
pub(super) fn rank(double: f64) -> i64 {
    if double.is_nan() {
        return i64::MAX;
    }
    let bits = double.to_bits().cast_signed();
    // Of negative numbers the greater magnitude is the smaller number.
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

const TWO_TO_53: f64 = 9_007_199_254_740_992.0;
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// Integers from 0 up to 2^53 are compared as doubles. All others, every negative one too, are compared with the
/// decimal number that Java prints for the double. Specification: indexes 3.4.
fn integer_and_double(integer: i64, double: f64) -> Ordering {
    if (0..1 << 53).contains(&integer) {
        return rank(integer as f64).cmp(&rank(double));
    }
    if double.is_nan() || double >= TWO_TO_63 {
        return Ordering::Less;
    }
    if double <= -TWO_TO_63 {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is between -2^63 and 2^63 and rounded down")]
    let below = double.floor() as i64;
    if double.abs() < TWO_TO_53 {
        // What is printed lies between the same two integers.
        let fraction = if (below as f64) < double { Ordering::Less } else { Ordering::Equal };
        return integer.cmp(&below).then(fraction);
    }
    let printed = printed(below.unsigned_abs());
    let magnitude = integer.unsigned_abs();
    match (integer < 0, double < 0.0) {
        (false, false) => magnitude.cmp(&printed),
        (true, true) => printed.cmp(&magnitude),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// What Java prints for a double of this magnitude, from 2^53 up to 2^63: its lowest digits are rounded to zeros, fewer
/// than the distance of two doubles, so that different doubles stay different.
fn printed(magnitude: u64) -> u64 {
    let beyond = magnitude.checked_ilog2().unwrap_or_default().saturating_sub(54);
    // An approximation of the decimal logarithm of 2, as Java has it.
    let digits = if beyond > 1 { beyond * 30103 / 100_000 } else { 0 };
    let unit = 10_u64.pow(digits);
    (magnitude + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_prints_these_digits() {
        for (exponent, expected) in [
            (53, 9_007_199_254_740_992),
            (57, 144_115_188_075_855_872),
            (59, 576_460_752_303_423_490),
            (60, 1_152_921_504_606_846_980),
            (61, 2_305_843_009_213_694_000),
        ] {
            assert_eq!(printed(1 << exponent), expected, "2^{exponent}");
        }
    }

    #[test]
    fn integers_and_doubles_meet_as_in_neo4j() {
        use Number::{Double, Integer};
        use Ordering::{Equal, Greater, Less};
        let two_to_60 = 1_i64 << 60;
        for (left, right, expected) in [
            (Integer(5), Double(5.0), Equal),
            (Integer(0), Double(-0.0), Greater),
            (Integer(0), Double(0.0), Equal),
            (Double(-0.0), Double(0.0), Less),
            (Integer(-1), Double(-1.0), Equal),
            (Integer(-1), Double(-0.5), Less),
            (Integer(-1), Double(-1.5), Greater),
            (Integer(-1), Double(-0.0), Less),
            (Integer((1 << 53) + 1), Double(TWO_TO_53), Greater),
            (Integer(1 << 53), Double(TWO_TO_53), Equal),
            (Integer(two_to_60), Double(two_to_60 as f64), Less),
            (Integer(-two_to_60), Double(-(two_to_60 as f64)), Greater),
            (Integer(two_to_60 + 4), Double(two_to_60 as f64), Equal),
            (Integer(i64::MAX), Double(TWO_TO_63), Less),
            (Integer(i64::MIN), Double(-TWO_TO_63), Greater),
            (Integer(i64::MAX), Double(f64::NAN), Less),
            (Integer(i64::MIN), Double(f64::NEG_INFINITY), Greater),
            (Double(f64::NAN), Double(f64::INFINITY), Greater),
            (Double(-f64::NAN), Double(f64::NAN), Equal),
            (Double(f64::from(0.1_f32)), Double(0.1), Greater),
        ] {
            assert_eq!(left.compare(right), expected, "{left:?} {right:?}");
            assert_eq!(right.compare(left), expected.reverse(), "{right:?} {left:?}");
        }
    }
}
