//! Whatever is wrong with the bytes of a store, a check ends, and ends soon.

use std::time::{Duration, Instant};

use neo4j_admin::consistency::CheckOptions;

use super::store::{archive, check, write};
use crate::support::random::{Random, rounds};

/// Rounds, unless the environment says otherwise.
const ROUNDS: usize = 60;
/// Of one check.
const MOST: Duration = Duration::from_secs(5);

#[test]
fn any_bit_may_be_wrong_and_any_file_cut() {
    let store = archive("consistency/base-x");
    let names: Vec<_> = store.keys().cloned().collect();
    for round in 0..rounds("NEO4J_ADMIN_TEST_ROUNDS", ROUNDS) {
        let mut random = Random(round as u64);
        let mut files = store.clone();
        let name = &names[random.below(names.len())];
        let bytes = files.get_mut(name).expect("a file");
        let what = if random.once_in(4) {
            let length = random.below(bytes.len() + 1);
            bytes.truncate(length);
            format!("cut to {length} bytes")
        } else if bytes.is_empty() {
            continue;
        } else {
            let at = random.below(bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            format!("bit {at}")
        };
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("store");
        write(&files, &path);
        let begun = Instant::now();
        // Whether it is an error or a verdict does not matter here: it must come.
        let _ = check(&path, &CheckOptions::default());
        assert!(begun.elapsed() < MOST, "round {round}: {} {what}: {:?}", name.display(), begun.elapsed());
    }
}
