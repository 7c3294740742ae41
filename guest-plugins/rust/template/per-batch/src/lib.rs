//! A plugin to start from: each batch goes to `ingest` below the endpoint's URL, a line a record.

use nozzle_plugin::{Batch, NoConfig, Plugin, Request, Shaped, export_shaper};

struct Lines;

impl Plugin for Lines {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        Ok(Shaped::one(
            Request::post("ingest")
                .joined("", "\n", "\n")
                .events(0..batch.len()),
        ))
    }
}

export_shaper!(Lines);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{Body, configure, testing};

    use super::*;

    #[test]
    fn a_batch_is_one_request_with_every_record() {
        let plugin: Lines = configure("null").expect("it has no settings");

        let shaped = plugin
            .shape(&testing::batch([&b"a"[..], b"b"]))
            .expect("it shapes");

        assert_eq!(shaped.requests[0].events, [0, 1]);
        assert!(matches!(shaped.requests[0].body, Body::Joined(_)));
    }
}
