//! The order of time zones at a moment.

use std::cmp::Ordering;

use crate::store::value::ZoneId;

/// Offsets of a zone are within 18 hours.
const MAX_OFFSET: i32 = 64_800;
/// Marks a zone that has a name.
const NAMED: i32 = 0x0100_0000;

/// The zone field of a date time.
///
/// | Bits  | Offset                                    | Named zone                       |
/// |------:|-------------------------------------------|----------------------------------|
/// |  0-15 | seconds that local time is ahead of UTC   | number of the zone               |
/// | 16-23 | go on, two's complement                   | 0                                |
/// |    24 | 0                                         | 1                                |
///
/// Specification: indexes 3.3, 3.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ZoneField(pub i32);

/// What a zone field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Offset(i32),
    Named(ZoneId),
}

impl ZoneField {
    /// A number that stands for no zone is UTC.
    pub fn zone(self) -> Zone {
        if self.0 & NAMED == 0 {
            // The sign is in bit 23.
            return Zone::Offset(self.0 << 8 >> 8);
        }
        ZoneId::new(i64::from(self.0 & 0xffff)).map_or(Zone::Offset(0), Zone::Named)
    }

    pub fn of_offset(seconds: i32) -> Self {
        Self(seconds & 0x00ff_ffff)
    }

    pub fn of_named(zone: ZoneId) -> Self {
        Self(NAMED | i32::from(zone.renamed().number()))
    }

    /// The order of two fields at a second since 1970 UTC: by the offset that counts then, plain offsets before named
    /// zones, these by name. What is no zone comes last.
    pub fn compare(self, other: Self, second: i64) -> Ordering {
        if self == other { Ordering::Equal } else { self.rank(second).cmp(&other.rank(second)) }
    }

    fn rank(self, second: i64) -> Rank {
        match self.zone() {
            Zone::Offset(offset) if offset.abs() <= MAX_OFFSET => Rank::Zone { offset, name: None },
            Zone::Named(zone) => match zone.offset_at(second) {
                Some(offset) => Rank::Zone { offset, name: Some(zone.name()) },
                None => Rank::Other(self.0),
            },
            Zone::Offset(_) => Rank::Other(self.0),
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Zone { offset: i32, name: Option<&'static str> },
    Other(i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> ZoneId {
        (0..606).map(|number| ZoneId::new(number).unwrap()).find(|zone| zone.name() == name).unwrap()
    }

    #[test]
    fn zones_of_the_same_moment_are_in_neo4js_order() {
        let named = |name| ZoneField::of_named(zone(name));
        // In the winter of 2020.
        let order = [
            ZoneField::of_offset(-43200),
            named("America/New_York"),
            ZoneField::of_offset(0),
            named("Africa/Abidjan"),
            named("Europe/London"),
            ZoneField::of_offset(3600),
            named("Europe/Berlin"),
            named("Europe/Stockholm"),
            ZoneField::of_offset(64800),
            ZoneField::of_offset(64801),
        ];
        for (position, left) in order.iter().enumerate() {
            for (other, right) in order.iter().enumerate() {
                assert_eq!(left.compare(*right, 1_577_840_400), position.cmp(&other), "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn fields_are_read_and_written() {
        assert_eq!(ZoneField::of_offset(-7200), ZoneField(0x00ff_e3e0));
        assert_eq!(ZoneField(0x00ff_e3e0).zone(), Zone::Offset(-7200));
        assert_eq!(ZoneField::of_named(zone("Europe/Stockholm")), ZoneField(0x0100_00af));
        assert_eq!(ZoneField(0x0100_00af).zone(), Zone::Named(zone("Europe/Stockholm")));
        assert_eq!(ZoneField(0x0100_ffff).zone(), Zone::Offset(0));
        let old = ZoneId::new(58).unwrap();
        assert_eq!(ZoneField::of_named(old), ZoneField(0x0100_0247));
    }
}
