//! The token of one start, in a file that its owner alone can read: whoever may read the state directory may change what
//! runs, and `nozzle` on the same machine needs to be told nothing.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::auth::Secret;

/// Its name in the state directory.
pub const TOKEN_FILE: &str = "admin-token";

/// A token in a file; the file is gone when dropped.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    token: Secret,
}

impl TokenFile {
    /// Makes a token, and writes it into the state directory, which this process holds.
    ///
    /// # Errors
    /// When it cannot be written, or the operating system has no randomness.
    pub fn write(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(TOKEN_FILE);
        let token = Secret::random().map_err(|_| io::Error::other("there is no randomness"))?;
        // That of a start before, which did not come to its end; it is good no more.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        writeln!(file, "{}", token.reveal())?;
        Ok(Self { path, token })
    }

    /// The token.
    pub fn secret(&self) -> &Secret {
        &self.token
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        // What stays behind is good no more.
        drop(std::fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_its_owners_alone_and_new_with_every_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(TOKEN_FILE);
        // What a crash left behind, and somebody has opened to others.
        std::fs::write(&path, "old").expect("written");

        let first = TokenFile::write(folder.path()).expect("written");
        let (text, mode) = (
            std::fs::read_to_string(&path).expect("it is there"),
            std::fs::metadata(&path)
                .expect("it is there")
                .permissions()
                .mode(),
        );
        let second = TokenFile::write(folder.path()).expect("written");
        let again = std::fs::read_to_string(&path).expect("it is there");
        drop(second);

        assert!(first.token.is(text.trim()), "{text}");
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(text, again);
        assert!(!path.exists());
    }
}
