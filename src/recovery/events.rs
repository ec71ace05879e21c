//! What the window means for indexes, read from the log by a thread of its own.

use super::index_updates::{Collector, Events, Watch};
use super::window::is_damage;
use super::{Recovery, RecoveryError};
use crate::io::sort::Scratch;
use crate::txlog::LogPosition;
use crate::txlog::files::LogFiles;
use crate::txlog::reader::LogReader;

/// Bytes for sorting events.
const EVENTS_MEMORY: usize = 18 << 20;

/// Reads the window from `from` on and collects what it means for the indexes of `watch`.
pub(super) fn collect(
    recovery: &Recovery,
    logs: &LogFiles,
    from: LogPosition,
    scratch: &Scratch,
    watch: Watch,
) -> Result<Events, RecoveryError> {
    let mut reader = LogReader::open(logs, from)?;
    let mut collector = Collector::new(scratch, EVENTS_MEMORY, watch);
    loop {
        let logged = match reader.next_transaction() {
            Ok(Some(logged)) => logged,
            Ok(None) => break,
            Err(error) if !recovery.fail_on_corrupted && is_damage(&error) => break,
            Err(error) => return Err(error.into()),
        };
        let replayed = recovery.replays(logged.transaction.id);
        logged.for_each_command(|command| {
            collector.command(command);
            Ok::<_, RecoveryError>(())
        })?;
        collector.end_transaction(replayed)?;
    }
    collector.finish()
}
