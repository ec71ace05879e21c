//! Runs of the real program.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::memory;
use crate::source::clear;

const PROGRAM: &str = env!("CARGO_BIN_EXE_neo4j-admin");

/// `serve-backup` in a process of its own.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Server {
    /// Serves the databases below `store`.
    pub fn start(store: &Path, tls: Option<&Certificates>) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("serve-backup").arg(format!("--store={}", store.display())).arg("--listen=127.0.0.1:0");
        if let Some(certificates) = tls {
            command.arg(format!("--additional-config={}", certificates.server_config.display()));
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert!(output.read_line(&mut line).expect("its output") > 0, "the server ended early");
            let address = line.split_whitespace().find_map(|word| word.rsplit_once("127.0.0.1:"));
            if let Some(port) = address.and_then(|(_, port)| port.trim_end_matches('.').parse().ok()) {
                break port;
            }
        };
        thread::spawn(move || output.read_to_end(&mut Vec::new()));
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("the server");
        self.child.wait().expect("the server");
    }
}

/// What a run cost.
pub struct Run {
    /// From the start of the process to its end.
    pub time: Duration,
    /// Most memory at any moment.
    pub peak_bytes: u64,
}

/// A full backup into a fresh directory.
pub fn backup(work: &Path, port: u16, tls: Option<&Certificates>) -> Run {
    let target = work.join("backup");
    clear(&target);
    fs::create_dir(&target).expect("a directory");
    let mut command = command(work, &target, port);
    if let Some(certificates) = tls {
        command.arg(format!("--additional-config={}", certificates.client_config.display()));
    }
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().expect("the program");
    // The high-water mark only grows, so the last one that can be read is the peak, a few milliseconds apart.
    let process = child.id().to_string();
    let mut peak_bytes = 0;
    let exit = loop {
        peak_bytes = memory::peak_bytes(&process).unwrap_or(peak_bytes);
        if let Some(exit) = child.try_wait().expect("the program") {
            break exit;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let time = start.elapsed();
    assert!(exit.success(), "the backup failed");
    Run { time, peak_bytes }
}

/// Median time from the start of the process to its first byte on a connection.
pub fn first_byte(work: &Path) -> Duration {
    let target = work.join("first byte");
    fs::create_dir(&target).expect("a directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let start = Instant::now();
            let mut command = command(work, &target, port);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program");
            let (mut socket, _) = listener.accept().expect("the client");
            socket.read_exact(&mut [0; 1]).expect("the client");
            let time = start.elapsed();
            child.kill().expect("the client");
            child.wait().expect("the client");
            time
        })
        .collect();
    crate::median(&mut times)
}

fn command(work: &Path, target: &Path, port: u16) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("backup")
        .arg(format!("--backup-dir={}", target.display()))
        .arg(format!("--from=127.0.0.1:{port}"))
        .arg(format!("--report-dir={}", work.display()));
    command
}
