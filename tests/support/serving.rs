//! The server of the product on a loopback port, on threads of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use neo4j_admin::catchup::Dialer;
use neo4j_admin::catchup::server::{ServerOptions, Source, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running server; it stops when this is dropped.
pub struct Serving {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    pub fn start(source: impl Source) -> Self {
        Self::with(source, ServerOptions::default())
    }

    pub fn with(source: impl Source, options: ServerOptions) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, Arc::new(source), options, async {
                    let _ = stopped.await;
                })
                .await;
            });
            runtime.shutdown_background();
        });
        Self { address: address.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    pub fn dialer(&self) -> Dialer {
        dialer(self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the server panicked");
        }
    }
}

/// Connects to an address.
pub fn dialer(address: SocketAddr) -> Dialer {
    Dialer::new(&address.ip().to_string(), address.port())
}
