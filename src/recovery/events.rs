//! What the window writes into property stores, and what it means for indexes, counts and degrees. A thread of its own
//! reads that from the log: it is about half of the work.

use std::sync::mpsc::Receiver;

use super::images::{self, Images, Lane};
use super::index_updates::{Collector, Events, Watch};
use super::totals::{Sums, Totals};
use super::window::{Batch, IMAGES_MEMORY, Source, is_damage};
use super::{Recovery, RecoveryError};
use crate::txlog::command::Command;
use crate::txlog::follow::Follower;
use crate::txlog::reader::{LogReader, LoggedTransaction};

/// Bytes for sorting events.
const EVENTS_MEMORY: usize = 18 << 20;
/// Bytes for sorting counts and degrees.
const TOTALS_MEMORY: usize = 1 << 20;

/// What was collected.
pub(super) struct Collected {
    /// Writes of properties and of their values.
    pub images: Vec<Images>,
    pub events: Events,
    pub sums: Sums,
}

/// Reads the window and collects. `watch`: what indexes are about. `followed`: the transactions, from another reader that
/// checks them at the same time; `None`: they are checked here.
pub(super) fn collect(
    recovery: &Recovery,
    source: &Source<'_>,
    watch: Watch,
    followed: Option<Receiver<Batch>>,
) -> Result<Collected, RecoveryError> {
    let mut collecting = Collecting {
        images: images::Collector::new(source.stores, source.scratch, IMAGES_MEMORY, &Lane::OF_PROPERTIES),
        events: Collector::new(source.scratch, EVENTS_MEMORY, recovery.threads, watch),
        totals: Totals::new(source.scratch, TOTALS_MEMORY),
    };
    if let Some(batches) = followed {
        let mut follower = Follower::new(source.logs);
        for extent in batches.iter().flatten() {
            collecting.transaction(recovery, source, follower.transaction(&extent)?)?;
        }
    } else {
        let mut reader = LogReader::open(source.logs, source.from)?;
        loop {
            match reader.next_transaction() {
                Ok(Some(logged)) => collecting.transaction(recovery, source, logged)?,
                Ok(None) => break,
                Err(error) if !recovery.fail_on_corrupted && is_damage(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let Collecting { images, events, totals } = collecting;
    Ok(Collected { images: images.finish()?, events: events.finish()?, sums: totals.finish()? })
}

struct Collecting<'a> {
    images: images::Collector<'a>,
    events: Collector,
    totals: Totals,
}

impl Collecting<'_> {
    fn transaction(
        &mut self,
        recovery: &Recovery,
        source: &Source<'_>,
        logged: LoggedTransaction<'_>,
    ) -> Result<(), RecoveryError> {
        let id = logged.transaction.id;
        let replayed = recovery.replays(id);
        let (counts, degrees) = source.have_applied(id)?;
        let (counts, degrees) = (replayed && counts == Some(false), replayed && degrees == Some(false));
        self.images.begin(id, replayed);
        self.events.begin_transaction(replayed);
        logged.for_each_command(|command| {
            if matches!(command, Command::Property(_)) {
                self.images.command(command)?;
            }
            self.events.command(command)?;
            Ok::<_, RecoveryError>(self.totals.command(command, counts, degrees)?)
        })?;
        self.events.end_transaction()
    }
}
