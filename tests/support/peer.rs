//! Live databases of the real kernel behind the backup protocol: `fixture.peer.BackupPeer`.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::kernel::{Kernel, Program};
use super::stores::GraphDigest;
use super::tls::{Authority, PolicyDirectory, parameters};

/// A running peer.
pub struct BackupPeer {
    program: Program,
    ports: Ports,
    /// Lines of its requests.
    log: NamedTempFile,
    /// Bytes of it that were taken.
    taken: usize,
    /// Signed the certificate of the peer, which accepts clients with one of its certificates.
    authority: Authority,
}

#[derive(Deserialize)]
struct Ports {
    port: u16,
    tls_port: u16,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct Reached {
    transaction: u64,
}

/// How a peer serves.
pub struct Serving<'a> {
    /// Versions of the protocol that it accepts.
    pub versions: &'a [&'a str],
    /// Bytes of a file in a frame.
    pub chunk: u32,
    /// Bytes of the transaction stream in a frame at most.
    pub frame: u32,
}

impl BackupPeer {
    /// Databases of [`Self::shared`], the first in the format `standard`, the second `aligned`.
    pub const DATABASES: [&'static str; 2] = ["neo4j", "aligned"];

    /// The peer that all tests share, one after the other, because it takes long to start: [`Self::DATABASES`], and
    /// `third`, which keeps few log files. `bytes` is the size of the first two; the first caller's counts.
    pub fn shared(kernel: &Kernel, bytes: u64) -> MutexGuard<'static, Self> {
        static PEER: OnceLock<Mutex<BackupPeer>> = OnceLock::new();
        PEER.get_or_init(|| {
            let databases = json!([
                {"name": "neo4j", "format": "standard", "bytes": bytes, "seed": 1},
                {"name": "aligned", "format": "aligned", "bytes": bytes, "seed": 2},
                {"name": "third", "format": "standard", "seed": 3, "logs": "1 files"},
            ]);
            Mutex::new(Self::start(kernel, &databases))
        })
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    }

    fn start(kernel: &Kernel, databases: &Value) -> Self {
        let authority = Authority::new("authority");
        let policy = PolicyDirectory::of(&authority.sign(&parameters("server", &["localhost"])))
            .trusting(&[&authority.certificate]);
        let log = NamedTempFile::new().expect("a file");
        let request = json!({"databases": databases, "log": log.path(), "tls": {
            "certificate": policy.path("public.crt"),
            "key": policy.path("private.key"),
            "trusted": [policy.path("trusted/0.crt")],
        }});
        let mut program = kernel.start("fixture.peer.BackupPeer", &[&request.to_string()]);
        let ports = program.receive("its start");
        Self { program, ports, log, taken: 0, authority }
    }

    /// The address of the listener without TLS, as for `--from`.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.ports.port)
    }

    /// The address of the listener with TLS, as for `--from`; it demands a certificate.
    pub fn tls_address(&self) -> String {
        format!("localhost:{}", self.ports.tls_port)
    }

    /// The files of an SSL policy that this peer accepts.
    pub fn client_policy(&self) -> PolicyDirectory {
        PolicyDirectory::of(&self.authority.sign(&parameters("client", &[])))
            .trusting(&[&self.authority.certificate])
    }

    /// Changes how it serves.
    pub fn configure(&mut self, serving: &Serving<'_>) {
        let Serving { versions, chunk, frame } = serving;
        self.order(&json!({"job": "configure", "versions": versions, "chunk": chunk, "frame": frame}));
    }

    /// Makes a database `AVAILABLE`, `UNAVAILABLE` or `STOPPED`.
    pub fn set_state(&mut self, database: &str, state: &str) {
        self.order(&json!({"job": "state", "database": database, "state": state}));
    }

    /// Marks the transaction from which on [`Self::digest_at`] can tell the digest, then begins to write: about `rate`
    /// transactions a second.
    pub fn start_load(&mut self, database: &str, rate: u64, seed: u64) {
        self.order(&json!({"job": "base", "database": database}));
        let writers = 16;
        self.order(
            &json!({"job": "resume", "database": database, "rate": rate, "writers": writers, "seed": seed}),
        );
    }

    /// Stops to write.
    pub fn stop_load(&mut self, database: &str) {
        self.order(&json!({"job": "pause", "database": database}));
    }

    /// Lines about requests since the last time.
    pub fn take_log(&mut self) -> String {
        let log = std::fs::read_to_string(self.log.path()).expect("the log of the peer");
        let new = log[self.taken..].to_owned();
        self.taken = log.len();
        new
    }

    /// Begins a new log file.
    pub fn rotate(&mut self, database: &str) {
        self.order(&json!({"job": "rotate", "database": database}));
    }

    /// Makes a checkpoint, behind which the database deletes log files: of `third` all but the last ones.
    pub fn checkpoint(&mut self, database: &str) {
        let Reached { .. } = self.program.ask(&json!({"job": "checkpoint", "database": database}));
    }

    /// The last committed transaction.
    pub fn last_transaction(&mut self, database: &str) -> u64 {
        let Reached { transaction } = self.program.ask(&json!({"job": "transactions", "database": database}));
        transaction
    }

    /// The digest of a database that is not written to.
    pub fn digest(&mut self, database: &str) -> GraphDigest {
        self.program.ask(&json!({"job": "digest", "database": database}))
    }

    /// The digest right after a transaction that was committed since [`Self::start_load`].
    pub fn digest_at(&mut self, database: &str, transaction: u64) -> GraphDigest {
        self.program.ask(&json!({"job": "digestat", "database": database, "transaction": transaction}))
    }

    fn order(&mut self, request: &Value) {
        let Nothing {} = self.program.ask(request);
    }
}
