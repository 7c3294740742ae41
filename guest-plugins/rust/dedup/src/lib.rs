//! Leaves out records whose key was delivered before, with a store by wasi:keyvalue: a batch becomes an array of the others.
//!
//! The sink grants the store: `grants: { keyvalue: {} }`. A key is remembered when its record is delivered, and not when it is
//! shaped: what was shaped only may still be lost, and would then be taken for a copy of itself. Who would rather lose a record
//! than send it twice has `remember: shaped`.

use nozzle_plugin::{
    Batch, Call, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict, export_sink,
    log,
};
use serde::Deserialize;

mod bindings {
    wit_bindgen::generate!({
        inline: r#"
            package nozzle:dedup;

            world dedup {
                import wasi:keyvalue/store@0.2.0-draft;
            }

            package wasi:keyvalue@0.2.0-draft {
                interface store {
                    variant error {
                        no-such-store,
                        access-denied,
                        other(string)
                    }
                    record key-response {
                        keys: list<string>,
                        cursor: option<u64>
                    }
                    open: func(identifier: string) -> result<bucket, error>;
                    resource bucket {
                        get: func(key: string) -> result<option<list<u8>>, error>;
                        set: func(key: string, value: list<u8>) -> result<_, error>;
                        delete: func(key: string) -> result<_, error>;
                        exists: func(key: string) -> result<bool, error>;
                        list-keys: func(cursor: option<u64>) -> result<key-response, error>;
                    }
                }
            }
        "#,
        generate_all,
    });
}

use bindings::wasi::keyvalue::store::{self, Bucket};

/// `plugin.config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// When a key is remembered: `delivered` (the default), or `shaped`, so that no record is sent for a second time.
    remember: Remember,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Remember {
    #[default]
    Delivered,
    Shaped,
}

struct Dedup {
    store: Bucket,
    remember: Remember,
}

impl Dedup {
    fn remember(&self, key: Option<&str>) {
        // A record that is not remembered is delivered twice, at worst.
        if let Some(Err(error)) = key.map(|key| self.store.set(key, &[])) {
            log::warn(&format!("a key is not remembered: {error:?}"), &[]);
        }
    }
}

impl Plugin for Dedup {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let store = store::open("").map_err(|error| format!("{error:?}"))?;
        let remember = config.remember;
        Ok(Self { store, remember })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new();
        let mut new = Vec::new();
        for event in batch.iter() {
            let seen = event.key().map_or(Ok(false), |key| self.store.exists(key));
            match seen.map_err(|error| format!("{error:?}"))? {
                true => shaped.drop_event(event.index()),
                false => new.push(event.index()),
            }
            if self.remember == Remember::Shaped {
                self.remember(event.key());
            }
        }
        if !new.is_empty() {
            shaped
                .requests
                .push(Request::post("").joined("[", ",", "]").events(new));
        }
        Ok(shaped)
    }
}

impl Handle for Dedup {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let is_delivered = outcome.is_ok_and(|response| (200..300).contains(&response.status));
        if is_delivered && self.remember == Remember::Delivered {
            for event in call.events().iter() {
                self.remember(event.key());
            }
        }
        Verdict::ByStatus.into()
    }
}

export_sink!(Dedup);
