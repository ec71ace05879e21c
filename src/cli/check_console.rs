//! A consistency check as an operator sees it while it runs: entries of the report as log lines, and on a terminal a bar.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use super::log::{self, Log};
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
    bars: MultiProgress,
    bar: Mutex<ProgressBar>,
}

impl CheckConsole {
    /// The bar is drawn on standard error, and only if that is a terminal.
    pub fn new(log: Option<Log>) -> Self {
        Self::drawing(log, ProgressDrawTarget::stderr())
    }

    fn drawing(log: Option<Log>, target: ProgressDrawTarget) -> Self {
        let bars = MultiProgress::with_draw_target(target);
        Self { log, bars, bar: Mutex::new(ProgressBar::hidden()) }
    }
}

impl CheckProgress for CheckConsole {
    fn begin(&self, part: CheckPart, total: u64) {
        // The template is a constant that a test draws.
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total).with_style(style).with_message(part.title());
        *self.bar.lock() = self.bars.add(bar);
    }

    fn at(&self, _part: CheckPart, done: u64) {
        self.bar.lock().set_position(done);
    }

    fn end(&self, _part: CheckPart) {
        self.bar.lock().finish();
    }

    fn entry(&self, level: Level, text: &str) {
        if let Some(log) = &self.log {
            let level = match level {
                Level::Error => log::Level::Error,
                Level::Warn => log::Level::Warn,
                Level::Extra => log::Level::Info,
            };
            // The bar must not be in the middle of the lines.
            self.bars.suspend(|| log.line(level, SOURCE, text));
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
}
