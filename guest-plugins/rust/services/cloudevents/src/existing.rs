//! Records that are CloudEvents in the JSON format already.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nozzle_plugin::{Request, check_header};
use serde_json::value::RawValue;

use crate::{
    attributes::{encode, is_name},
    data::DataForm,
};

/// A CloudEvent of version 1.0: its members.
#[derive(Debug)]
pub struct Existing<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Existing<'a> {
    /// None where the record is something else: what is sent as an event must have a `specversion` of `1.0`, an `id`, a
    /// `source` and a `type`.
    pub fn read(data: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        // Most records are none: they need not be parsed for it.
        if !text.contains("\"specversion\"") {
            return None;
        }
        let event = Self(serde_json::from_str(text).ok()?);
        let has = |name| event.text(name).is_some_and(|text| !text.is_empty());
        let is_event = event.text("specversion").as_deref() == Some("1.0")
            && ["id", "source", "type"].into_iter().all(has);
        is_event.then_some(event)
    }

    /// In binary mode.
    pub fn binary(&self, mut request: Request) -> Result<Request, String> {
        for (name, value) in &self.0 {
            if matches!(name.as_str(), "data" | "data_base64" | "datacontenttype") {
                continue;
            }
            if !is_name(name) {
                return Err(format!(
                    "the CloudEvent has an attribute `{name}`, which is no name"
                ));
            }
            if let Some(value) = canonical(value.get()).ok_or_else(|| {
                format!("the CloudEvent's attribute `{name}` is a list or an object")
            })? {
                request = request.header(&format!("ce-{name}"), encode(&value));
            }
        }
        let content_type = self.text("datacontenttype");
        if let Some(content_type) = &content_type {
            check_header("content-type", content_type)?;
        }
        let body = self.body(content_type.as_deref())?;
        // Without a content type data is JSON (JSON format, section 3.1.2).
        let implied = body.is_some().then(|| "application/json".to_owned());
        if let Some(content_type) = content_type.or(implied) {
            request = request.header("content-type", content_type);
        }
        Ok(match body {
            Some(body) => request.body(body),
            None => request,
        })
    }

    fn body(&self, content_type: Option<&str>) -> Result<Option<Vec<u8>>, String> {
        let form = content_type.map_or(Ok(DataForm::Json), DataForm::of)?;
        let data = self.0.get("data");
        // An optional attribute may be null, and then is not there.
        let encoded = self.0.get("data_base64").filter(|raw| raw.get() != "null");
        Ok(match (data, encoded) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err("the CloudEvent has both `data` and `data_base64`".to_owned());
            }
            (None, Some(_)) => {
                let text = self.text("data_base64").unwrap_or_default();
                let bytes = STANDARD.decode(text);
                Some(bytes.map_err(|error| format!("the CloudEvent's `data_base64`: {error}"))?)
            }
            (Some(data), None) if form == DataForm::Json => Some(data.get().as_bytes().to_vec()),
            (Some(_), None) => {
                let text = self.text("data");
                Some(
                    text.ok_or("the CloudEvent's `data` is no text")?
                        .into_bytes(),
                )
            }
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }
}

/// A value as CloudEvents writes it; nothing inside for null, none for what no attribute may be.
fn canonical(json: &str) -> Option<Option<String>> {
    match json.bytes().next()? {
        b'n' => Some(None),
        b'"' => serde_json::from_str(json).ok().map(Some),
        b'{' | b'[' => None,
        _ => Some(Some(json.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::Body;

    use super::*;

    const REQUIRED: &str = r#""specversion":"1.0","id":"1","source":"/s","type":"t""#;

    fn binary(more: &str) -> Result<Request, String> {
        let event = format!("{{{REQUIRED}{more}}}");
        let existing = Existing::read(event.as_bytes()).expect("a CloudEvent");
        existing.binary(Request::post(""))
    }

    #[test]
    fn an_event_is_known_by_what_every_event_has() {
        let good = format!("{{{REQUIRED}}}");
        let bad = [
            "",
            "[]",
            r#"{"specversion":"1.0"}"#,
            r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#,
            r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#,
            r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#,
            r#"{"specversion":1.0,"id":"1","source":"/s","type":"t"}"#,
            r#"{"a":"specversion"}"#,
            "{\"specversion\":\"1.0\"",
        ];

        assert!(Existing::read(good.as_bytes()).is_some());
        for event in bad {
            assert!(Existing::read(event.as_bytes()).is_none(), "{event}");
        }
    }

    #[test]
    fn attributes_become_headers_and_data_the_body() {
        let table = [
            ("", None, None),
            (
                r#","data":{"n": 1e400}"#,
                Some("application/json"),
                Some("{\"n\": 1e400}"),
            ),
            (
                r#","datacontenttype":"application/json","data":"just \"text\"""#,
                Some("application/json"),
                Some("\"just \\\"text\\\"\""),
            ),
            (
                r#","datacontenttype":"text/xml","data":"<much wow=\"xml\"/>""#,
                Some("text/xml"),
                Some("<much wow=\"xml\"/>"),
            ),
            (
                r#","datacontenttype":"image/png","data_base64":"aGVsbG8=""#,
                Some("image/png"),
                Some("hello"),
            ),
            (r#","data":null"#, Some("application/json"), Some("null")),
        ];

        for (more, content_type, body) in table {
            let request = binary(more).expect(more);
            let found = request.headers.iter();
            let mut found = found.filter(|(name, _)| name == "content-type");
            assert_eq!(found.next().map(|(_, value)| value.as_str()), content_type);
            match (&request.body, body) {
                (Body::Empty, None) => {}
                (Body::Bytes(bytes), Some(body)) => assert_eq!(bytes, body.as_bytes()),
                other => panic!("{more}: {other:?}"),
            }
        }
        let request = binary(r#","subject":null,"n":5,"b":true,"s":"a \u20ac""#).expect("an event");
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let expected = [
            ("ce-b", "true"),
            ("ce-id", "1"),
            ("ce-n", "5"),
            ("ce-s", "a%20%E2%82%AC"),
            ("ce-source", "/s"),
            ("ce-specversion", "1.0"),
            ("ce-type", "t"),
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn an_event_that_no_header_takes_is_refused() {
        let table = [
            (r#","a_b":"x""#, "`a_b`"),
            (r#","list":[]"#, "`list`"),
            (r#","data":1,"data_base64":"MQ==""#, "both"),
            (r#","data_base64":"*""#, "`data_base64`"),
            (r#","datacontenttype":"text/plain","data":1"#, "no text"),
            (r#","datacontenttype":"a\nb""#, "content-type"),
            (r#","datacontenttype":"x","data":"1""#, "media type"),
        ];

        for (more, expected) in table {
            let reason = binary(more).expect_err(more);
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
