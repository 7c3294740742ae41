//! A text from outside the module file, some of which may stand in files that change.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    error::Unspecified,
    rand::{SecureRandom as _, SystemRandom},
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::AuthError;

/// The largest file of a secret, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A part of a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// Fixed until the host starts again.
    Text(String),
    /// What the file holds, without the line break at its end.
    File(PathBuf),
}

/// A secret text. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: Arc<str>,
    pieces: Arc<[Piece]>,
}

impl Secret {
    /// A secret that does not change.
    pub fn fixed(value: &str) -> Self {
        Self {
            value: value.into(),
            pieces: [Piece::Text(value.to_owned())].into(),
        }
    }

    /// A secret that was put together from `pieces`.
    pub fn new(value: &str, pieces: Vec<Piece>) -> Self {
        Self {
            value: value.into(),
            pieces: pieces.into(),
        }
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// A new one that nobody can guess: 256 bits, in the alphabet of URLs.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes)?;
        Ok(Self::fixed(&URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Whether `given` is the secret. How long that takes says nothing of where they differ, nor how long the secret is.
    pub fn is(&self, given: &str) -> bool {
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        digest(self.reveal())[..].ct_eq(&digest(given)[..]).into()
    }

    /// Whether it is made of the same files and texts, whatever the files held when they were read.
    pub fn is_made_as(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }

    /// The files that it is made of.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::File(path) => Some(&**path),
        })
    }

    /// The secret as its files have it now. Blocks.
    ///
    /// # Errors
    /// The file that cannot be read.
    pub fn reread(&self) -> Result<Self, AuthError> {
        let mut value = String::new();
        for piece in &*self.pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::File(path) => {
                    let text = read(path).map_err(|source| AuthError::File {
                        path: path.clone(),
                        source,
                    })?;
                    value.push_str(one_line(&text));
                }
            }
        }
        Ok(Self {
            value: value.into(),
            pieces: Arc::clone(&self.pieces),
        })
    }
}

/// A file's text without the line break that editors put at its end.
pub fn one_line(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!(
            "it has more than {MAX_FILE} bytes"
        )));
    }
    Ok(text)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files().collect();
        match files.is_empty() {
            true => f.write_str("Secret"),
            false => write!(f, "Secret(of {files:?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_whole_text_and_no_two_are_alike() {
        let secret = Secret::fixed("token");
        let (one, other) = (Secret::random(), Secret::random());

        let known: Vec<_> = ["token", "", "toke", "tokens", "Token", " token"]
            .map(|given| secret.is(given))
            .into();

        assert_eq!(known, [true, false, false, false, false, false]);
        let (one, other) = (one.expect("randomness"), other.expect("randomness"));
        assert_eq!((one.reveal().len(), one.is(other.reveal())), (43, false));
    }

    #[test]
    fn a_secret_is_read_again_and_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, "first\r\n").expect("written");
        let pieces = vec![Piece::Text("Token ".to_owned()), Piece::File(path.clone())];
        let secret = Secret::new("Token none", pieces);

        let first = secret.reread().expect("it is there");
        std::fs::write(&path, "second\n\n").expect("written");
        let second = first.reread().expect("it is there");
        std::fs::remove_file(&path).expect("removed");
        let gone = second.reread().expect_err("it is gone");

        assert_eq!(first.reveal(), "Token first");
        assert_eq!(second.reveal(), "Token second\n");
        assert!(gone.to_string().contains("key` cannot be read"), "{gone}");
        let shown = format!("{first:?}");
        assert!(shown.contains("key") && !shown.contains("first"), "{shown}");
    }
}
