//! How far a check is.

use std::sync::atomic::{AtomicU64, Ordering};

use super::report::{EntryListener, Level};

/// The two parts of a check that have a progress of their own. Specification: consistency check 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckPart {
    /// The structure of trees: a step per tree.
    Structure,
    /// Everything else: a step per record.
    Contents,
}

impl CheckPart {
    /// Neo4j's title of the part.
    pub fn title(self) -> &'static str {
        match self {
            Self::Structure => "Index structure consistency check",
            Self::Contents => "Consistency check",
        }
    }
}

/// Watches a check.
pub trait CheckProgress: Sync {
    /// A part begins; `total`: its steps.
    fn begin(&self, part: CheckPart, total: u64) {
        let _ = (part, total);
    }

    /// How many steps of the part are done by now. Called from any thread, not for every step.
    fn at(&self, part: CheckPart, done: u64) {
        let _ = (part, done);
    }

    /// A part is over, at its total.
    fn end(&self, part: CheckPart) {
        let _ = part;
    }

    /// An entry of the report, without its time: the first line, then lines that begin with a tab.
    fn entry(&self, level: Level, text: &str) {
        let _ = (level, text);
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl CheckProgress for Unwatched {}

/// Gives entries of the report to who watches the check.
pub(super) struct Entries<'a>(pub &'a dyn CheckProgress);

impl EntryListener for Entries<'_> {
    fn entry(&self, level: Level, text: &str) {
        self.0.entry(level, text);
    }
}

/// Counts the steps of a part.
pub(super) struct Advance<'a> {
    progress: &'a dyn CheckProgress,
    part: CheckPart,
    done: AtomicU64,
}

impl<'a> Advance<'a> {
    pub fn begin(progress: &'a dyn CheckProgress, part: CheckPart, total: u64) -> Self {
        progress.begin(part, total);
        Self { progress, part, done: AtomicU64::new(0) }
    }

    pub fn by(&self, steps: u64) {
        let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
        self.progress.at(self.part, done);
    }

    pub fn end(&self) {
        self.progress.end(self.part);
    }
}

impl std::fmt::Debug for Advance<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Advance").field("part", &self.part).finish_non_exhaustive()
    }
}
