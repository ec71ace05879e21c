//! Where points of an index lie: settings of its rule.

use std::collections::BTreeMap;

use super::curve::{self, Extent};
use crate::store::error::MalformedRule;
use crate::store::schema::IndexRule;
use crate::store::value::{Array, Crs, Point, Value};

/// The ranges of coordinates that an index spreads its space-filling curve over. They are kept in the rule, not in the
/// file. Specification: indexes 1.2.
#[derive(Clone, Debug, PartialEq)]
pub struct SpatialSettings {
    wgs84: [Extent; 2],
    wgs84_3d: [Extent; 3],
    cartesian: [Extent; 2],
    cartesian_3d: [Extent; 3],
}

const LONGITUDE: Extent = Extent { min: -180.0, max: 180.0 };
const LATITUDE: Extent = Extent { min: -90.0, max: 90.0 };
const MILLION: Extent = Extent { min: -1_000_000.0, max: 1_000_000.0 };

impl Default for SpatialSettings {
    fn default() -> Self {
        Self {
            wgs84: [LONGITUDE, LATITUDE],
            wgs84_3d: [LONGITUDE, LATITUDE, MILLION],
            cartesian: [MILLION; 2],
            cartesian_3d: [MILLION; 3],
        }
    }
}

impl SpatialSettings {
    /// The settings of an index; what it does not say is the default.
    pub fn of(rule: &IndexRule) -> Result<Self, MalformedRule> {
        let mut settings = Self::default();
        let config = &rule.config;
        set(&mut settings.wgs84, config, "spatial.wgs-84.min", "spatial.wgs-84.max")?;
        set(&mut settings.wgs84_3d, config, "spatial.wgs-84-3d.min", "spatial.wgs-84-3d.max")?;
        set(&mut settings.cartesian, config, "spatial.cartesian.min", "spatial.cartesian.max")?;
        set(&mut settings.cartesian_3d, config, "spatial.cartesian-3d.min", "spatial.cartesian-3d.max")?;
        Ok(settings)
    }

    /// The place of a point on the curve of its reference system.
    pub(super) fn place(&self, point: &Point) -> i64 {
        let extents: &[Extent] = match point.crs() {
            Crs::Wgs84 => &self.wgs84,
            Crs::Wgs84_3d => &self.wgs84_3d,
            Crs::Cartesian => &self.cartesian,
            Crs::Cartesian3d => &self.cartesian_3d,
        };
        curve::place(extents, point.coordinates())
    }
}

fn set(
    extents: &mut [Extent],
    config: &BTreeMap<String, Value>,
    min: &'static str,
    max: &'static str,
) -> Result<(), MalformedRule> {
    for (key, limit) in
        [(min, (|extent| &mut extent.min) as fn(&mut Extent) -> &mut f64), (max, |extent| &mut extent.max)]
    {
        let limits = match config.get(key) {
            Some(Value::Array(Array::Double(limits))) if limits.len() == extents.len() => limits,
            Some(_) => return Err(MalformedRule::Type(key)),
            None => continue,
        };
        for (extent, &value) in extents.iter_mut().zip(limits) {
            *limit(extent) = value;
        }
    }
    // A limit that is no number is on neither side of the other.
    if !extents.iter().all(|extent| extent.min <= extent.max) {
        return Err(MalformedRule::Type(max));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::{IndexProvider, IndexType};

    fn rule(config: &[(&str, Value)]) -> IndexRule {
        IndexRule {
            index_type: IndexType::Btree,
            provider: IndexProvider::NativeBtree,
            unique: false,
            owning_constraint: None,
            config: config.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        }
    }

    #[test]
    fn points_are_placed_as_in_the_specification() {
        let settings = SpatialSettings::default();
        for (crs, coordinates, expected) in [
            (Crs::Wgs84, [12.994_823, 55.612_191, 0.0], 0x0909_60C4_41C1_9982),
            (Crs::Wgs84, [0.0; 3], 0x0800_0000_0000_0000),
            (Crs::Wgs84, [-180.0, -90.0, 0.0], 0),
            (Crs::Wgs84, [180.0, 90.0, 0.0], 0x0AAA_AAAA_AAAA_AAAA),
            (Crs::Wgs84, [-0.1275, 51.50722, 0.0], 0x06FB_EC66_B5F7_6F85),
            (Crs::Cartesian, [1.0, 2.0, 0.0], 0x0800_0000_001E_A46B),
            (Crs::Cartesian, [3.5, -7.25, 0.0], 0x0D55_5555_55BF_61D0),
            (Crs::Cartesian, [-1e6, 1e6, 0.0], 0x0555_5555_5555_5555),
            (Crs::Cartesian, [-1e9, 1e9, 0.0], 0x0555_5555_5555_5555),
            (Crs::Cartesian3d, [1.0, 2.0, 3.0], 0x0BA2_4924_9249_2490),
            (Crs::Cartesian3d, [-1e6, 1e6, 5.0], 0x04FB_2FB2_FB2F_B2C5),
            (Crs::Wgs84_3d, [12.994_823, 55.612_191, 10.0], 0x0B62_85EC_9C70_E03B),
        ] {
            let point = Point::new(crs, coordinates).unwrap();
            assert_eq!(settings.place(&point), expected, "{point:?}");
        }
    }

    #[test]
    fn settings_of_the_rule_count() {
        let doubles = |values: &[f64]| Value::Array(Array::Double(values.to_vec()));
        let rule_ = rule(&[
            ("spatial.cartesian.min", doubles(&[0.0, 0.0])),
            ("spatial.cartesian.max", doubles(&[10.0, 10.0])),
        ]);
        let settings = SpatialSettings::of(&rule_).unwrap();
        assert_ne!(settings, SpatialSettings::default());
        let point = Point::new(Crs::Cartesian, [-5.0, -5.0]).unwrap();
        assert_eq!(settings.place(&point), 0);
        assert_eq!(SpatialSettings::of(&rule(&[])), Ok(SpatialSettings::default()));
        let wrong = rule(&[("spatial.cartesian.min", doubles(&[0.0]))]);
        assert_eq!(SpatialSettings::of(&wrong), Err(MalformedRule::Type("spatial.cartesian.min")));
    }
}
