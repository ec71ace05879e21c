//! The signals that end a run in order.

use std::io;

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

/// A runtime for a command without a network that does nothing but this.
pub(super) fn runtime(stop: &Stop) -> io::Result<Runtime> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    listen(&runtime, stop)?;
    Ok(runtime)
}
