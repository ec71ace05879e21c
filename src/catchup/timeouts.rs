//! How long the client waits. Specification: protocol 1.2.

use std::fmt;
use std::time::Duration;

/// How long a client waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For one address to accept the connection: 30 s.
    pub connect: Duration,
    /// For the server's magic, then again for the rest of the handshake: 20 s,
    /// `causal_clustering.handshake_timeout`.
    pub handshake: Duration,
    /// For everything up to a request on its way, dialling included: 60 s.
    pub request_sent: Duration,
    /// For the next message of an answer, measured from the one before: 10 min,
    /// `causal_clustering.catch_up_client_inactivity_timeout`. Each frame of a transaction stream counts as a message.
    pub inactivity: Duration,
    /// For the first message of the answer to `PREPARE_STORE_COPY`, before which the server runs a checkpoint. The same
    /// 10 min unless set: a long checkpoint is no dead server.
    pub checkpoint: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let inactivity = Duration::from_secs(10 * 60);
        Self {
            connect: Duration::from_secs(30),
            handshake: Duration::from_secs(20),
            request_sent: Duration::from_secs(60),
            inactivity,
            checkpoint: inactivity,
        }
    }
}

/// A duration as Java prints it: `PT20S`, `PT1M30S`, `PT0.25S`. To the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsoDuration(pub Duration);

impl fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let millis = self.0.subsec_millis();
        f.write_str("PT")?;
        if hours > 0 {
            write!(f, "{hours}H")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}M")?;
        }
        if millis > 0 {
            let fraction = format!("{millis:03}");
            write!(f, "{seconds}.{}S", fraction.trim_end_matches('0'))
        } else if seconds > 0 || (hours == 0 && minutes == 0) {
            write!(f, "{seconds}S")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_java() {
        for (millis, text) in [
            (0, "PT0S"),
            (20_000, "PT20S"),
            (60_000, "PT1M"),
            (90_000, "PT1M30S"),
            (3_600_000, "PT1H"),
            (250, "PT0.25S"),
            (7_261_005, "PT2H1M1.005S"),
        ] {
            assert_eq!(IsoDuration(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
