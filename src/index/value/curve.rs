//! The space-filling curve: points that are near on it are near in space.
//!
//! Specification: indexes 5.

/// Bits of a place on the curve, over all dimensions.
const BITS: u32 = 60;

/// What a state of the curve does with the cells of the next finer grid: for each the place on the curve, and the state
/// that goes on in it.
type State<const CELLS: usize> = [(u8, u8); CELLS];

/// A cell is numbered with one bit per dimension, the first dimension's the highest. `cells` has them in the order in
/// which the curve comes through, `states` the state that goes on in each.
#[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler")]
const fn inverse<const STATES: usize, const CELLS: usize>(
    cells: [[u8; CELLS]; STATES],
    states: [[u8; CELLS]; STATES],
) -> [State<CELLS>; STATES] {
    let mut inverse = [[(0, 0); CELLS]; STATES];
    let mut state = 0;
    while state < STATES {
        let mut place = 0;
        while place < CELLS {
            inverse[state][cells[state][place] as usize] = (place as u8, states[state][place]);
            place += 1;
        }
        state += 1;
    }
    inverse
}

const PLANE: [State<4>; 4] = inverse(
    [[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 0, 1], [3, 1, 0, 2]],
    [[1, 0, 0, 3], [0, 1, 1, 2], [3, 2, 2, 1], [2, 3, 3, 0]],
);

const SPACE: [State<8>; 12] = inverse(
    [
        [0, 2, 3, 1, 5, 7, 6, 4],
        [0, 1, 5, 4, 6, 7, 3, 2],
        [0, 4, 6, 2, 3, 7, 5, 1],
        [3, 1, 0, 2, 6, 4, 5, 7],
        [5, 1, 3, 7, 6, 2, 0, 4],
        [6, 7, 3, 2, 0, 1, 5, 4],
        [3, 2, 6, 7, 5, 4, 0, 1],
        [5, 7, 6, 4, 0, 2, 3, 1],
        [6, 2, 0, 4, 5, 1, 3, 7],
        [3, 7, 5, 1, 0, 4, 6, 2],
        [5, 4, 0, 1, 3, 2, 6, 7],
        [6, 4, 5, 7, 3, 1, 0, 2],
    ],
    [
        [1, 2, 2, 3, 3, 4, 4, 5],
        [2, 0, 0, 6, 6, 7, 7, 8],
        [0, 1, 1, 9, 9, 10, 10, 11],
        [10, 8, 8, 0, 0, 9, 9, 6],
        [11, 6, 6, 8, 8, 5, 5, 0],
        [9, 7, 7, 10, 10, 0, 0, 4],
        [4, 11, 11, 1, 1, 3, 3, 9],
        [5, 9, 9, 11, 11, 8, 8, 1],
        [3, 10, 10, 4, 4, 1, 1, 7],
        [7, 5, 5, 2, 2, 6, 6, 3],
        [8, 3, 3, 5, 5, 11, 11, 2],
        [6, 4, 4, 7, 7, 2, 2, 10],
    ],
);

/// The range of one dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent {
    pub min: f64,
    pub max: f64,
}

impl Extent {
    /// The cell of a coordinate in a grid of 2^level; what is outside belongs to the cell at the edge. The same steps of
    /// rounding as Neo4j's, so that no coordinate lands in a neighbouring cell.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is beyond the range of an i64 stops at its end"
    )]
    fn cell(self, level: u32, coordinate: f64) -> i64 {
        let Self { min, max } = self;
        let cells = (1_i64 << level) as f64;
        let scale = cells / (max - min);
        let size = (max - min) / cells;
        let value = coordinate.min(max).max(min);
        // Not less: at the end of the range, or of an empty one.
        if value - min >= max - min {
            return (1 << level) - 1;
        }
        let cell = ((value - min) * scale) as i64;
        let center = cell as f64 / scale + min + size / 2.0;
        cell.saturating_add(((value - center) * scale - 0.5 + 1E-16) as i64)
    }
}

/// The place of a point on the curve, with the two or three ranges of its dimensions.
pub(super) fn place(extents: &[Extent], coordinates: &[f64]) -> i64 {
    match (extents, coordinates) {
        ([x, y], [at_x, at_y]) => {
            let level = BITS / 2;
            walk(&PLANE, level, [x.cell(level, *at_x), y.cell(level, *at_y)])
        }
        ([x, y, z], [at_x, at_y, at_z]) => {
            let level = BITS / 3;
            walk(&SPACE, level, [x.cell(level, *at_x), y.cell(level, *at_y), z.cell(level, *at_z)])
        }
        _ => 0,
    }
}

fn walk<const CELLS: usize, const DIMENSIONS: usize>(
    states: &[State<CELLS>],
    level: u32,
    cells: [i64; DIMENSIONS],
) -> i64 {
    let mut place = 0;
    let mut state = 0;
    for bit in (0..level).rev() {
        let cell = cells.iter().fold(0, |number, cell| number << 1 | (cell >> bit & 1) as usize);
        let (step, next) =
            states.get(usize::from(state)).and_then(|state| state.get(cell)).copied().unwrap_or_default();
        place = place << DIMENSIONS | i64::from(step);
        state = next;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_as_in_the_specification() {
        let degrees = [Extent { min: -180.0, max: 180.0 }, Extent { min: -90.0, max: 90.0 }];
        let plane = Extent { min: -1e6, max: 1e6 };
        for (extent, level, coordinate, expected) in [
            (degrees[0], 30, 12.994_823, 575_629_481),
            (degrees[1], 30, 55.612_191, 868_610_553),
            (degrees[0], 30, -0.1275, 536_490_628),
            (degrees[1], 30, 51.507_22, 844_123_447),
            (degrees[0], 30, -180.0, 0),
            (degrees[1], 30, 90.0, 1_073_741_823),
            (plane, 30, 1.0, 536_871_448),
            (plane, 30, 2.0, 536_871_985),
            (plane, 30, -7.25, 536_867_019),
            (plane, 20, 3.0, 524_289),
            (plane, 20, 1e6, 1_048_575),
            (plane, 20, 10.0, 524_293),
        ] {
            assert_eq!(extent.cell(level, coordinate), expected, "{coordinate}");
        }
    }

    #[test]
    fn the_curve_comes_through_every_cell_once() {
        let centers = |count: u32| (0..count).map(|cell| f64::from(cell) + 0.5);
        let plane = [Extent { min: 0.0, max: 16.0 }; 2];
        let mut cells: Vec<(i64, [f64; 2])> = Vec::new();
        for x in centers(16) {
            cells.extend(centers(16).map(|y| (place(&plane, &[x, y]) >> (BITS - 8), [x, y])));
        }
        cells.sort_by_key(|(place, _)| *place);
        assert!(cells.iter().map(|(place, _)| *place).eq(0..256));
        // From each to one of its neighbours.
        for pair in cells.windows(2) {
            let [(_, from), (_, to)] = pair else { panic!("two") };
            assert!(((from[0] - to[0]).abs() + (from[1] - to[1]).abs() - 1.0).abs() < 1e-9, "{pair:?}");
        }
        let space = [Extent { min: 0.0, max: 8.0 }; 3];
        let mut places = Vec::new();
        for x in centers(8) {
            for y in centers(8) {
                places.extend(centers(8).map(|z| place(&space, &[x, y, z]) >> (BITS - 9)));
            }
        }
        places.sort_unstable();
        assert!(places.into_iter().eq(0..512));
    }
}
