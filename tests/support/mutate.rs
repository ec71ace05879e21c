//! Mutated inputs from fixed seeds.

pub use super::random::Random;

/// Numbers at the edges of what formats allow.
const EDGES: [i64; 14] = [
    0,
    1,
    -1,
    2,
    4,
    127,
    255,
    32_768,
    1 << 20,
    (1 << 20) + 1,
    i32::MAX as i64,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];

/// One of `seeds` with one to four changes: bits, bytes, whole numbers, bytes gone, bytes repeated, an end cut off, or
/// the end of another seed.
pub fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len());
        match random.below(8) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.next().to_be_bytes()[0];
                }
            }
            2 => overwrite(&mut input, at, &EDGES[random.below(EDGES.len())].to_be_bytes()),
            3 => {
                // Truncation is meant: the low half of an edge is an edge of its own.
                let [.., a, b, c, d] = EDGES[random.below(EDGES.len())].to_be_bytes();
                overwrite(&mut input, at, &[a, b, c, d]);
            }
            4 => {
                let end = at + random.below(input.len() - at + 1);
                input.drain(at..end);
            }
            5 => {
                let end = at + random.below((input.len() - at).min(64) + 1);
                let repeated = input[at..end].to_vec();
                input.splice(at..at, repeated);
            }
            6 => input.truncate(at),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from.min(other.len())..]);
            }
        }
    }
    input
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (slot, byte) in input.iter_mut().skip(at).zip(bytes) {
        *slot = *byte;
    }
}
