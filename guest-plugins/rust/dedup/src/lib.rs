//! Leaves out records whose key was delivered before, with a store by wasi:keyvalue: a batch becomes an array of the others.
//!
//! The sink grants the store: `grants: { keyvalue: {} }`. A key is remembered when its record is delivered, and not when it is
//! shaped: what was shaped only may still be lost, and would then be taken for a copy of itself.

use nozzle_plugin::{
    Batch, Call, Failure, Handle, Handled, NoConfig, Plugin, Request, Response, Shaped, Verdict,
    export_sink, log,
};

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

struct Dedup(Bucket);

impl Plugin for Dedup {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        store::open("")
            .map(Self)
            .map_err(|error| format!("{error:?}"))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new();
        let mut new = Vec::new();
        for event in batch.iter() {
            let seen = event.key().map_or(Ok(false), |key| self.0.exists(key));
            match seen.map_err(|error| format!("{error:?}"))? {
                true => shaped.drop_event(event.index()),
                false => new.push(event.index()),
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
        if is_delivered {
            for event in call.events().iter() {
                // A record that is not remembered is delivered twice, at worst.
                if let Some(Err(error)) = event.key().map(|key| self.0.set(key, &[])) {
                    log::warn(&format!("a key is not remembered: {error:?}"), &[]);
                }
            }
        }
        Verdict::ByStatus.into()
    }
}

export_sink!(Dedup);
