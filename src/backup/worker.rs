//! Work that needs the processor, while a signal is waited for.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::BackupError;
use super::stop::Stop;

/// Does `work` on a thread of its own. After a signal it may still come to its end within `grace`; later it is left
/// alone, and goes with the process.
pub(super) fn aside<T: Send + 'static>(
    name: &str,
    runtime: &Handle,
    stop: &Stop,
    grace: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BackupError> {
    let (done, result) = oneshot::channel();
    let worker = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody waits any more when the run has ended.
        let _ = done.send(work());
    });
    let worker = worker.map_err(BackupError::Thread)?;
    let ended = runtime.block_on(async {
        let mut result = result;
        tokio::select! {
            biased;
            ended = &mut result => Ok(ended),
            signal = stop.wait() => {
                tokio::time::timeout(grace, result).await.map_err(|_| BackupError::Interrupted(signal))
            }
        }
    })?;
    match ended {
        Ok(value) => Ok(value),
        Err(_) => match worker.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Err(BackupError::Ended),
        },
    }
}
