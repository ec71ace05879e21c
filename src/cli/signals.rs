//! The signals that end a run in order.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::backup::stop::{Signal, Stop};

/// Makes SIGINT and SIGTERM requests to stop, for as long as the runtime lives.
pub(super) fn listen(runtime: &Runtime, stop: &Stop) -> io::Result<()> {
    let _inside = runtime.enter();
    for (kind, meaning) in
        [(SignalKind::interrupt(), Signal::Interrupt), (SignalKind::terminate(), Signal::Terminate)]
    {
        let mut arrivals = signal(kind)?;
        let stop = stop.clone();
        runtime.spawn(async move {
            if arrivals.recv().await.is_some() {
                stop.request(meaning);
            }
        });
    }
    Ok(())
}

/// The same for a command without a network: a thread that waits for signals as long as this lives.
#[derive(Debug)]
pub(super) struct Signals {
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Signals {
    /// Makes SIGINT and SIGTERM requests to stop.
    pub fn listen(stop: &Stop) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        listen(&runtime, stop)?;
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let thread = thread::Builder::new().name("signals".to_owned()).spawn(move || {
            // The sender is dropped when the command has ended.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
