//! Which of 64 neighbouring entities have a label or a type: the claims that the token indexes must make, too.

use super::fingerprint::{Claim, Mixer};

/// The sum of claims (token, range of 64 entities, bits), and the range at work.
#[derive(Clone, Debug)]
pub(super) struct TokenClaims {
    mixer: Mixer,
    sum: u128,
    range: u64,
    /// Tokens of the range at work with their bits.
    tokens: Vec<(i64, u64)>,
    /// Entities that the index may say anything of; their ranges must be compared one by one.
    skipped: bool,
}

impl TokenClaims {
    pub fn new(mixer: Mixer) -> Self {
        Self { mixer, sum: 0, range: 0, tokens: Vec::new(), skipped: false }
    }

    /// No claims, with the same key.
    pub fn empty(&self) -> Self {
        Self::new(self.mixer)
    }

    /// An entity, whose ids ascend within a range, and its tokens.
    #[inline]
    pub fn add(&mut self, id: u64, tokens: &[i64]) {
        let range = id / 64;
        if range != self.range {
            self.end_of_range();
            self.range = range;
        }
        let bit = 1 << (id % 64);
        for &token in tokens {
            match self.tokens.iter_mut().find(|(known, _)| *known == token) {
                Some((_, bits)) => *bits |= bit,
                None => self.tokens.push((token, bit)),
            }
        }
    }

    /// An entity whose tokens can't be read.
    pub fn skip(&mut self) {
        self.skipped = true;
    }

    /// Completes the range at work.
    #[inline]
    pub fn end_of_range(&mut self) {
        for (token, bits) in self.tokens.drain(..) {
            self.sum = self.sum.wrapping_add(self.mixer.hash(Claim::Tokens, token as u64, self.range, bits));
        }
    }

    /// Takes away what the index says.
    #[inline]
    pub fn subtract(&mut self, token: i64, range: u64, bits: u64) {
        if bits != 0 {
            self.sum = self.sum.wrapping_sub(self.mixer.hash(Claim::Tokens, token as u64, range, bits));
        }
    }

    /// Takes in the claims of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.skipped |= other.skipped;
    }

    /// Whether the index says just what the entities say.
    pub fn are_equal(&self) -> bool {
        self.sum == 0 && !self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_the_entries_of_their_index_cancel() {
        let mut claims = TokenClaims::new(Mixer::new());
        claims.add(0, &[1, 2]);
        claims.add(63, &[2]);
        claims.add(64, &[2]);
        claims.end_of_range();
        claims.subtract(1, 0, 1);
        claims.subtract(2, 0, 1 << 63 | 1);
        assert!(!claims.are_equal());
        claims.subtract(2, 1, 1);
        claims.subtract(7, 1, 0);
        assert!(claims.are_equal());
        claims.skip();
        assert!(!claims.are_equal());
    }
}
