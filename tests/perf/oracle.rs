//! The programs of `fixtures/neo4j`, with all that a JVM does to be fast.

use std::path::Path;
use std::process::Command;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::program::Program;

/// A process that does one job after the other and stays warm.
pub fn start() -> Program {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/neo4j/run"));
    Program::start("fixture.Oracle", command.arg("fixture.Oracle").env("HEAP_SIZE", "3g"))
}

/// Has one job done in a process of its own.
pub fn ask<A: DeserializeOwned>(request: &Value) -> A {
    start().ask(request)
}
