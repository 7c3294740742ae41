//! What a file is called, however its path is written.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

/// The absolute path, by which progress and other users of a file know it. Links are not followed, but where `..` stands
/// behind them, which only they can say what it means.
///
/// # Errors
/// When the current folder cannot be found; or, of a path with `..`, its own.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    if !absolute
        .components()
        .any(|part| part == Component::ParentDir)
    {
        return Ok(absolute);
    }
    match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => Ok(folder.canonicalize()?.join(name)),
        _ => absolute.canonicalize(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name_and_a_link_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("it is there");
        std::fs::create_dir_all(folder.join("a/b")).expect("made");
        std::os::unix::fs::symlink(folder.join("a/b"), folder.join("link")).expect("made");
        std::os::unix::fs::symlink(folder.join("a/f"), folder.join("f")).expect("made");
        let table = [
            ("a/f", "a/f"),
            ("a/./b/../f", "a/f"),
            ("a/b/../../a/f", "a/f"),
            ("link/../f", "a/f"),
            ("f", "f"),
        ];
        for (written, expected) in table {
            let found = absolute(&folder.join(written)).expect(written);
            assert_eq!(found, folder.join(expected), "{written}");
        }
        assert!(absolute(&folder.join("none/../f")).is_err());
    }
}
