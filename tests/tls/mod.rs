//! The SSL policy between a client and a server on this machine.

mod files;
mod handshake;
mod trust;

use std::io;

use neo4j_admin::config::policy::SslPolicy;
use neo4j_admin::tls::{ClientTls, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a meeting went for either side: what was agreed upon, or the failure as the user sees it.
#[derive(Debug)]
struct Meeting {
    client: Result<String, String>,
    server: Result<(), String>,
}

impl Meeting {
    /// Both sides were content; version and cipher suite.
    #[track_caller]
    fn succeeded(self) -> String {
        match self {
            Self { client: Ok(agreed), server: Ok(()) } => agreed,
            other => panic!("{other:?}"),
        }
    }

    /// What the client says.
    #[track_caller]
    fn client_failure(self) -> String {
        self.client.unwrap_err()
    }
}

/// A client dials a server as `host`; then each sends a byte to the other.
async fn meet(client: &SslPolicy, server: &SslPolicy, host: &str) -> Meeting {
    let client = ClientTls::from_policy(client).unwrap();
    let server = ServerTls::from_policy(server).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let exchange = async {
            let mut stream = server.acceptor().accept(stream).await?;
            stream.write_all(b"s").await?;
            stream.flush().await?;
            stream.read_u8().await
        };
        exchange.await
    };
    let dial = async {
        let stream = TcpStream::connect(address).await?;
        let name = client.server_name(host).map_err(io::Error::other)?;
        let mut stream = client.connector().connect(name, stream).await?;
        let (_, session) = stream.get_ref();
        let suite = session.negotiated_cipher_suite().unwrap().suite();
        let agreed = format!("{:?} {suite:?}", session.protocol_version().unwrap());
        // In TLS 1.3 the client learns only now whether its certificate was accepted.
        stream.read_u8().await?;
        stream.write_all(b"c").await?;
        stream.flush().await?;
        Ok::<_, io::Error>(agreed)
    };
    let (server_result, client_result) = tokio::join!(serve, dial);
    let told = |failure: Option<_>, error: io::Error| {
        failure.map_or_else(
            || error.to_string(),
            |failure: neo4j_admin::tls::failure::Failure| failure.to_string(),
        )
    };
    Meeting {
        client: client_result.map_err(|error| told(client.explain(&error, 6362), error)),
        server: server_result.map(drop).map_err(|error| told(ServerTls::explain(&error), error)),
    }
}
