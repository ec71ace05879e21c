//! What a run tells, as log lines.

use crate::backup::progress::{Event, Progress, Severity};

use super::log::{Level, Log};

/// The class that Neo4j's tool names in its lines about progress; filters of operators match it.
const SOURCE: &str = "c.n.b.i.BackupOutputMonitor";

/// Writes each event to the log.
#[derive(Debug)]
pub struct LogProgress {
    log: Log,
}

impl LogProgress {
    /// Reports to `log`.
    pub fn new(log: Log) -> Self {
        Self { log }
    }
}

impl Progress for LogProgress {
    fn report(&self, event: &Event) {
        let level = match event.severity() {
            Severity::Info => Level::Info,
            Severity::Warn => Level::Warn,
        };
        self.log.line(level, SOURCE, event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::log::Zone;
    use crate::cli::testing::captured;

    #[test]
    fn events_are_lines_of_the_output_monitor() {
        let (streams, output) = captured();
        let progress = LogProgress::new(Log::new(streams.out, Level::Info, Zone::Utc));
        progress.report(&Event::StoreFilesStarted);
        progress.report(&Event::Warning("look".to_owned()));
        let lines: Vec<_> = output.out().lines().map(|line| line.split_at(29).1.to_owned()).collect();
        assert_eq!(
            lines,
            [
                "INFO  [c.n.b.i.BackupOutputMonitor] Start receiving store files",
                "WARN  [c.n.b.i.BackupOutputMonitor] look"
            ]
        );
    }
}
