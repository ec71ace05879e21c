//! Chains that come back to one of their records.

/// Finds out that a walk goes round, with two numbers for a chain of any length (Brent's algorithm): every record is
/// compared with a mark, and the mark moves to it after 1, 2, 4, 8 ... steps. A circle is found before it was walked
/// three times.
#[derive(Clone, Copy, Debug, Default)]
pub struct CycleGuard {
    mark: Option<u64>,
    steps: u64,
    until_mark: u64,
}

impl CycleGuard {
    /// Takes the next record of the walk; whether it was met before.
    pub fn closes(&mut self, id: u64) -> bool {
        if self.mark == Some(id) {
            return true;
        }
        self.steps += 1;
        if self.steps > self.until_mark {
            self.mark = Some(id);
            self.until_mark = self.steps * 2;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_circle_is_found_soon_and_no_straight_chain_is_one() {
        for before in 0..40_u64 {
            for circle in 1..40_u64 {
                let mut guard = CycleGuard::default();
                let mut walk = (0..before).chain((before..before + circle).cycle());
                let found = walk.position(|id| guard.closes(id)).unwrap() as u64;
                assert!(found >= before + circle, "{before} {circle}");
                assert!(found <= 3 * (before + circle), "{before} {circle} {found}");
            }
        }
        let mut guard = CycleGuard::default();
        assert!(!(0..100_000).any(|id| guard.closes(id)));
    }
}
