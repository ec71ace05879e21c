//! Points.

use super::bits;
use crate::store::error::Malformed;

/// A coordinate reference system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crs {
    /// Longitude and latitude in degrees.
    Wgs84,
    /// Longitude and latitude in degrees, height in metres.
    Wgs84_3d,
    /// A plane.
    Cartesian,
    /// A space.
    Cartesian3d,
}

impl Crs {
    /// Coordinates of a point.
    pub fn dimension(self) -> usize {
        match self {
            Self::Wgs84 | Self::Cartesian => 2,
            Self::Wgs84_3d | Self::Cartesian3d => 3,
        }
    }

    /// The table, 1 for EPSG and 2 for SR-ORG, and the number in it.
    pub fn table_and_code(self) -> (u64, u64) {
        match self {
            Self::Wgs84 => (1, 4326),
            Self::Wgs84_3d => (1, 4979),
            Self::Cartesian => (2, 7203),
            Self::Cartesian3d => (2, 9157),
        }
    }

    fn is_geographic(self) -> bool {
        matches!(self, Self::Wgs84 | Self::Wgs84_3d)
    }
}

const ALL: [Crs; 4] = [Crs::Wgs84, Crs::Wgs84_3d, Crs::Cartesian, Crs::Cartesian3d];

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    crs: Crs,
    coordinates: [f64; 3],
}

impl Point {
    /// A point with as many coordinates as its system has; they are finite, a latitude is at most 90 degrees, a
    /// longitude is brought into -180 to 180.
    pub fn new(crs: Crs, coordinates: impl IntoIterator<Item = f64>) -> Result<Self, Malformed> {
        let mut point = Self { crs, coordinates: [0.0; 3] };
        let mut given = coordinates.into_iter();
        for slot in point.coordinates.iter_mut().take(crs.dimension()) {
            *slot = given.next().ok_or(Malformed::ValueEnds { what: "a point" })?;
            if !slot.is_finite() {
                return Err(Malformed::ValuePart {
                    what: "infinite coordinate",
                    value: slot.to_bits() as i64,
                });
            }
        }
        if crs.is_geographic() {
            let [longitude, latitude, _] = &mut point.coordinates;
            if !(-90.0..=90.0).contains(latitude) {
                return Err(Malformed::ValuePart { what: "latitude", value: *latitude as i64 });
            }
            if !(-180.0..=180.0).contains(longitude) {
                *longitude = (*longitude + 180.0).rem_euclid(360.0) - 180.0;
            }
        }
        Ok(point)
    }

    /// Its system.
    pub fn crs(&self) -> Crs {
        self.crs
    }

    /// Its coordinates, two or three.
    pub fn coordinates(&self) -> &[f64] {
        self.coordinates.get(..self.crs.dimension()).unwrap_or_default()
    }
}

/// | Bits  | Field                                                       |
/// |------:|-------------------------------------------------------------|
/// | 28-31 | geometry type, 1 for a point                                |
/// | 32-35 | dimension                                                   |
/// | 36-39 | table of the reference system                               |
/// | 40-55 | code of the reference system                                |
/// | 56    | coordinates of 32 bits; never used                          |
///
/// Then one word per coordinate, a double. Specification: store format 6.4.
const GEOMETRY: usize = 28;
const DIMENSION: usize = 32;
const TABLE: usize = 36;
const CODE: usize = 40;
const FLOATS: usize = 56;

/// Words of a point whose first word is this.
pub(super) fn words(first: u64) -> usize {
    1 + bits::of_words(&[first], DIMENSION, 4) as usize
}

/// The point of all its words.
pub(super) fn decode(words: &[u64]) -> Result<Point, Malformed> {
    check_geometry(bits::of_words(words, GEOMETRY, 4) as u8)?;
    if bits::of_words(words, FLOATS, 1) == 1 {
        return Err(Malformed::ValuePart { what: "precision of a point", value: 1 });
    }
    let (table, code) = (bits::of_words(words, TABLE, 4), bits::of_words(words, CODE, 16));
    let crs = crs(table, code, bits::of_words(words, DIMENSION, 4))?;
    Point::new(crs, words.iter().skip(1).map(|&word| f64::from_bits(word)))
}

pub(super) fn check_geometry(kind: u8) -> Result<(), Malformed> {
    if kind == 1 { Ok(()) } else { Err(Malformed::ValuePart { what: "geometry type", value: kind.into() }) }
}

/// The reference system of this name and dimension.
pub(super) fn crs(table: u64, code: u64, dimension: u64) -> Result<Crs, Malformed> {
    let found = ALL.into_iter().find(|crs| crs.table_and_code() == (table, code));
    let crs = found.ok_or(Malformed::ValuePart { what: "reference system", value: code as i64 })?;
    if crs.dimension() as u64 != dimension {
        return Err(Malformed::ValuePart { what: "dimension", value: dimension as i64 });
    }
    Ok(crs)
}
