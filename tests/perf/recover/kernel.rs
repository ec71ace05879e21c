//! The programs of `fixtures/neo4j`.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Has one job of the oracle done in a process of its own.
pub fn ask<A: DeserializeOwned>(request: &Value) -> A {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/neo4j/run");
    let output = Command::new(program)
        .args(["fixture.Oracle", &request.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("the oracle");
    assert!(output.status.success(), "{request}: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("an answer")
}
