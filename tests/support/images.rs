//! Databases that must be recovered: copies of a database of the real kernel that is written to without a pause.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use super::kernel::{Kernel, Program};
use super::random::Random;

/// A database that must be recovered.
#[derive(Debug)]
pub struct Image {
    /// The directory of the database, logs beside the store. Not to be changed: see [`Image::copy`].
    pub directory: PathBuf,
    /// How it came about, for messages.
    pub name: String,
}

impl Image {
    /// A copy below `scratch`, in a directory with the name of the database.
    pub fn copy(&self, scratch: &Path, name: &str) -> PathBuf {
        let copy = scratch.join(name).join(DATABASE);
        copy_directory(&self.directory, &copy);
        copy
    }
}

/// Name of the database in all images.
pub const DATABASE: &str = "neo4j";

/// Images, and the directory with all of them, which is gone with this value.
#[derive(Debug)]
pub struct Images {
    /// At least as many as were asked for.
    pub images: Vec<Image>,
    _directory: TempDir,
}

#[derive(Deserialize)]
struct Reached {
    transaction: u64,
}

/// What a database is to be like, from a number.
struct Source {
    seed: u64,
    format: &'static str,
    nodes: usize,
    rotation: u64,
    preallocate: bool,
    page_cache: &'static str,
    checkpoints: u64,
}

impl Source {
    fn of(seed: u64) -> Self {
        let mut random = Random(seed);
        Self {
            seed,
            format: if seed.is_multiple_of(2) { "standard" } else { "aligned" },
            nodes: random.within(100..1500),
            // The least that the kernel takes, and more.
            rotation: (128 << 10) << random.below(6),
            preallocate: random.once_in(2),
            page_cache: ["2m", "4m", "16m"][random.below(3)],
            checkpoints: random.within(100..1000) as u64,
        }
    }
}

impl Images {
    /// Takes at least `count` images, alternately of either format: of each database `copies` copies while it runs, and one
    /// after it was killed. The copies are by turns as a backup takes them (trees with a checkpoint, record stores later)
    /// and of all files in any order.
    pub fn take(kernel: &Kernel, count: usize, copies: usize, first_seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut images = Vec::new();
        let mut seed = first_seed;
        while images.len() < count {
            Self::take_of(kernel, &Source::of(seed), copies, directory.path(), &mut images);
            seed += 1;
        }
        Self { images, _directory: directory }
    }

    fn take_of(kernel: &Kernel, source: &Source, copies: usize, directory: &Path, images: &mut Vec<Image>) {
        let &Source { seed, format, nodes, rotation, preallocate, page_cache, checkpoints } = source;
        let home = directory.join(format!("home{seed}"));
        let mut program = kernel.start(
            "fixture.peer.CrashImages",
            &[&json!({
                "directory": home, "name": DATABASE, "format": format, "nodes": nodes, "seed": seed,
                "rotation": rotation, "preallocate": preallocate, "pagecache": page_cache,
            })
            .to_string()],
        );
        let Reached { .. } = program.receive("its start");
        let mut random = Random(seed);
        let Reached { .. } = program.ask(&json!({
            "job": "load", "rate": 3000, "writers": 4, "seed": seed, "checkpoints": checkpoints,
        }));
        for copy in 0..copies {
            await_transactions(&mut program, random.within(50..1500));
            let how = if (seed as usize + copy).is_multiple_of(2) { "backup" } else { "files" };
            let to = directory.join(format!("{seed}-{copy}"));
            let apart = random.within(1..40);
            let Reached { transaction } =
                program.ask(&json!({"job": "copy", "to": to, "as": how, "apart": apart}));
            let name = format!("seed {seed}, {format}, copied as {how} at {transaction}");
            images.push(Image { directory: to, name });
        }
        await_transactions(&mut program, random.within(50..2500));
        program.kill();
        let to = directory.join(format!("{seed}-killed"));
        for part in ["databases", "transactions"] {
            copy_directory(&home.join("data").join(part).join(DATABASE), &to);
        }
        std::fs::remove_dir_all(&home).expect("deleted");
        let name = format!("seed {seed}, {format}, killed");
        images.push(Image { directory: to, name });
    }
}

fn await_transactions(program: &mut Program, count: usize) {
    let Reached { .. } = program.ask(&json!({"job": "await", "transactions": count}));
}

/// Copies all files below a directory.
pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_directory(&entry.path(), &target);
        } else if entry.file_name() != "database_lock" {
            std::fs::copy(entry.path(), &target)
                .unwrap_or_else(|error| panic!("{}: {error}", target.display()));
        }
    }
}
