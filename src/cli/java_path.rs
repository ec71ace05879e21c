//! Paths as the Java Virtual Machine writes them, for messages that name one.

use std::path::{Path, PathBuf};

/// A path made absolute the way that Java does it: no empty components and no slash at the end, but `.` and `..` stay.
/// The working directory stands before a relative one; if it can't be read, the path stays relative.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut whole =
        if path.is_absolute() { PathBuf::new() } else { std::env::current_dir().unwrap_or_default() };
    whole.as_mut_os_string().push("/");
    whole.as_mut_os_string().push(path);
    let mut absolute = PathBuf::from("/");
    // `components` drops a `.` in the middle, which Java keeps.
    for component in whole.as_os_str().as_encoded_bytes().split(|byte| *byte == b'/') {
        if !component.is_empty() {
            absolute.push(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(component));
        }
    }
    absolute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_look_as_in_java() {
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap();
        for (path, expected) in [
            ("/a/b", "/a/b".to_owned()),
            ("/a//b/", "/a/b".to_owned()),
            ("/a/../b", "/a/../b".to_owned()),
            ("/", "/".to_owned()),
            ("", here.to_owned()),
            (".", format!("{here}/.")),
            ("a/./b", format!("{here}/a/./b")),
        ] {
            assert_eq!(absolute(Path::new(path)).to_str(), Some(expected.as_str()), "{path}");
        }
    }
}
