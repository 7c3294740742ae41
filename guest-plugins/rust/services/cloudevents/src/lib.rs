//! CloudEvents 1.0.2 over HTTP: each record becomes an event, in binary, structured or batched mode; a record that is one
//! already goes as it is.
//!
//! The rules: the [HTTP protocol binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md),
//! the [JSON format](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md), and
//! for responses the [web hook specification](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md),
//! section 2.2: a 2xx is a delivery; 410 means that the receiver is retired; 415 that it does not understand the format;
//! 429 has a `Retry-After`, which the host keeps.

mod attributes;
mod data;
mod existing;

use std::collections::BTreeMap;

use attributes::{Attributes, encode};
use data::DataForm;
use existing::Existing;
use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    check_header, export_sink, log,
};
use serde::Deserialize;

const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const BATCHED: &str = "application/cloudevents-batch+json; charset=utf-8";
/// The most headers of an event in binary mode, and the most bytes of them: the host takes 128, of 64 KiB.
const HEADERS: (usize, usize) = (120, 60_000);

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Resolved against the endpoint's URL.
    #[serde(default)]
    target: String,
    #[serde(default)]
    mode: Mode,
    /// A template.
    #[serde(rename = "type")]
    kind: String,
    /// A template; what it comes to is a URI reference.
    source: String,
    /// A template.
    #[serde(default = "id")]
    id: String,
    /// A template; without what it asks for, there is no subject.
    subject: Option<String>,
    /// A template for a time of RFC 3339; "" for none.
    #[serde(default = "time")]
    time: String,
    /// What the records are.
    #[serde(default = "json")]
    data_content_type: String,
    /// A template for a URI; without what it asks for, there is none.
    data_schema: Option<String>,
    /// Names and templates of extension attributes; without what it asks for, there is none.
    #[serde(default)]
    extensions: BTreeMap<String, String>,
    /// Whether a record that is a CloudEvent goes as it is.
    #[serde(default = "yes")]
    pass_through: bool,
}

fn id() -> String {
    "{id}".to_owned()
}

fn time() -> String {
    "{time}".to_owned()
}

fn json() -> String {
    "application/json".to_owned()
}

fn yes() -> bool {
    true
}

/// The content modes of the HTTP binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// A call an event: attributes in headers, the record as the body.
    #[default]
    Binary,
    /// A call an event: one JSON object.
    Structured,
    /// A call a batch: a JSON array of such objects. Only for receivers that ask for it.
    Batched,
}

struct CloudEvents {
    target: String,
    mode: Mode,
    attributes: Attributes,
    content_type: String,
    form: DataForm,
    pass_through: bool,
}

impl Plugin for CloudEvents {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        check_header("content-type", &config.data_content_type)?;
        Ok(Self {
            attributes: Attributes::new(&config)?,
            form: DataForm::of(&config.data_content_type)?,
            target: config.target,
            mode: config.mode,
            content_type: config.data_content_type,
            pass_through: config.pass_through,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        Ok(match self.mode {
            Mode::Batched => self.batched(batch),
            Mode::Binary | Mode::Structured => self.one_by_one(batch),
        })
    }
}

impl CloudEvents {
    fn one_by_one(&self, batch: &Batch) -> Shaped {
        let mut shaped = Shaped::new();
        if self.mode == Mode::Structured {
            shaped = shaped.header("content-type", STRUCTURED);
        }
        shaped.each(batch, |event| match self.mode {
            Mode::Binary => self.binary(event),
            Mode::Structured | Mode::Batched => self.structured(event),
        });
        shaped
    }

    fn batched(&self, batch: &Batch) -> Shaped {
        let mut shaped = Shaped::new().header("content-type", BATCHED);
        let mut body = vec![b'['];
        let events = shaped.gather(batch, |event| {
            let before = body.len();
            if before > 1 {
                body.push(b',');
            }
            let written = self.write(event, &mut body);
            if written.is_err() {
                body.truncate(before);
            }
            written
        });
        body.push(b']');
        if !events.is_empty() {
            let request = Request::post(self.target.as_str());
            shaped.requests.push(request.body(body).events(events));
        }
        shaped
    }

    fn binary(&self, event: &Event<'_>) -> Result<Request, String> {
        let request = Request::post(self.target.as_str());
        if let Some(existing) = self.existing(event) {
            return existing.binary(request).and_then(fits);
        }
        self.form.check(event)?;
        let mut request = request
            .header("content-type", self.content_type.as_str())
            .header("ce-specversion", "1.0");
        for (name, value) in self.attributes.of(event)? {
            request = request.header(&format!("ce-{name}"), encode(&value));
        }
        fits(request.joined("", "", ""))
    }

    fn structured(&self, event: &Event<'_>) -> Result<Request, String> {
        let request = Request::post(self.target.as_str());
        if self.existing(event).is_some() {
            return Ok(request.joined("", "", ""));
        }
        let mut body = Vec::new();
        self.write_new(event, &mut body)?;
        Ok(request.body(body))
    }

    /// In the JSON format.
    fn write(&self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        if self.existing(event).is_some() {
            out.extend_from_slice(event.data());
            return Ok(());
        }
        self.write_new(event, out)
    }

    fn write_new(&self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let attributes = self.attributes.of(event)?;
        out.extend_from_slice(br#"{"specversion":"1.0""#);
        for (name, value) in attributes {
            data::write_member(out, name, &value);
        }
        data::write_member(out, "datacontenttype", &self.content_type);
        self.form.write(event, out)?;
        out.push(b'}');
        Ok(())
    }

    fn existing<'a>(&self, event: &Event<'a>) -> Option<Existing<'a>> {
        match self.pass_through {
            true => Existing::read(event.data()),
            false => None,
        }
    }

    fn judge(&self, response: &Response) -> Verdict {
        match response.status {
            415 => Verdict::Reject(format!(
                "415: the receiver does not take CloudEvents in {} mode, or of `{}`",
                match self.mode {
                    Mode::Binary => "binary",
                    Mode::Structured => "structured",
                    Mode::Batched => "batched",
                },
                self.content_type
            )),
            _ => Verdict::ByStatus,
        }
    }
}

/// Refuses an event whose attributes the host would not take: it would refuse the whole batch.
fn fits(request: Request) -> Result<Request, String> {
    let count = request.headers.len();
    let sizes = request.headers.iter();
    let size: usize = sizes.map(|(name, value)| name.len() + value.len()).sum();
    match count > HEADERS.0 || size > HEADERS.1 {
        true => Err(format!(
            "the event's attributes are {count} headers of {size} bytes, of {} and {} at most",
            HEADERS.0, HEADERS.1
        )),
        false => Ok(request),
    }
}

impl Handle for CloudEvents {
    fn handle(&self, _: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        if response.status == 410 {
            log::error(
                "the receiver is retired: it wants no more events",
                &[("status", &410)],
            );
        }
        self.judge(&response).into()
    }
}

export_sink!(CloudEvents);

#[cfg(test)]
mod tests;
