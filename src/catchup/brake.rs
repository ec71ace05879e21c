//! A bound on how fast a client receives, over all of its connections.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets so many bytes a second pass. Whoever has received waits until they are due; the network does the rest, since a
/// peer that is not read from stops to send.
#[derive(Debug)]
pub struct Brake {
    bytes_per_second: NonZeroU64,
    /// When everything that was received would have passed at the given speed.
    due: Mutex<Option<Instant>>,
}

impl Brake {
    /// How far the speed is made up for after a pause of the peer.
    const BURST: Duration = Duration::from_millis(100);

    /// A brake for this speed.
    pub fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, due: Mutex::new(None) }
    }

    /// Waits until `bytes` more may have passed.
    pub async fn hold(&self, bytes: usize) {
        let due = self.next(bytes as u64, Instant::now());
        sleep_until(due).await;
    }

    fn next(&self, bytes: u64, now: Instant) -> Instant {
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let takes = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(Self::BURST).unwrap_or(now);
        // A speed of a byte a second may lead beyond what the clock can show.
        let next = due.unwrap_or(now).max(earliest).checked_add(takes).unwrap_or(now);
        *due = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_at_the_given_speed_and_a_pause_is_not_made_up_for() {
        let brake = Brake::new(NonZeroU64::new(1000).unwrap());
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(brake.next(500, start), after(500));
        assert_eq!(brake.next(250, after(10)), after(750), "connections share the speed");
        assert_eq!(brake.next(1000, after(10_000)), after(10_900), "at most a tenth of a second");
        assert_eq!(brake.next(0, after(10_000)), after(10_900));
    }
}
