//! The backup protocol: our client against our server, and each of them against peers that break the rules.

mod begin;
mod cost;
mod end_to_end;
mod hostile_client;
mod hostile_server;
mod secure;

use std::net::SocketAddr;
use std::sync::Arc;

use neo4j_admin::catchup::server::{ServerOptions, Source, serve};
use neo4j_admin::catchup::{Client, Dialer, ProtocolVersion};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server on loopback; it stops when this is dropped.
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(source: impl Source, options: ServerOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, Arc::new(source), options, async {
            let _ = stopped.await;
        }));
        Self { address, stop, task }
    }

    pub fn dialer(&self) -> Dialer {
        Dialer::new(&self.address.ip().to_string(), self.address.port())
    }

    pub async fn connect(&self, version: ProtocolVersion) -> Client {
        let mut dialer = self.dialer();
        dialer.versions = vec![version];
        dialer.connect().await.unwrap()
    }

    /// Stops as `serve-backup` does on a signal.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}
