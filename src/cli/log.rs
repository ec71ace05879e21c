//! Log lines: `2020-11-26 19:44:07.334+0000 INFO  [c.n.b.i.BackupOutputMonitor] text`.
//!
//! Two logs share the lines. What an operator should see goes through [`Log::line`]; what helps to find a mistake
//! comes as `tracing` events from all rooms and is shown under `--verbose` only. Specification: command line 3.4.

use std::fmt::{self, Write};

use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use super::streams::{Stream, Streams};
use crate::config::Configuration;
use crate::config::setting::{LogLevel, LogTimeZone};

const TIME: &[FormatItem<'_>] = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3][offset_hour sign:mandatory][offset_minute]"
);

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who look for a mistake.
    Debug,
    /// The normal course.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
    /// No line has it: as a threshold it hides all lines.
    None,
}

impl Level {
    fn column(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO ",
            Self::Warn => "WARN ",
            Self::Error => "ERROR",
            Self::None => "NONE ",
        }
    }
}

/// The zone in which times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Coordinated universal time.
    Utc,
    /// The zone of the machine.
    System,
}

/// Where lines about the configuration come from.
const CONFIGURATION_SOURCE: &str = "o.n.c.Config";

/// The log of a run: as configured, and with `verbose` everything. Begins with what there is to say about the
/// configuration itself. Specification: command line 3.4.
pub fn of_run(configuration: &Configuration, verbose: bool, streams: &Streams) -> Log {
    let threshold = match configuration.log_level {
        _ if verbose => Level::Debug,
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warn => Level::Warn,
        LogLevel::Error => Level::Error,
        LogLevel::None => Level::None,
    };
    let zone = match configuration.log_time_zone {
        LogTimeZone::Utc => Zone::Utc,
        LogTimeZone::System => Zone::System,
    };
    let log = Log::new(streams.out.clone(), threshold, zone);
    for notice in &configuration.notices {
        log.line(Level::Warn, CONFIGURATION_SOURCE, notice);
    }
    if verbose {
        for warning in &configuration.warnings {
            log.line(Level::Warn, CONFIGURATION_SOURCE, warning);
        }
    }
    log
}

/// Writes log lines to one stream. Clones write to the same one.
#[derive(Clone, Debug)]
pub struct Log {
    out: Stream,
    threshold: Level,
    zone: Zone,
}

impl Log {
    /// Shows lines from `threshold` on.
    pub fn new(out: Stream, threshold: Level, zone: Zone) -> Self {
        Self { out, threshold, zone }
    }

    /// Writes a line, if its level reaches the threshold. `source` stands for the class that Neo4j's tool names.
    pub fn line(&self, level: Level, source: &str, text: impl fmt::Display) {
        if level >= self.threshold {
            self.out.line(render(self.now(), level, source, text));
        }
    }

    fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        match self.zone {
            Zone::Utc => now,
            // Asked each time: a long run may see the clocks change.
            Zone::System => now.to_offset(UtcOffset::local_offset_at(now).unwrap_or(UtcOffset::UTC)),
        }
    }

    /// Runs `work` with the events of all rooms going to this log.
    ///
    /// The first run of a process gets the events of its other threads, too; a program has one run.
    pub fn observe<T>(&self, work: impl FnOnce() -> T) -> T {
        let dispatch = Dispatch::new(Registry::default().with(Internal(self.clone())));
        let other_threads = dispatcher::set_global_default(dispatch.clone());
        let result = dispatcher::with_default(&dispatch, work);
        drop(other_threads);
        result
    }
}

fn render(time: OffsetDateTime, level: Level, source: &str, text: impl fmt::Display) -> String {
    // The description has no part that can fail for a time that exists.
    let time = time.format(TIME).unwrap_or_default();
    format!("{time} {} [{source}] {text}", level.column())
}

/// Turns events into lines of the internal log.
struct Internal(Log);

impl<S: Subscriber> Layer<S> for Internal {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        level_of(metadata) >= self.0.threshold && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.line(level_of(event.metadata()), &source(event.metadata().target()), text.0);
    }
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
    }
}

/// `neo4j_admin::catchup::client` as `n.c.client`.
fn source(target: &str) -> String {
    let (rooms, last) = target.rsplit_once("::").unwrap_or(("", target));
    let mut source: String =
        rooms.split("::").filter_map(|room| room.chars().next()).flat_map(|c| [c, '.']).collect();
    source.push_str(last);
    source
}

/// The message of an event, and its other fields behind it.
struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = if field.name() == "message" {
            self.0 = format!("{value:?}{}", self.0);
            Ok(())
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
        debug_assert!(written.is_ok(), "a string takes all that is written to it");
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::cli::testing::captured;

    #[test]
    fn lines_look_as_in_neo4j() {
        let time = datetime!(2020-11-26 19:44:07.334 UTC);
        for (time, level, line) in [
            (time, Level::Info, "2020-11-26 19:44:07.334+0000 INFO  [c.n.b.i.BackupOutputMonitor] text"),
            (
                time.to_offset(UtcOffset::from_hms(-3, -30, 0).unwrap()),
                Level::Error,
                "2020-11-26 16:14:07.334-0330 ERROR [c.n.b.i.BackupOutputMonitor] text",
            ),
        ] {
            assert_eq!(render(time, level, "c.n.b.i.BackupOutputMonitor", "text"), line);
        }
    }

    #[test]
    fn a_threshold_hides_what_is_below() {
        let (streams, output) = captured();
        let log = Log::new(streams.out, Level::Warn, Zone::Utc);
        log.line(Level::Info, "a", "hidden");
        log.line(Level::Warn, "a", "shown");
        assert!(output.out().ends_with("WARN  [a] shown\n"), "{}", output.out());
        assert_eq!(output.out().lines().count(), 1);
    }

    #[test]
    fn events_of_the_rooms_become_lines() {
        let (streams, output) = captured();
        Log::new(streams.out, Level::Info, Zone::Utc).observe(|| {
            tracing::debug!("hidden");
            tracing::info!(target: "some_library::tls", "hidden");
            tracing::info!(target: "neo4j_admin::catchup::client", database = "neo4j", "Requesting store id");
        });
        let (_, line) = output.out().split_once("+0000 ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert_eq!(line, "INFO  [n.c.client] Requesting store id database=neo4j\n");
    }
}
