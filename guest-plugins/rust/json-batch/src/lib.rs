//! A batch is one JSON array.

use std::collections::BTreeMap;

use nozzle_plugin::{Batch, Method, Plugin, Request, Shaped, check_header, export_shaper};
use serde::Deserialize;

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Resolved against the endpoint's URL.
    target: String,
    method: Verb,
    headers: BTreeMap<String, String>,
    /// Whether each record is checked to be JSON.
    validate: bool,
    /// What becomes of a record that is none.
    invalid: Invalid,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: String::new(),
            method: Verb::Post,
            headers: BTreeMap::new(),
            validate: true,
            invalid: Invalid::Reject,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    Post,
    Put,
    Patch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Invalid {
    /// It is dead-lettered: one bad record must not spoil the array for its neighbours.
    Reject,
    /// It is sent as a JSON string; what is no UTF-8 is rejected all the same.
    String,
}

struct JsonBatch(Config);

impl Plugin for JsonBatch {
    type Config = Config;

    fn new(mut config: Config) -> Result<Self, String> {
        if !config.validate && config.invalid == Invalid::String {
            return Err(
                "`invalid: string` needs `validate: true`, which finds such records".to_owned(),
            );
        }
        for (name, value) in &config.headers {
            check_header(name, value)?;
        }
        let mut names = config.headers.keys();
        if !names.any(|name| name.eq_ignore_ascii_case("content-type")) {
            let json = "application/json".to_owned();
            config.headers.insert("content-type".to_owned(), json);
        }
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new();
        for (name, value) in &self.0.headers {
            shaped = shaped.header(name, value);
        }
        let mut events = Vec::with_capacity(batch.len() as usize);
        let mut quoted = Vec::new();
        for event in batch {
            let invalid = match self.0.validate {
                true => event.json().err(),
                false => None,
            };
            match invalid {
                None => events.push(event.index()),
                Some(_) if self.0.invalid == Invalid::String && event.text().is_ok() => {
                    events.push(event.index());
                    quoted.push(event.index());
                }
                Some(reason) => shaped.reject_event(event.index(), reason),
            }
        }
        if events.is_empty() {
            return Ok(shaped);
        }
        let request = match quoted.is_empty() {
            // The host joins the records: they are not copied here.
            true => self.request().joined("[", ",", "]"),
            false => self.request().body(array(batch, &events, &quoted)?),
        };
        shaped.requests.push(request.events(events));
        Ok(shaped)
    }
}

impl JsonBatch {
    fn request(&self) -> Request {
        let method = match self.0.method {
            Verb::Post => Method::Post,
            Verb::Put => Method::Put,
            Verb::Patch => Method::Patch,
        };
        Request::new(method, self.0.target.as_str())
    }
}

/// The records in the order of the batch, those of `quoted` as JSON strings.
fn array(batch: &Batch, events: &[u32], quoted: &[u32]) -> Result<Vec<u8>, String> {
    let mut body = vec![b'['];
    for event in events.iter().filter_map(|index| batch.get(*index)) {
        if body.len() > 1 {
            body.push(b',');
        }
        match quoted.binary_search(&event.index()) {
            Ok(_) => serde_json::to_writer(&mut body, event.text()?)
                .map_err(|error| error.to_string())?,
            Err(_) => body.extend_from_slice(event.data()),
        }
    }
    body.push(b']');
    Ok(body)
}

export_shaper!(JsonBatch);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{Body, configure, testing};

    use super::*;

    const RECORDS: [&[u8]; 5] = [b"{\"a\":1}", b"oh \"no\"", b"[2]", b"\"\xff\"", b""];

    fn shape(config: &str) -> Shaped {
        let plugin: JsonBatch = configure(config).expect(config);
        plugin.shape(&testing::batch(RECORDS)).expect("it shapes")
    }

    fn rejected(shaped: &Shaped) -> Vec<u32> {
        shaped
            .reject
            .iter()
            .map(|rejection| rejection.event)
            .collect()
    }

    #[test]
    fn a_record_that_is_no_json_does_not_spoil_the_array() {
        let shaped = shape("null");

        assert_eq!(shaped.requests[0].events, [0, 2]);
        assert!(
            matches!(&shaped.requests[0].body, Body::Joined(joined) if joined.prefix == b"[" && joined.separator == b"," && joined.suffix == b"]")
        );
        assert_eq!(rejected(&shaped), [1, 3, 4]);
        assert_eq!(
            shaped.reject[1].reason,
            "the record is no JSON, as it is no UTF-8"
        );
    }

    #[test]
    fn records_sent_as_strings_keep_their_place_in_one_request() {
        let shaped = shape(r#"{"invalid":"string","method":"put"}"#);

        let [request] = &*shaped.requests else {
            panic!("{} requests", shaped.requests.len());
        };
        assert_eq!(request.events, [0, 1, 2, 4]);
        let Body::Bytes(body) = &request.body else {
            panic!("{:?}", request.body);
        };
        assert_eq!(
            String::from_utf8_lossy(body),
            r#"[{"a":1},"oh \"no\"",[2],""]"#
        );
        assert_eq!(rejected(&shaped), [3]);
    }

    #[test]
    fn without_validation_every_record_is_sent_as_it_is() {
        let shaped = shape(r#"{"validate":false}"#);

        assert_eq!(shaped.requests[0].events, [0, 1, 2, 3, 4]);
        assert!(shaped.reject.is_empty());
    }

    #[test]
    fn a_batch_without_json_makes_no_request() {
        let plugin: JsonBatch = configure("null").expect("defaults");

        let shaped = plugin
            .shape(&testing::batch([&b"x"[..]]))
            .expect("it shapes");

        assert!(shaped.requests.is_empty());
        assert_eq!(rejected(&shaped), [0]);
    }

    #[test]
    fn configured_headers_win_over_the_default() {
        let shaped = shape(r#"{"headers":{"Content-Type":"application/vnd.api+json","x-a":"1"}}"#);

        let names: Vec<&str> = shaped
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["Content-Type", "x-a"]);
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused() {
        let table = [
            (
                r#"{"validate":false,"invalid":"string"}"#,
                "`invalid: string` needs",
            ),
            (r#"{"headers":{"host":"x"}}"#, "`host` is the host's own"),
            (
                r#"{"targt":"x"}"#,
                "unknown field `targt`, expected one of `target`",
            ),
        ];

        for (config, expected) in table {
            let refused = configure::<JsonBatch>(config).err().expect(config);

            assert!(refused.contains(expected), "{refused}");
        }
    }
}
