//! `serve-backup` as a process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;

use rustix::process::{Pid, Signal};

use super::tool::{Outcome, Tool};

/// A running server on a free port of loopback.
pub struct Relay {
    child: Option<Child>,
    pub address: SocketAddr,
    _tool: Tool,
}

impl Relay {
    /// Serves the databases below `store`; `configuration` is the content of its `neo4j.conf`.
    pub fn start(store: &Path, configuration: &str) -> Self {
        let tool = Tool::new(configuration);
        let mut child = tool
            .command(["serve-backup", &format!("--store={}", store.display()), "--listen=127.0.0.1:0"])
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let Some(address) = line.trim().rsplit(' ').next().and_then(|address| address.parse().ok()) else {
            panic!("{line:?} {}", Outcome::from(child.wait_with_output().unwrap()))
        };
        std::thread::spawn(move || out.read_to_string(&mut String::new()));
        Self { child: Some(child), address, _tool: tool }
    }

    /// Ends the server by a signal.
    pub fn stop(mut self, signal: Signal) -> Outcome {
        let child = self.child.take().unwrap();
        rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait_with_output().unwrap().into()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
