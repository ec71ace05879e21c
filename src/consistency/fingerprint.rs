//! Sums of hashes that show whether two multisets are equal.
//!
//! Almost every check says that two things belong together: a pointer and the one that leads back, an entry of an index
//! and the entity that it is for. One side adds a hash of each claim, the other takes it away; when both have the same
//! claims, nothing is left. That needs one pass in any order and no memory. The hash has a key that is drawn for each
//! run, so no store can be made to fool it, and 128 bits, so none does by accident.
//!
//! Specification: consistency check 6.5.

use std::hash::{BuildHasher, RandomState};

/// Hashes claims.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixer {
    keys: [u64; 6],
}

/// Kinds of claims; those of different kinds never cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Relationship, next relationship, node.
    ChainLink = 1,
    /// Node, its first relationship.
    Head = 2,
    /// Property record, next property record.
    PropertyLink = 3,
    /// A dynamic record that goes on with a value.
    Continuation = 4,
    /// Token, range of entities, bits of those that have it.
    Tokens = 5,
    /// A relationship of a chain: node, chain.
    Degree = 6,
    /// What begins with a record: its id, what it is.
    Owner = 7,
}

impl Mixer {
    /// With keys that nobody knows.
    pub fn new() -> Self {
        let random = RandomState::new();
        let mut keys = [0; 6];
        for (index, key) in keys.iter_mut().enumerate() {
            // Odd, so that no factor below is zero for all claims.
            *key = random.hash_one(index) | 1;
        }
        Self { keys }
    }

    /// The hash of a claim of two or three numbers.
    #[inline]
    pub fn hash(&self, claim: Claim, a: u64, b: u64, c: u64) -> u128 {
        let [k0, k1, k2, k3, k4, k5] = self.keys;
        let a = a.wrapping_add((claim as u64) << 58).wrapping_mul(k4).wrapping_add(c.wrapping_mul(k5));
        let product = u128::from(a ^ k0) * u128::from(b ^ k1);
        let (high, low) = ((product >> 64) as u64, product as u64);
        let again = u128::from(low ^ high ^ k2) * u128::from(high ^ k3);
        again ^ (u128::from(low) << 64)
    }
}

impl Mixer {
    /// The hash of the bytes of a claim.
    pub fn bytes(&self, bytes: &[u8]) -> u128 {
        let [k0, k1, k2, k3, k4, k5] = self.keys;
        let (mut a, mut b) = (k4 ^ bytes.len() as u64, k5);
        let (words, rest) = bytes.as_chunks::<16>();
        let mut tail = [0; 16];
        tail.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        for word in words.iter().chain([&tail]) {
            let word = u128::from_le_bytes(*word);
            let product = u128::from(a ^ word as u64 ^ k0) * u128::from(b ^ (word >> 64) as u64 ^ k1);
            (a, b) = (a.rotate_left(23).wrapping_add(product as u64), b ^ (product >> 64) as u64);
        }
        let product = u128::from(a ^ k2) * u128::from(b ^ k3);
        product ^ (u128::from(a) << 64)
    }
}

/// Buckets of a table, at most: with 16 bytes each they stay in the first cache of a core.
const BUCKETS: u64 = 1024;

/// A sum per bucket of neighbouring ids, so that one that is not zero tells about where something is wrong.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    shift: u32,
    sums: Vec<u128>,
}

impl Buckets {
    /// For ids below `high`.
    pub fn new(high: u64) -> Self {
        let shift = Self::shift(high);
        Self { shift, sums: vec![0; usize::try_from((high >> shift) + 1).unwrap_or_default()] }
    }

    fn shift(high: u64) -> u32 {
        let per_bucket = high.div_ceil(BUCKETS).max(1).next_power_of_two();
        per_bucket.trailing_zeros()
    }

    #[inline]
    pub fn add(&mut self, id: u64, hash: u128) {
        if let Some(sum) = self.sums.get_mut((id >> self.shift) as usize) {
            *sum = sum.wrapping_add(hash);
        }
    }

    #[inline]
    pub fn subtract(&mut self, id: u64, hash: u128) {
        self.add(id, hash.wrapping_neg());
    }

    /// Takes in the sums of another thread.
    pub fn merge(&mut self, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum = sum.wrapping_add(*other);
        }
    }

    /// Which buckets are not zero.
    pub fn suspects(&self) -> Suspects {
        Suspects { shift: self.shift, bad: self.sums.iter().map(|&sum| sum != 0).collect() }
    }
}

/// Ids that something may be wrong with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suspects {
    shift: u32,
    bad: Vec<bool>,
}

impl Suspects {
    /// Nothing is wrong with any id below `high`.
    pub fn none(high: u64) -> Self {
        let shift = Buckets::shift(high);
        Self { shift, bad: vec![false; usize::try_from((high >> shift) + 1).unwrap_or_default()] }
    }

    /// Adds the bucket of an id.
    #[inline]
    pub fn add(&mut self, id: u64) {
        if let Some(bad) = self.bad.get_mut((id >> self.shift) as usize) {
            *bad = true;
        }
    }

    #[inline]
    pub fn has(&self, id: u64) -> bool {
        self.bad.get((id >> self.shift) as usize).copied().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        !self.bad.contains(&true)
    }

    pub fn merge(&mut self, other: &Self) {
        for (bad, other) in self.bad.iter_mut().zip(&other.bad) {
            *bad |= other;
        }
    }

    /// The suspicious ids in rounds of about `most` each.
    pub fn rounds(&self, most: usize) -> Vec<Round> {
        let size = 1_usize << self.shift;
        let empty = || Round { shift: self.shift, starts: vec![None; self.bad.len()], length: 0 };
        let mut rounds: Vec<Round> = Vec::new();
        for (bucket, _) in self.bad.iter().enumerate().filter(|&(_, &bad)| bad) {
            let round = match rounds.pop() {
                Some(round) if round.length + size <= most => round,
                full => {
                    rounds.extend(full);
                    empty()
                }
            };
            rounds.push(round.with(bucket, size));
        }
        rounds
    }
}

/// Ids of some buckets, numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    shift: u32,
    /// The number of the first id of a bucket.
    starts: Vec<Option<usize>>,
    /// How many ids have a number.
    pub length: usize,
}

impl Round {
    fn with(mut self, bucket: usize, size: usize) -> Self {
        if let Some(start) = self.starts.get_mut(bucket) {
            *start = Some(self.length);
            self.length += size;
        }
        self
    }

    /// The number of an id.
    #[inline]
    pub fn number(&self, id: i64) -> Option<usize> {
        let id = usize::try_from(id).ok()?;
        let start = (*self.starts.get(id >> self.shift)?)?;
        Some(start + (id & ((1 << self.shift) - 1)))
    }

    /// The ids with their numbers.
    pub fn ids(&self) -> impl Iterator<Item = (i64, usize)> {
        let shift = self.shift;
        let buckets = self.starts.iter().enumerate().filter_map(|(bucket, start)| Some((bucket, (*start)?)));
        buckets.flat_map(move |(bucket, start)| {
            (0..1_usize << shift).map(move |at| ((bucket << shift | at) as i64, start + at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_multisets_cancel_in_any_order_and_others_do_not() {
        let mixer = Mixer::new();
        let links = [(1, 2, 3), (2, 1, 3), (7, 7, 7), (1, 2, 3)];
        let mut buckets = Buckets::new(8);
        for (a, b, c) in links {
            buckets.add(c, mixer.hash(Claim::ChainLink, a, b, c));
        }
        for (a, b, c) in links.into_iter().rev() {
            buckets.subtract(c, mixer.hash(Claim::ChainLink, a, b, c));
        }
        assert!(buckets.suspects().is_empty());
        buckets.add(3, mixer.hash(Claim::ChainLink, 1, 2, 3));
        buckets.subtract(3, mixer.hash(Claim::ChainLink, 2, 1, 3));
        let suspects = buckets.suspects();
        assert!(suspects.has(3) && !suspects.has(7));
        assert_ne!(mixer.hash(Claim::ChainLink, 1, 2, 0), mixer.hash(Claim::Head, 1, 2, 0));
    }

    #[test]
    fn bytes_that_differ_anywhere_have_other_hashes() {
        let mixer = Mixer::new();
        let bytes: Vec<u8> = (0..64).collect();
        let mut hashes: Vec<u128> = (0..64).map(|length| mixer.bytes(&bytes[..length])).collect();
        for bit in 0..64 * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            hashes.push(mixer.bytes(&other));
        }
        hashes.extend([&[0, 0][..], &[0; 16]].map(|zeros| mixer.bytes(zeros)));
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn a_bucket_has_neighbouring_ids_and_rounds_are_bounded() {
        let mut suspects = Suspects::none(1 << 18);
        for id in [1000, 5000, 9000] {
            suspects.add(id);
        }
        assert!(suspects.has(1023) && !suspects.has(1024));
        let rounds = suspects.rounds(512);
        assert_eq!(rounds.iter().map(|round| round.length).collect::<Vec<_>>(), [512, 256]);
        let [first, second] = &rounds[..] else { panic!() };
        assert_eq!((first.number(768), first.number(1023), first.number(1024)), (Some(0), Some(255), None));
        assert_eq!((first.number(5000), second.number(5000)), (Some(256 + 5000 % 256), None));
        assert_eq!((second.number(9000), second.number(-1)), (Some(9000 % 256), None));
        assert!(first.ids().all(|(id, number)| first.number(id) == Some(number)));
        assert_eq!(first.ids().count(), 512);
    }
}
