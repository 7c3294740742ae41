//! Request bodies, compressed: the same input gives the same bytes, so that a retry is the same request.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::{GzBuilder, write::GzEncoder};
use http::HeaderValue;

use super::settings::Compression;

/// Compresses a body.
///
/// # Errors
/// When the encoder fails, which memory alone can make it do.
pub fn compress(body: &[u8], compression: Compression) -> io::Result<Bytes> {
    match compression {
        Compression::Gzip => {
            // No time stamp: RFC 1952, section 2.3.1, allows 0.
            let mut encoder: GzEncoder<Vec<u8>> = GzBuilder::new()
                .mtime(0)
                .write(Vec::new(), flate2::Compression::default());
            encoder.write_all(body)?;
            Ok(encoder.finish()?.into())
        }
        Compression::Zstd => {
            Ok(zstd::bulk::compress(body, zstd::DEFAULT_COMPRESSION_LEVEL)?.into())
        }
    }
}

/// The value of `content-encoding`.
pub fn content_encoding(compression: Compression) -> HeaderValue {
    HeaderValue::from_static(match compression {
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_body_comes_back_and_is_the_same_each_time() {
        let body = b"the same again, the same again, the same again".repeat(20);

        let gzip = compress(&body, Compression::Gzip).expect("gzip");
        let zstd = compress(&body, Compression::Zstd).expect("zstd");

        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*gzip)
            .read_to_end(&mut plain)
            .expect("valid gzip");
        assert_eq!(plain, body);
        assert_eq!(
            zstd::bulk::decompress(&zstd, body.len()).expect("valid zstd"),
            body
        );
        assert_eq!(compress(&body, Compression::Gzip).expect("gzip"), gzip);
        assert!(gzip.len() < body.len() && zstd.len() < body.len());
    }
}
