//! Counts and degrees: what the transactions of a window add to each number.
//!
//! Commands carry differences. Each of the two stores knows which transactions it has seen, so a difference counts only
//! if the store that it belongs to has not seen its transaction. Specification: transaction log 8.6, 8.15 rule 5.

use rustc_hash::FxHashMap;

use super::RecoveryError;
use crate::index::counts::CountKey;
use crate::io::disk::DiskError;
use crate::io::sort::{ByKey, Scratch, Sorted, Sorter};
use crate::txlog::command::Command;

/// Numbers that are added up in memory before the sums are sorted: most windows touch few different ones.
const MOST_SUMS: usize = 1 << 14;

/// Adds up differences.
pub(super) struct Totals {
    sums: FxHashMap<CountKey, i64>,
    sorter: Sorter<ByKey>,
}

impl Totals {
    /// `memory`: bytes for sorting; the sums in memory take about 1 MiB besides.
    pub(super) fn new(scratch: &Scratch, memory: usize) -> Self {
        let sorter = Sorter::new(scratch, memory, ByKey { length: CountKey::SIZE });
        Self { sums: FxHashMap::default(), sorter }
    }

    /// Takes the difference of a command, if it has one. `counts`, `degrees`: whether that store needs it.
    pub(super) fn command(
        &mut self,
        command: &Command<'_>,
        counts: bool,
        degrees: bool,
    ) -> Result<(), DiskError> {
        let (key, delta) = match command {
            Command::NodeCount(count) if counts => (CountKey::Nodes { label: count.label }, count.delta),
            Command::RelationshipCount(count) if counts => {
                let (start, kind, end) = (count.start, count.kind, count.end);
                (CountKey::Relationships { start, kind, end }, count.delta)
            }
            Command::GroupDegree(degree) if degrees => {
                (CountKey::Degree { group: degree.group, direction: degree.direction }, degree.delta)
            }
            _ => return Ok(()),
        };
        if self.sums.len() >= MOST_SUMS && !self.sums.contains_key(&key) {
            self.spill()?;
        }
        let sum = self.sums.entry(key).or_default();
        *sum = sum.saturating_add(delta);
        Ok(())
    }

    fn spill(&mut self) -> Result<(), DiskError> {
        for (key, sum) in self.sums.drain() {
            self.sorter.push_parts(&[&key.to_sortable(), &sum.to_be_bytes()])?;
        }
        Ok(())
    }

    /// The sums, in the order of the keys: those of the counts store before those of the degrees store.
    pub(super) fn finish(mut self) -> Result<Sums, RecoveryError> {
        self.spill()?;
        let mut sums = Sums { sorted: self.sorter.finish()?, ahead: None };
        sums.ahead = sums.read()?;
        Ok(sums)
    }
}

/// What is added to each number.
pub(super) struct Sums {
    sorted: Sorted<ByKey>,
    ahead: Option<(CountKey, i64)>,
}

impl Sums {
    fn read(&mut self) -> Result<Option<(CountKey, i64)>, DiskError> {
        let Some(record) = self.sorted.next()? else { return Ok(None) };
        let sum = record.last_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        let key = record.get(..CountKey::SIZE).and_then(CountKey::from_sortable);
        Ok(key.map(|key| (key, sum)))
    }

    /// The next number of the counts store, or of the degrees store, and what is added to it. `None`: that were all of
    /// that store. Numbers that stay the same are left out.
    pub(super) fn next(&mut self, degrees: bool) -> Result<Option<(CountKey, i64)>, RecoveryError> {
        let belongs = |key: &CountKey| matches!(key, CountKey::Degree { .. }) == degrees;
        while let Some((key, mut sum)) = self.ahead.filter(|(key, _)| belongs(key)) {
            self.ahead = self.read()?;
            while let Some((_, more)) = self.ahead.filter(|(next, _)| *next == key) {
                sum = sum.saturating_add(more);
                self.ahead = self.read()?;
            }
            if sum != 0 {
                return Ok(Some((key, sum)));
            }
        }
        Ok(None)
    }
}
