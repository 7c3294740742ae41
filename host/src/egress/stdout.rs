//! NDJSON on standard output, a line a record, as the file egress writes it.

use tokio::io::{AsyncWriteExt, Stdout, stdout};

use super::{Egress, EgressError, file::push_line};
use crate::event::Record;

/// Standard output. Accepted means handed to the kernel.
#[derive(Debug)]
pub struct StdoutEgress(Stdout);

impl Default for StdoutEgress {
    fn default() -> Self {
        Self(stdout())
    }
}

impl Egress for StdoutEgress {
    async fn write(&mut self, records: &[Record]) -> Result<(), EgressError> {
        let mut lines = Vec::new();
        for record in records {
            push_line(&mut lines, &record.data);
        }
        let written = async {
            self.0.write_all(&lines).await?;
            self.0.flush().await
        };
        written.await.map_err(|source| EgressError::Io {
            action: "write to",
            path: "standard output".to_owned(),
            source,
        })
    }
}
