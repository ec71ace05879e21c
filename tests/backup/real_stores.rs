//! The stores of a real Neo4j: `demo` and `serve-backup` with them, plain and with TLS.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::backup_run::contents;
use crate::support::relay::Relay;
use crate::support::stores;
use crate::support::tls::{Authority, PolicyDirectory, parameters};
use crate::support::tool::{Tool, check_progress};

fn unpacked(archive: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack(archive, directory.path());
    directory
}

/// Files of a backup that are a copy of the server's: all but those that only a backup has, and the metadata store.
fn copied(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = contents(directory);
    files.retain(|path, _| {
        path != "neostore"
            && !["tools/", "checkpoint.", "neostore.transaction.db."].iter().any(|own| path.starts_with(own))
    });
    files
}

#[test]
fn the_demo_backs_up_a_real_store() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Tool::new("").command(["demo"]).env("TMPDIR", temporary.path()).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), err), (Some(0), check_progress().repeat(2)), "{out}");
    assert_eq!(out.lines().last(), Some("Backup complete successful."));
    let place = out.lines().find_map(|line| line.strip_prefix("Their backups will lie in ")).unwrap();
    let place = Path::new(place.trim_end_matches('.'));
    for name in ["neo4j", "system"] {
        let told = Tool::new("").run([Path::new("store-info"), &place.join(name)]);
        let last = stores::digests()["standard"][name].transaction;
        assert!(told.stdout.contains(&format!("Last committed transaction id:{last}\n")), "{told}");
        assert!(told.stdout.contains("Store needs recovery:         false\n"), "{told}");
        assert_eq!(Tool::new("").run([Path::new("verify"), &place.join(name)]).code, Some(0));
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1, "only the backup stays");
}

#[test]
fn what_is_served_at_rest_arrives_whole() {
    for archive in ["standard", "aligned"] {
        let original = unpacked(archive);
        let relay = Relay::start(original.path(), "");
        let tool = Tool::new("");
        let from = format!("--from={}", relay.address);
        let outcome = tool.backup(&[&from, "--database=neo4j", "--prepare-restore=false"]);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let backup = tool.backups().join("neo4j");
        assert!(copied(&backup) == copied(&original.path().join("neo4j")), "{archive}");
        let transaction = stores::digests()[archive]["neo4j"].transaction;
        let line = format!("Finish receiving transactions at {transaction}, took ");
        assert!(outcome.stdout.contains(&line), "{outcome}");
        assert_eq!(relay.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn a_store_that_needs_recovery_is_not_served() {
    let original = unpacked("crashed");
    let relay = Relay::start(original.path(), "");
    let outcome = Tool::new("").backup(&[&format!("--from={}", relay.address)]);
    assert_eq!(outcome.code, Some(1));
    let refused = "Execution of backup failed. Request returned an error [Status: 'E_STORE_UNAVAILABLE'";
    assert!(outcome.stderr.starts_with(refused), "{outcome}");
    assert_eq!(relay.stop(Signal::INT).code, Some(0));
}

#[test]
fn other_machines_are_not_served_without_tls_unless_told_so() {
    let original = unpacked("aligned");
    let store = format!("--store={}", original.path().display());
    let outcome = Tool::new("").run(["serve-backup", &store, "--listen=0.0.0.0:0"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(outcome.stderr.contains("the backup protocol has no passwords"), "{outcome}");
    let outcome = Tool::new("").run(["serve-backup", "--store=/no/such"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("/no/such"), "{outcome}");
}

/// A policy in `neo4j.conf`.
fn enabled(directory: &PolicyDirectory) -> String {
    format!(
        "dbms.ssl.policy.backup.enabled=true\ndbms.ssl.policy.backup.base_directory={}\n",
        directory.path("").display()
    )
}

#[test]
fn mutual_tls_is_told_apart_from_every_half_of_it() {
    let authority = Authority::new("CA");
    let of = |name: &str| {
        PolicyDirectory::of(&authority.sign(&parameters(name, &["localhost"])))
            .trusting(&[&authority.certificate])
    };
    let stranger = Authority::new("another CA");
    let (server, client) = (of("server"), of("client"));
    let unknown = PolicyDirectory::of(&stranger.sign(&parameters("stranger", &["localhost"])))
        .trusting(&[&authority.certificate]);
    let nothing = PolicyDirectory::new();
    let original = unpacked("aligned");
    let (secure, plain) =
        (Relay::start(original.path(), &enabled(&server)), Relay::start(original.path(), ""));
    for (relay, configuration, expected) in [
        (&secure, enabled(&client), None),
        (&plain, String::new(), None),
        (&secure, String::new(), Some("dbms.ssl.policy.backup.enabled=true")),
        (&plain, enabled(&client), Some("the server does not seem to talk TLS")),
        (&secure, enabled(&unknown), Some("TLS")),
        (&secure, enabled(&nothing), Some("the server's certificate is not trusted")),
        (
            &secure,
            "dbms.ssl.policy.backup.enabled=true\ndbms.ssl.policy.backup.base_directory=/no/such\n"
                .to_owned(),
            Some("Base directory '/no/such' for SSL policy with name 'backup' does not exist."),
        ),
    ] {
        let tool = Tool::new(&configuration);
        let outcome = tool.backup(&[&format!("--from={}", relay.address)]);
        match expected {
            None => assert_eq!(outcome.code, Some(0), "{outcome}"),
            Some(text) => {
                assert_eq!(outcome.code, Some(1), "{outcome}");
                assert!(outcome.stderr.starts_with("Execution of backup failed. "), "{outcome}");
                assert!(outcome.stderr.contains(text), "{outcome}");
                assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
                assert!(tool.backed_up().is_empty());
            }
        }
    }
}
