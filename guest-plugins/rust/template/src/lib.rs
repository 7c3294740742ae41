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
