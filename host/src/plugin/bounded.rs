//! Reads a component's file, and never more of it than it may have.

use std::path::Path;

use tokio::io::AsyncReadExt;

use super::LoadError;

/// The bytes of a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, or is larger.
pub(super) async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    // Not by what the file says of its size: it may grow, or be none that ends.
    let mut limited = file.take(limit.saturating_add(1));
    limited.read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}
