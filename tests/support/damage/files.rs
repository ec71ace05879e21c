//! Damage of whole files and pages: what a disk, a copy or a restore that went wrong leaves behind.

use std::path::{Path, PathBuf};

use super::{Files, PAGE, any_file};
use crate::support::random::Random;

/// Pages and sectors that are lost, old, or at a wrong place.
pub fn pages(files: &mut Files, random: &mut Random) -> String {
    let path = any_file(files, random);
    let source = any_file(files, random);
    let strange = files[&source].clone();
    let bytes = files.get_mut(&path).expect("a file");
    let size = [512, 4096, PAGE, PAGE][random.below(4)];
    let count = bytes.len().div_ceil(size);
    let (page, other) = (random.below(count) * size, random.below(count) * size);
    let end = (page + size).min(bytes.len());
    let what = match random.below(5) {
        0 | 1 => {
            bytes[page..end].fill(0);
            "lost"
        }
        2 => {
            let length = (bytes.len() - other).min(end - page);
            bytes.copy_within(other..other + length, page);
            "copied"
        }
        3 => {
            for offset in 0..size.min(bytes.len() - page.max(other)) {
                bytes.swap(page + offset, other + offset);
            }
            "swapped"
        }
        _ => {
            let from = random.below(strange.len().div_ceil(size)) * size;
            let length = (strange.len() - from).min(end - page);
            bytes[page..page + length].copy_from_slice(&strange[from..from + length]);
            "of another file"
        }
    };
    format!("{size} bytes @{page} of {} {what}", path.display())
}

/// Files that are gone, empty, too long, or another's.
pub fn whole(files: &mut Files, random: &mut Random) -> String {
    let path = any_file(files, random);
    let what = match random.below(8) {
        0 | 1 => {
            files.remove(&path);
            "removed"
        }
        2 => {
            files.get_mut(&path).expect("a file").clear();
            "empty"
        }
        3 => {
            let more = random.within(1..3 * PAGE);
            let fill = [0, 0xff][random.below(2)];
            let bytes = files.get_mut(&path).expect("a file");
            bytes.resize(bytes.len() + more, fill);
            "longer"
        }
        4 | 5 => {
            let other = like(files, &path, random);
            let bytes = files[&other].clone();
            files.insert(path.clone(), bytes);
            return format!("{} instead of {}", other.display(), path.display());
        }
        _ => {
            // The directory of an index.
            let directories: Vec<_> = files
                .keys()
                .filter(|path| path.starts_with("schema"))
                .filter_map(|path| path.parent().map(Path::to_owned))
                .collect();
            let Some(directory) = directories.get(random.below(directories.len())) else {
                return "nothing".to_owned();
            };
            files.retain(|path, _| !path.starts_with(directory));
            return format!("{} removed", directory.display());
        }
    };
    format!("{} {what}", path.display())
}

/// A file that looks like another: with the same ending, if there is one.
fn like(files: &Files, path: &Path, random: &mut Random) -> PathBuf {
    let ending = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.rsplit(['.', '-']).next().filter(|ending| ending.parse::<u32>().is_err()).map(str::to_owned)
    };
    let alike: Vec<_> = files
        .iter()
        .filter(|(other, bytes)| *other != path && ending(other) == ending(path) && !bytes.is_empty())
        .map(|(other, _)| other)
        .collect();
    alike.get(random.below(alike.len())).map_or_else(|| path.to_owned(), |other| (*other).clone())
}

/// One of the fields of the metadata store: records of nine bytes, the first says whether there is a value.
pub fn metadata(files: &mut Files, random: &mut Random) -> String {
    let bytes = files.get_mut(Path::new("neostore")).expect("a metadata store");
    let field = random.below(23);
    let Some(record) = bytes.get_mut(9 * field..9 * field + 9) else { return "nothing".to_owned() };
    match random.below(4) {
        0 => record[0] ^= 1,
        1 => record[1..].fill(0),
        2 => record[1..].copy_from_slice(&random.next().to_be_bytes()),
        _ => record[8] ^= 1 << random.below(8),
    }
    format!("field {field} of the metadata store")
}
