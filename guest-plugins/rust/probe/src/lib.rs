//! For the tests of the host: sends what a plugin finds beyond its input.

use std::{
    collections::HashMap,
    fs,
    hash::{BuildHasher, RandomState},
    net::TcpStream,
    time::{Instant, SystemTime},
};

use nozzle_plugin::{Batch, Plugin, Request, Shaped, export_shaper};
use serde::Deserialize;
use serde_json::json;

/// `plugin.config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Files to read.
    read: Vec<String>,
    /// Files to write.
    write: Vec<String>,
    /// An address to connect to.
    connect: Option<String>,
}

struct Probe(Config);

impl Plugin for Probe {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    #[expect(clippy::disallowed_methods, reason = "that is what it looks for")]
    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let config = &self.0;
        let read = |path: &String| match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => format!("error: {:?}", error.kind()),
        };
        let write = |path: &String| fs::write(path, "x").is_ok();
        let connect = |address: &String| TcpStream::connect(address).is_ok();
        let env: HashMap<String, String> = std::env::vars().collect();
        let since_1970 = SystemTime::UNIX_EPOCH
            .elapsed()
            .map_err(|error| error.to_string())?;
        let began = Instant::now();
        let table: HashMap<u32, ()> = (0..32).map(|number| (number, ())).collect();
        let found = json!({
            "env": env,
            "read": config.read.iter().map(read).collect::<Vec<_>>(),
            "written": config.write.iter().map(write).collect::<Vec<_>>(),
            "connected": config.connect.as_ref().map(connect),
            "seconds": since_1970.as_secs(),
            "passed": began.elapsed().as_nanos() as u64,
            "random": RandomState::new().hash_one(0),
            "order": table.into_keys().collect::<Vec<_>>(),
        });
        let body = serde_json::to_vec(&found).map_err(|error| error.to_string())?;
        Ok(Shaped::one(
            Request::post("").body(body).events(0..batch.len()),
        ))
    }
}

export_shaper!(Probe);
