//! Agreeing on a version of the application protocol. Specification: protocol 2.3.
//!
//! Modifiers, which would compress what the client sends, are never asked for and never granted: compression goes from
//! client to server only and can't help a backup.

mod message;

use tokio::io::{AsyncRead, AsyncWrite};

pub use self::message::{HandshakeRequest, HandshakeResponse, ProtocolVersion, Status};
use super::error::{CatchupError, HandshakeError, Step};
use super::frame::{self, Frames};
use super::peer::Peer;

/// The name of the protocol in every message of the handshake.
pub const PROTOCOL: &str = "catchup";

/// The client's side: offers `versions`, takes the one that the server chooses.
pub async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
    frames: &mut Frames<S>,
    peer: &Peer,
    versions: &[ProtocolVersion],
) -> Result<ProtocolVersion, CatchupError> {
    let offer = HandshakeRequest::Application { protocol: PROTOCOL.to_owned(), versions: versions.to_vec() };
    let (status, protocol, version) = match ask(frames, peer, &offer).await? {
        HandshakeResponse::Application { status, protocol, version } => (status, protocol, version),
        other => return Err(unexpected(peer, &other, "0, the answer about the application protocol,")),
    };
    match status {
        Status::Success => {}
        Status::Failure => {
            return Err(CatchupError::ProtocolRefused { peer: peer.clone(), offered: versions.to_vec() });
        }
        Status::Unknown(status) => {
            return Err(broken(
                peer,
                HandshakeError::UnknownStatus { status, protocol, version: version.to_string() },
            ));
        }
    }
    if protocol != PROTOCOL || !versions.contains(&version) {
        let offered = versions.to_vec();
        return Err(CatchupError::ProtocolMismatch { peer: peer.clone(), protocol, version, offered });
    }
    let switch = HandshakeRequest::SwitchOver { protocol, version, modifiers: Vec::new() };
    match ask(frames, peer, &switch).await? {
        HandshakeResponse::SwitchOver { status: Status::Success } => Ok(version),
        HandshakeResponse::SwitchOver { .. } => {
            Err(CatchupError::SwitchOverRefused { peer: peer.clone(), version })
        }
        other => Err(unexpected(peer, &other, "2, the confirmation of the switch-over,")),
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    frames: &mut Frames<S>,
    peer: &Peer,
    request: &HandshakeRequest,
) -> Result<HandshakeResponse, CatchupError> {
    let failed = |error| CatchupError::from_frame(error, peer, Step::Handshake);
    frames.put(|out| request.encode(out));
    frames.flush().await.map_err(failed)?;
    let payload = frames.read(frame::LIMIT).await.map_err(failed)?;
    HandshakeResponse::decode(payload).map_err(|error| broken(peer, error))
}

/// The server's side: chooses the greatest of `versions` that the client offers too.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    frames: &mut Frames<S>,
    peer: &Peer,
    versions: &[ProtocolVersion],
) -> Result<ProtocolVersion, CatchupError> {
    let failed = |error| CatchupError::from_frame(error, peer, Step::Handshake);
    let mut agreed = None;
    loop {
        let payload = frames.read(frame::LIMIT).await.map_err(failed)?;
        let request = HandshakeRequest::decode(payload).map_err(|error| broken(peer, error))?;
        let mut outcome = None;
        let response = match request {
            HandshakeRequest::Modifier { category, .. } => {
                HandshakeResponse::Modifier { status: Status::Failure, category, name: String::new() }
            }
            HandshakeRequest::Application { protocol, versions: offered } => {
                agreed = offered.iter().filter(|version| versions.contains(version)).max().copied();
                agreed = agreed.filter(|_| protocol == PROTOCOL);
                if let Some(version) = agreed {
                    HandshakeResponse::Application { status: Status::Success, protocol, version }
                } else {
                    outcome = Some(Err(CatchupError::ProtocolRefused { peer: peer.clone(), offered }));
                    HandshakeResponse::Application {
                        status: Status::Failure,
                        protocol: String::new(),
                        version: ProtocolVersion { major: 0, minor: 0 },
                    }
                }
            }
            HandshakeRequest::SwitchOver { protocol, version, modifiers } => {
                // No modifier is ever accepted, so the list of the accepted ones is the empty one.
                let agrees = protocol == PROTOCOL && agreed == Some(version) && modifiers.is_empty();
                outcome =
                    Some(if agrees { Ok(version) } else { Err(broken(peer, HandshakeError::SwitchOver)) });
                let status = if agrees { Status::Success } else { Status::Failure };
                HandshakeResponse::SwitchOver { status }
            }
        };
        frames.put(|out| response.encode(out));
        frames.flush().await.map_err(failed)?;
        if let Some(outcome) = outcome {
            return outcome;
        }
    }
}

fn broken(peer: &Peer, error: HandshakeError) -> CatchupError {
    CatchupError::Handshake { peer: peer.clone(), error }
}

fn unexpected(peer: &Peer, got: &HandshakeResponse, expected: &'static str) -> CatchupError {
    broken(peer, HandshakeError::Unexpected { got: got.code(), expected })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::catchup::message::worked::hex;

    const BOTH: &[ProtocolVersion] = &[ProtocolVersion::V3, ProtocolVersion::V4];

    fn peer() -> Peer {
        Peer::named("db1", 6362)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn agree(client: &[ProtocolVersion], server: &[ProtocolVersion]) -> (Agreed, Agreed) {
        block_on(async {
            let (near, far) = tokio::io::duplex(1024);
            let (peer, mut near, mut far) = (peer(), Frames::new(near), Frames::new(far));
            tokio::join!(negotiate(&mut near, &peer, client), accept(&mut far, &peer, server))
        })
    }

    type Agreed = Result<ProtocolVersion, CatchupError>;

    #[test]
    fn the_greatest_common_version_is_spoken() {
        for (client, server, version) in [
            (BOTH, BOTH, ProtocolVersion::V4),
            (BOTH, &BOTH[..1], ProtocolVersion::V3),
            (&BOTH[..1], BOTH, ProtocolVersion::V3),
            (&BOTH[1..], BOTH, ProtocolVersion::V4),
        ] {
            let (near, far) = agree(client, server);
            assert_eq!(near.unwrap(), version);
            assert_eq!(far.unwrap(), version);
        }
    }

    #[test]
    fn without_a_common_version_both_sides_say_so() {
        let (near, far) = agree(&BOTH[..1], &BOTH[1..]);
        assert_eq!(
            near.unwrap_err().to_string(),
            "Unsuccessful application protocol response: db1:6362 accepts none of the versions 3.0 of the protocol \
             catchup"
        );
        assert!(matches!(far, Err(CatchupError::ProtocolRefused { .. })));
        let (near, _) = agree(&[], BOTH);
        assert!(matches!(near, Err(CatchupError::ProtocolRefused { .. })));
    }

    /// Gives the client `answers` as the bytes of a server.
    fn negotiate_with(answers: &str) -> Agreed {
        block_on(async {
            let (near, mut far) = tokio::io::duplex(1024);
            far.write_all(&hex(answers)).await.unwrap();
            let result = negotiate(&mut Frames::new(near), &peer(), BOTH).await;
            drop(far);
            result
        })
    }

    #[test]
    fn answers_that_break_the_handshake_are_errors() {
        let chosen =
            "00 00 00 1b 00 00 00 00 00 00 00 00 00 00 00 07 63 61 74 63 68 75 70 00 00 00 04 00 00 00 00";
        for (answers, text) in [
            (
                "00 00 00 1b 00 00 00 00 00 00 00 00 00 00 00 07 63 61 74 63 68 75 70 00 00 00 05 00 00 00 00".to_owned(),
                "Mismatch of application protocols between client and server: Server protocol catchup version 5.0: \
                 Client protocol catchup versions 3.0, 4.0 (the server is db1:6362)",
            ),
            (
                "00 00 00 1b 00 00 00 00 00 00 00 01 00 00 00 07 63 61 74 63 68 75 70 00 00 00 04 00 00 00 00".to_owned(),
                "db1:6362 broke the handshake of the backup protocol: Unknown status code 1 for protocol catchup \
                 version 4.0",
            ),
            (
                format!("{chosen} 00 00 00 08 00 00 00 02 ff ff ff ff"),
                "Server failed to switch over: db1:6362 did not confirm version 4.0 after choosing it",
            ),
            (
                format!("{chosen} {chosen}"),
                "db1:6362 broke the handshake of the backup protocol: message code 0 came where 2, the confirmation \
                 of the switch-over, must come",
            ),
            (
                "00 00 00 04 00 00 00 07".to_owned(),
                "db1:6362 broke the handshake of the backup protocol: message code 7 came where a response, 0 to 2, \
                 must come",
            ),
            (
                "7f ff ff ff".to_owned(),
                "db1:6362 announced a frame of 2147483647 bytes during the handshake of the backup protocol; at most \
                 1048576 bytes are accepted there",
            ),
        ] {
            assert_eq!(negotiate_with(&answers).unwrap_err().to_string(), text);
        }
    }

    /// What a server answers to the frames of a client, until it closes.
    fn answers_to(requests: &str) -> (Agreed, Vec<u8>) {
        block_on(async {
            let (mut near, far): (DuplexStream, _) = tokio::io::duplex(1024);
            near.write_all(&hex(requests)).await.unwrap();
            let mut frames = Frames::new(far);
            let result = accept(&mut frames, &peer(), BOTH).await;
            drop(frames);
            let mut answers = Vec::new();
            near.read_to_end(&mut answers).await.unwrap();
            (result, answers)
        })
    }

    const OFFER: &str =
        "00 00 00 23 00 00 00 01 00 00 00 07 63 61 74 63 68 75 70 00 00 00 02 00 00 00 03 00 00 00 00
                         00 00 00 04 00 00 00 00";
    const CHOICE: &str =
        "00 00 00 1b 00 00 00 00 00 00 00 00 00 00 00 07 63 61 74 63 68 75 70 00 00 00 04 00 00 00 00";

    #[test]
    fn a_modifier_is_refused_and_the_handshake_goes_on() {
        let modifier =
            "00 00 00 28 00 00 00 02 00 00 00 0b 63 6f 6d 70 72 65 73 73 69 6f 6e 00 00 00 02 00 00 00 03
                        4c 5a 34 00 00 00 06 53 6e 61 70 70 79";
        let switch =
            "00 00 00 1b 00 00 00 03 00 00 00 07 63 61 74 63 68 75 70 00 00 00 04 00 00 00 00 00 00 00 00";
        let (result, answers) = answers_to(&format!("{modifier} {OFFER} {switch}"));
        assert_eq!(result.unwrap(), ProtocolVersion::V4);
        let refusal =
            "00 00 00 1b 00 00 00 01 ff ff ff ff 00 00 00 0b 63 6f 6d 70 72 65 73 73 69 6f 6e 00 00 00 00";
        assert_eq!(answers, hex(&format!("{refusal} {CHOICE} 00 00 00 08 00 00 00 02 00 00 00 00")));
    }

    #[test]
    fn a_switch_over_to_anything_else_is_refused() {
        let switch_to_3 =
            "00 00 00 1b 00 00 00 03 00 00 00 07 63 61 74 63 68 75 70 00 00 00 03 00 00 00 00 00 00 00 00";
        let refusal = "00 00 00 08 00 00 00 02 ff ff ff ff";
        let (result, answers) = answers_to(&format!("{OFFER} {switch_to_3}"));
        assert!(matches!(result, Err(CatchupError::Handshake { error: HandshakeError::SwitchOver, .. })));
        assert_eq!(answers, hex(&format!("{CHOICE} {refusal}")));
        let (result, answers) = answers_to(switch_to_3);
        assert!(matches!(result, Err(CatchupError::Handshake { error: HandshakeError::SwitchOver, .. })));
        assert_eq!(answers, hex(refusal));
    }

    #[test]
    fn another_protocol_is_refused() {
        let raft = "00 00 00 18 00 00 00 01 00 00 00 04 72 61 66 74 00 00 00 01 00 00 00 04 00 00 00 00";
        let (result, answers) = answers_to(raft);
        assert!(matches!(result, Err(CatchupError::ProtocolRefused { .. })));
        assert_eq!(answers, hex("00 00 00 14 00 00 00 00 ff ff ff ff 00 00 00 00 00 00 00 00 00 00 00 00"));
    }
}
