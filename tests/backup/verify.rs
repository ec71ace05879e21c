//! `verify` finds whatever happens to the files of a real backup.
//!
//! `NEO4J_ADMIN_TEST_DAMAGES` (default 60) is the number of damages.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use neo4j_admin::backup::manifest::{MANIFEST_FILE, ManifestError, Verdict, verify};

use super::matrix::real::Real;
use super::matrix::scene::{Before, Scene};
use crate::support::random::{Random, rounds};

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flipped,
    Deleted,
    Added,
    Truncated,
    Extended,
}

const DAMAGES: [Damage; 5] =
    [Damage::Flipped, Damage::Deleted, Damage::Added, Damage::Truncated, Damage::Extended];

impl Damage {
    /// Does it to a file, of which `content` is the content, and returns the path that has to be named.
    fn inflict(self, path: &Path, content: &[u8], random: &mut Random) -> PathBuf {
        let open = || OpenOptions::new().read(true).write(true).open(path).unwrap();
        match self {
            Self::Flipped => {
                let at = random.below(content.len());
                let bit = 1 << random.below(8);
                open().write_all_at(&[content[at] ^ bit], at as u64).unwrap();
            }
            Self::Deleted => fs::remove_file(path).unwrap(),
            Self::Added => {
                let added = path.with_file_name(format!("added{}", random.next()));
                fs::write(&added, content).unwrap();
                return added;
            }
            Self::Truncated => open().set_len(random.below(content.len()) as u64).unwrap(),
            Self::Extended => open().set_len(content.len() as u64 + 1 + random.below(10_000) as u64).unwrap(),
        }
        path.to_owned()
    }
}

/// How the damage to the file at `path`, below the backup, was told; `None`: nothing was found.
fn told(place: &Path, path: &str) -> Option<String> {
    match verify(place, 2) {
        Ok(Verdict::Compared { differences, .. }) => {
            let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
            assert!(told.iter().all(|told| told.starts_with(&format!("{path}: "))), "{path}: {told:?}");
            told.into_iter().next()
        }
        // The manifest itself.
        Ok(Verdict::NoManifest) if path == MANIFEST_FILE => Some("no manifest".to_owned()),
        Err(error @ ManifestError::Unreadable { .. }) if path == MANIFEST_FILE => Some(error.to_string()),
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn any_damage_to_any_file_of_a_real_backup_is_found() {
    let scenes = Real::all();
    let incremental = scenes.iter().find(|scene| matches!(scene.before(), Before::Continuable(_))).unwrap();
    // Its checksums were made in part by the run that copied it, in part by one that changed it.
    let run = incremental.arrange();
    incremental.back_up(&run).unwrap();
    let place = run.path("neo4j");
    let backup = run.contents("neo4j");
    let files: Vec<_> =
        backup.iter().filter(|(path, content)| !content.is_empty() && *path != "database_lock").collect();
    let mut random = Random(0x7665_7269_6679);
    assert!(
        matches!(verify(&place, 2).unwrap(), Verdict::Compared { differences, .. } if differences.is_empty())
    );
    for round in 0..rounds("NEO4J_ADMIN_TEST_DAMAGES", 60) {
        let damage = DAMAGES[round % DAMAGES.len()];
        let (path, content) = files[random.below(files.len())];
        let inflicted = damage.inflict(&place.join(path), content, &mut random);
        let named = inflicted.strip_prefix(&place).unwrap().to_str().unwrap().to_owned();
        let found = told(&place, &named);
        assert!(found.is_some(), "round {round}: {path} {damage:?}");
        if inflicted != place.join(path) {
            fs::remove_file(inflicted).unwrap();
        }
        fs::write(place.join(path), content).unwrap();
    }
    assert!(
        matches!(verify(&place, 2).unwrap(), Verdict::Compared { differences, .. } if differences.is_empty())
    );
}
