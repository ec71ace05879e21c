//! A consistency check as an operator sees it while it runs: entries of the report as log lines, and on a terminal a bar.

use std::io::{self, IsTerminal};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use super::log::{self, Log};
use super::streams::Stream;
use crate::consistency::{CheckPart, CheckProgress, Level};

/// The class that Neo4j's tool names in the lines of a check; filters of operators match it.
pub(super) const SOURCE: &str = "o.n.c.ConsistencyCheckService";

/// What is done, how much of it, how fast, and how long it will take.
const BAR: &str = "{msg} [{bar:30}] {percent:>3}% {human_pos}/{human_len}, {per_sec}, {eta} left";

/// Shows a check.
#[derive(Debug)]
pub(super) struct CheckConsole {
    /// Where entries go; none: they are in the report only.
    log: Option<Log>,
    gauge: Gauge,
}

/// How far a check is.
#[derive(Debug)]
enum Gauge {
    /// A bar on a terminal, nothing elsewhere.
    Bar { bars: MultiProgress, bar: Mutex<ProgressBar> },
    /// Neo4j's lines: a title, then one for each tenth. Specification: command line 3.6.
    Lines { err: Stream, part: Mutex<Tenths> },
}

/// A part of a check in tenths.
#[derive(Debug, Default)]
struct Tenths {
    total: u64,
    shown: u64,
}

impl CheckConsole {
    /// The bar is drawn on standard error, and only if that is a terminal.
    pub fn new(log: Option<Log>) -> Self {
        Self::drawing(log, ProgressDrawTarget::stderr())
    }

    /// For a check that ends a backup: where no bar can be drawn, lines of its progress go to standard error.
    pub fn of_backup(log: Option<Log>, err: &Stream) -> Self {
        if io::stderr().is_terminal() { Self::new(log) } else { Self::telling(log, err) }
    }

    fn telling(log: Option<Log>, err: &Stream) -> Self {
        Self { log, gauge: Gauge::Lines { err: err.clone(), part: Mutex::default() } }
    }

    fn drawing(log: Option<Log>, target: ProgressDrawTarget) -> Self {
        let bars = MultiProgress::with_draw_target(target);
        Self { log, gauge: Gauge::Bar { bars, bar: Mutex::new(ProgressBar::hidden()) } }
    }
}

impl Tenths {
    /// Writes the lines up to a tenth.
    fn show(&mut self, tenth: u64, err: &Stream) {
        while self.shown < tenth {
            self.shown += 1;
            let percent = self.shown * 10;
            err.line(format_args!("{} {percent:>3}%", ".".repeat(20)));
        }
    }
}

impl CheckProgress for CheckConsole {
    fn begin(&self, part: CheckPart, total: u64) {
        match &self.gauge {
            Gauge::Bar { bars, bar } => {
                // The template is a constant that a test draws.
                let style =
                    ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
                let new = ProgressBar::new(total).with_style(style).with_message(part.title());
                *bar.lock() = bars.add(new);
            }
            Gauge::Lines { err, part: tenths } => {
                err.line(part.title());
                *tenths.lock() = Tenths { total, shown: 0 };
            }
        }
    }

    fn at(&self, _part: CheckPart, done: u64) {
        match &self.gauge {
            Gauge::Bar { bar, .. } => bar.lock().set_position(done),
            Gauge::Lines { err, part } => {
                let mut tenths = part.lock();
                let reached = u128::from(done) * 10 / u128::from(tenths.total.max(1));
                tenths.show(u64::try_from(reached).unwrap_or(10).min(10), err);
            }
        }
    }

    fn end(&self, _part: CheckPart) {
        match &self.gauge {
            Gauge::Bar { bar, .. } => bar.lock().finish(),
            Gauge::Lines { err, part } => part.lock().show(10, err),
        }
    }

    fn entry(&self, level: Level, text: &str) {
        if let Some(log) = &self.log {
            let level = match level {
                Level::Error => log::Level::Error,
                Level::Warn => log::Level::Warn,
                Level::Extra => log::Level::Info,
            };
            let line = || log.line(level, SOURCE, text);
            match &self.gauge {
                // The bar must not be in the middle of the lines.
                Gauge::Bar { bars, .. } => bars.suspend(line),
                Gauge::Lines { .. } => line(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use indicatif::TermLike;

    use super::*;
    use crate::cli::log::Zone;
    use crate::cli::testing::captured;

    /// A terminal that keeps all that was written to it.
    #[derive(Clone, Debug, Default)]
    struct Terminal(Arc<Mutex<String>>);

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.write_str("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_shows_what_is_done_how_fast_and_how_long_it_takes() {
        let terminal = Terminal::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let console = CheckConsole::drawing(None, target);
        console.begin(CheckPart::Structure, 4);
        console.at(CheckPart::Structure, 4);
        console.end(CheckPart::Structure);
        console.begin(CheckPart::Contents, 2_000_000);
        console.at(CheckPart::Contents, 2_000_000);
        console.end(CheckPart::Contents);
        let shown = terminal.0.lock().clone();
        for text in [
            "Index structure consistency check [",
            "Consistency check [██████████████████████████████] 100% 2,000,000/2,000,000, ",
            "/s, 0s left",
        ] {
            assert!(shown.contains(text), "{text} is not in {shown}");
        }
    }

    #[test]
    fn entries_are_lines_of_the_checker_and_no_bar_is_drawn_elsewhere() {
        let (streams, output) = captured();
        let log = Log::new(streams.out, log::Level::Info, Zone::Utc);
        let console = CheckConsole::drawing(Some(log), ProgressDrawTarget::hidden());
        console.begin(CheckPart::Contents, 10);
        console.entry(Level::Error, "The referenced relationship record is not in use.\n\tNode[7]");
        console.entry(Level::Warn, "Index was dirty on startup which means it needs to be repopulated.");
        console.end(CheckPart::Contents);
        let lines: Vec<_> = output.out().lines().map(str::to_owned).collect();
        assert_eq!(
            lines[0].split_once("+0000 ").unwrap().1,
            "ERROR [o.n.c.ConsistencyCheckService] The referenced relationship record is not in use."
        );
        assert_eq!(lines[1], "\tNode[7]");
        assert!(lines[2].contains("+0000 WARN  [o.n.c.ConsistencyCheckService] Index was dirty"));
        assert_eq!(lines.len(), 3);
        assert_eq!(output.err(), "");
    }

    #[test]
    fn a_backup_tells_each_tenth_in_a_line_where_no_bar_can_be_drawn() {
        let (streams, output) = captured();
        let console = CheckConsole::telling(None, &streams.err);
        console.begin(CheckPart::Structure, 3);
        console.at(CheckPart::Structure, 1);
        assert_eq!(output.err().lines().count(), 4);
        console.at(CheckPart::Structure, 3);
        console.end(CheckPart::Structure);
        console.begin(CheckPart::Contents, 0);
        console.end(CheckPart::Contents);
        let percents = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
        let tenths = percents.map(|percent| format!("{} {percent:>3}%", ".".repeat(20))).join("\n");
        let expected = format!("Index structure consistency check\n{tenths}\nConsistency check\n{tenths}\n");
        assert_eq!(output.err(), expected);
        assert_eq!(output.out(), "");
    }
}
