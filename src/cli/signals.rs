//! The signals that end a run in order.

use std::io;

use tokio::runtime::Runtime;
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
