//! What the window means for indexes, counts and degrees, read from the log by a thread of its own: that is about as much
//! work as to collect the records.

use super::index_updates::{Collector, Events, Watch};
use super::totals::{Sums, Totals};
use super::window::{Source, is_damage};
use super::{Recovery, RecoveryError};
use crate::txlog::reader::LogReader;

/// Bytes for sorting events.
const EVENTS_MEMORY: usize = 18 << 20;
/// Bytes for sorting counts and degrees.
const TOTALS_MEMORY: usize = 1 << 20;

/// Reads the window and collects what it means for the indexes of `watch`, and what it adds to counts and degrees.
pub(super) fn collect(
    recovery: &Recovery,
    source: &Source<'_>,
    watch: Watch,
) -> Result<(Events, Sums), RecoveryError> {
    let mut reader = LogReader::open(source.logs, source.from)?;
    let mut collector = Collector::new(source.scratch, EVENTS_MEMORY, watch);
    let mut totals = Totals::new(source.scratch, TOTALS_MEMORY);
    loop {
        let logged = match reader.next_transaction() {
            Ok(Some(logged)) => logged,
            Ok(None) => break,
            Err(error) if !recovery.fail_on_corrupted && is_damage(&error) => break,
            Err(error) => return Err(error.into()),
        };
        let id = logged.transaction.id;
        let replayed = recovery.replays(id);
        let (counts, degrees) = source.have_applied(id)?;
        let (counts, degrees) = (replayed && counts == Some(false), replayed && degrees == Some(false));
        logged.for_each_command(|command| {
            collector.command(command);
            Ok::<_, RecoveryError>(totals.command(command, counts, degrees)?)
        })?;
        collector.end_transaction(replayed)?;
    }
    Ok((collector.finish()?, totals.finish()?))
}
