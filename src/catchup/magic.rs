//! The first 13 bytes of each direction, raw: not framed, not terminated. Specification: protocol 2.1.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What both sides send, the client first.
pub const MAGIC: &[u8; 13] = b"NEO4J_CLUSTER";

/// The magic of the other side did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum MagicError {
    /// Something else came, in full or until the stream ended.
    #[error("wrong magic value: '{}'", got.escape_ascii())]
    Wrong {
        /// The bytes that came, at most 13; none if the stream just ended.
        got: Vec<u8>,
    },
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl MagicError {
    /// Whether the stream just ended.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Wrong { got } if got.is_empty())
    }
}

/// Greets the server and waits for its answer. Nothing else may be sent before that: a server loses what arrives
/// together with the magic.
pub async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), MagicError> {
    let sent = async {
        stream.write_all(MAGIC).await?;
        stream.flush().await
    };
    let sent = sent.await;
    match (sent, expect(stream).await) {
        // A server that refuses a certificate says so and closes: its last word tells more than that it is gone.
        (Err(_), Err(error @ MagicError::Io(_))) => Err(error),
        (Err(_), Err(error @ MagicError::Wrong { .. })) if !error.is_silence() => Err(error),
        (Err(error), _) => Err(error.into()),
        (Ok(()), expected) => expected,
    }
}

/// Waits for the client's greeting and answers it. A wrong one is not answered.
pub async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), MagicError> {
    expect(stream).await?;
    stream.write_all(MAGIC).await?;
    Ok(stream.flush().await?)
}

/// Reads no byte beyond the magic, and none behind a wrong one: a peer with another protocol may wait for more of ours.
async fn expect(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), MagicError> {
    let mut stream = stream.take(MAGIC.len() as u64);
    let mut got = Vec::with_capacity(MAGIC.len());
    while got.len() < MAGIC.len() && MAGIC.starts_with(&got) {
        match stream.read_buf(&mut got).await {
            Ok(0) => break,
            Ok(_) => {}
            // A peer that has said something and then resets is told by what it said.
            Err(_) if !got.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    if got == MAGIC { Ok(()) } else { Err(MagicError::Wrong { got }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_greet() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, mut server) = tokio::io::duplex(64);
            let (greeted, answered) = tokio::join!(greet(&mut client), answer(&mut server));
            greeted.unwrap();
            answered.unwrap();
        });
    }

    #[test]
    fn a_wrong_greeting_is_not_answered() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, mut server) = tokio::io::duplex(64);
            client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            let error = answer(&mut server).await.unwrap_err();
            assert_eq!(error.to_string(), "wrong magic value: 'GET / HTTP/1.'");
            drop(server);
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"");
        });
    }
}
