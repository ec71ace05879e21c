//! What the documents tell an operator to type works.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use neo4j_admin::cli;

use crate::support::relay::Relay;
use crate::support::stores;
use crate::support::streams::Output;
use crate::support::tool::Tool;

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The blocks of shell commands behind a heading, up to the next one.
fn shell_blocks(document: &str, heading: &str) -> Vec<String> {
    let (_, section) = document.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}"));
    let section = section.split("\n### ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    blocks.collect()
}

fn run(block: &str, directory: &Path) {
    let output = Command::new("sh").args(["-e", "-c", block]).current_dir(directory).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{block}\n{text}");
}

/// A backup over TLS between the two directories of certificates.
fn back_up(keys: &Path, more: &str) -> (Option<i32>, String) {
    let policy = |side: &str| {
        format!(
            "dbms.ssl.policy.backup.enabled=true\ndbms.ssl.policy.backup.base_directory={}\n",
            keys.join(side).display()
        )
    };
    let store = tempfile::tempdir().unwrap();
    stores::unpack("standard", store.path());
    let server = Relay::start(store.path(), &policy("server"));
    let tool = Tool::new(&(policy("client") + more));
    let from = format!("--from=localhost:{}", server.address.port());
    let outcome = tool.backup(&[&from, "--database=system", "--check-consistency=false"]);
    (outcome.code, outcome.stderr)
}

#[test]
fn the_commands_that_set_up_encryption_work() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "openssl is needed");
        eprintln!("the_commands_that_set_up_encryption_work skipped: no openssl");
        return;
    }
    let document = document("docs/configuration.md");
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path();
    let succeeded = (Some(0), String::new());

    let [authority, side] = &shell_blocks(&document, "### With an authority of your own")[..] else {
        panic!()
    };
    run(authority, keys);
    run(side, keys);
    run(&side.replace("server", "client"), keys);
    assert_eq!(back_up(keys, "dbms.ssl.policy.backup.verify_hostname=true\n"), succeeded);

    let [revocation] = &shell_blocks(&document, "### Revocation")[..] else { panic!() };
    run(revocation, keys);
    fs::create_dir(keys.join("client/revoked")).unwrap();
    fs::copy(keys.join("ca.crl"), keys.join("client/revoked/ca.crl")).unwrap();
    let (code, message) = back_up(keys, "");
    assert_eq!(code, Some(1));
    assert!(message.contains("revoked"), "{message}");

    fs::remove_dir_all(keys.join("client")).unwrap();
    let [alone] = &shell_blocks(&document, "### Without an authority")[..] else { panic!() };
    run(alone, keys);
    assert_eq!(back_up(keys, ""), succeeded);

    let [encrypted] = &shell_blocks(&document, "### An encrypted key")[..] else { panic!() };
    run(encrypted, keys);
    let settings = "dbms.ssl.policy.backup.private_key=encrypted.key\n\
                    dbms.ssl.policy.backup.private_key_password=";
    assert_eq!(back_up(keys, &format!("{settings}secret\n")), succeeded);
    assert_eq!(back_up(keys, &format!("{settings}wrong\n")).0, Some(1));
}

/// The words behind `neo4j-admin` in each call of a document, without what the shell does with them.
fn calls(document: &str) -> Vec<Vec<String>> {
    let document = document.replace("\\\n", " ");
    let mut calls = Vec::new();
    for line in document.lines() {
        let code = line.starts_with("neo4j-admin ")
            || line.trim_start().starts_with("neo4j-admin ")
            || line.contains("/neo4j-admin ");
        if !code {
            continue;
        }
        for call in line.split("neo4j-admin ").skip(1) {
            let end = call.find([';', '|', '>', '&', '`']).unwrap_or(call.len());
            let words = call[..end].split_whitespace().map(|word| word.replace(['\'', '"'], ""));
            calls.push(words.collect());
        }
    }
    calls
}

#[test]
fn every_command_line_of_the_documents_is_understood() {
    let mut count = 0;
    for name in ["README.md", "docs/operations.md"] {
        for words in calls(&document(name)) {
            let output = Output::default();
            let understood = cli::understand(words.iter().map(OsString::from), &output.streams());
            let code = understood.err().map_or(0, cli::exit::Exit::code);
            assert_eq!((code, output.err().as_str()), (0, ""), "{name}: {words:?}");
            count += 1;
        }
    }
    assert!(count > 12, "{count}");
}
