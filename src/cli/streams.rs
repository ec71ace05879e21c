//! Where the program writes: nothing else in it prints.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// One of the two outputs of a run. Clones write to the same place, one line at a time.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<dyn Write + Send>>);

impl Stream {
    /// Writes to `sink`.
    pub fn new(sink: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(sink)))
    }

    /// Writes a text as it is. A reader that went away ends nothing: the backup matters more than its log.
    pub fn text(&self, text: impl fmt::Display) {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One write per line, so that lines of other processes on the same terminal don't get into it.
        let written = sink.write_all(text.to_string().as_bytes()).and_then(|()| sink.flush());
        drop(written);
    }

    /// Writes a line.
    pub fn line(&self, text: impl fmt::Display) {
        self.text(format_args!("{text}\n"));
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// Standard output and standard error of a run.
#[derive(Clone, Debug)]
pub struct Streams {
    /// Log lines, help, results.
    pub out: Stream,
    /// What went wrong, warnings about the command line.
    pub err: Stream,
}

impl Streams {
    /// Those of the process.
    pub fn of_process() -> Self {
        Self { out: Stream::new(std::io::stdout()), err: Stream::new(std::io::stderr()) }
    }
}
