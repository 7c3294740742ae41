//! InfluxDB line protocol, from records that are JSON objects: versions 1, 2 and 3.
//!
//! A 400 or 422 may be a partial write, of which the rest is stored. Which lines were not is said in three ways, which
//! `refused.rs` reads:
//!
//! - 3: `data` has the line's number and its beginning
//!   (<https://docs.influxdata.com/influxdb3/core/write-data/troubleshoot/>);
//! - 1 and 2: `unable to parse 'LINE': REASON` quotes each; after `partial write:` the others are stored, else none is
//!   (<https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/>);
//! - 1 and 2: `field type conflict` names a measurement, a field and the type that it has, and counts the points that
//!   were dropped: those of the call with another type there, if they are as many.
//!
//! Such records are dead-lettered. Where an answer tells the lines apart in none of these ways, the sink's status policy
//! decides: `status: {400: split, 422: split}` finds them by halves. To send a point twice changes nothing, as the same
//! series and time are the same point. 413, 429 (with `Retry-After`) and 5xx are left to the status policy too.

mod line;
mod refused;

use std::collections::BTreeMap;

use line::{Point, Type};
use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    export_sink,
};
use plugin_kit::{Source, Target, Time, object, of_a_page};
use serde::Deserialize;
use serde_json::{Map, Value};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The version of the API: `v1` (`write`), `v2` (`api/v2/write`) or `v3` (`api/v3/write_lp`).
    api: Api,
    /// Versions 1 and 3: the database.
    database: Option<String>,
    /// Version 1: the retention policy, if not the default one.
    retention_policy: Option<String>,
    /// Version 2: the organisation and the bucket.
    org: Option<String>,
    bucket: Option<String>,
    /// The measurement.
    measurement: Option<Source>,
    /// Tags by name. What a record does not have is left out.
    tags: BTreeMap<String, Source>,
    /// Fields by name; without any, every member of the record that no tag is taken from.
    fields: BTreeMap<String, Source>,
    /// Fields whose numbers are integers; the others are floats, whether they have a fraction or not.
    integers: Vec<String>,
    /// When it was.
    time: Time,
    /// Resolved against the endpoint's URL; default: by `api`.
    target: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api: Api::V2,
            database: None,
            retention_policy: None,
            org: None,
            bucket: None,
            measurement: None,
            tags: BTreeMap::new(),
            fields: BTreeMap::new(),
            integers: Vec::new(),
            time: Time::default(),
            target: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Api {
    V1,
    V2,
    V3,
}

impl Api {
    /// The path, and what its parameters are called: database, retention policy, organisation, bucket.
    fn target(self) -> (&'static str, [Option<&'static str>; 4]) {
        match self {
            Self::V1 => ("write", [Some("db"), Some("rp"), None, None]),
            Self::V2 => ("api/v2/write", [None, None, Some("org"), Some("bucket")]),
            Self::V3 => ("api/v3/write_lp", [Some("db"), None, None, None]),
        }
    }

    /// The precision is never left to be guessed.
    fn nanoseconds(self) -> &'static str {
        match self {
            Self::V1 | Self::V2 => "ns",
            Self::V3 => "nanosecond",
        }
    }
}

struct InfluxDb {
    target: String,
    measurement: Source,
    tags: BTreeMap<String, Source>,
    fields: BTreeMap<String, Source>,
    /// Members of the record that are tags or the time, and so no fields.
    tagged: Vec<String>,
    integers: Vec<String>,
    time: Time,
}

impl Plugin for InfluxDb {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let (path, names) = config.api.target();
        let path = config.target.as_deref().unwrap_or(path);
        let mut target = Target::new(path).parameter("precision", config.api.nanoseconds());
        let given = [
            ("database", &config.database),
            ("retention-policy", &config.retention_policy),
            ("org", &config.org),
            ("bucket", &config.bucket),
        ];
        for ((key, value), name) in given.into_iter().zip(names) {
            match (name, value) {
                (Some(name), Some(value)) => target = target.parameter(name, value),
                (None, Some(_)) => return Err(format!("`{key}` is of another version than `api`")),
                (Some("db" | "bucket"), None) => return Err(format!("`{key}` is needed")),
                (_, None) => {}
            }
        }
        if config.tags.contains_key("time") || config.fields.contains_key("time") {
            return Err("`time` is no name of a tag or a field: InfluxDB drops it".to_owned());
        }
        let elsewhere = config.tags.values().chain([config.time.source()]);
        let tagged = elsewhere.filter_map(|source| match source {
            Source::Json(pointer) => Some(pointer.strip_prefix('/')?.to_owned()),
            _ => None,
        });
        Ok(Self {
            target: target.finish(),
            tagged: tagged.collect(),
            measurement: config.measurement.ok_or("`measurement` is needed")?,
            tags: config.tags,
            fields: config.fields,
            integers: config.integers,
            time: config.time,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "text/plain; charset=utf-8");
        let mut body = String::new();
        let events = shaped.gather(batch, |event| {
            body.push_str(&self.point(event)?.line);
            body.push('\n');
            Ok(())
        });
        if !events.is_empty() {
            let request = Request::post(self.target.as_str());
            shaped.requests.push(request.body(body).events(events));
        }
        Ok(shaped)
    }
}

impl InfluxDb {
    fn point(&self, event: &Event<'_>) -> Result<Point, String> {
        let json: Value = serde_json::from_str(object(event)?)
            .map_err(|error| format!("the record is no JSON: {error}"))?;
        let measurement = self.measurement.text(event, &json);
        let measurement = measurement
            .ok_or_else(|| format!("the record has no `{}`", self.measurement.name()))?;
        let mut point = Point::new(&measurement)?;
        for (name, source) in &self.tags {
            if let Some(value) = source.text(event, &json) {
                point.tag(name, &value)?;
            }
        }
        let none = Map::new();
        if self.fields.is_empty() {
            for (name, value) in json.as_object().unwrap_or(&none) {
                if !self.tagged.contains(name) {
                    point.field(name, value, self.type_of(name))?;
                }
            }
        }
        for (name, source) in &self.fields {
            if let Some(value) = source.value(event, &json) {
                point.field(name, &value, self.type_of(name))?;
            }
        }
        point.finish(self.time.nanoseconds(event, &json)?)
    }

    /// The type of this field's numbers.
    fn type_of(&self, field: &str) -> Type {
        match self.integers.iter().any(|name| name == field) {
            true => Type::Integer,
            false => Type::Float,
        }
    }
}

impl Handle for InfluxDb {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        if let Some(handled) = of_a_page(&response) {
            return handled;
        }
        if !matches!(response.status, 400 | 422) || response.truncated {
            return Verdict::ByStatus.into();
        }
        // Only of a call with a fault is anything read again.
        let events = call.events();
        let points: Result<Vec<Point>, String> =
            events.iter().map(|event| self.point(&event)).collect();
        let verdict = points
            .ok()
            .and_then(|points| refused::judge(&response.body, &points));
        verdict.unwrap_or(Verdict::ByStatus).into()
    }
}

export_sink!(InfluxDb);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{
        Body, configure,
        testing::{TestEvent, events},
    };

    use super::*;

    fn shape(config: &str, data: &str) -> Result<String, String> {
        let plugin: InfluxDb = configure(config).expect(config);
        let event = TestEvent {
            id: "f:1",
            key: Some("k 1"),
            timestamp_ms: 7,
            data: data.as_bytes(),
            ..TestEvent::default()
        };
        let mut shaped = plugin.shape(&events([event])).expect("it shapes");
        match shaped.requests.pop().map(|request| request.body) {
            Some(Body::Bytes(body)) => Ok(String::from_utf8(body).expect("text")),
            _ => Err(shaped.reject.remove(0).reason),
        }
    }

    #[test]
    fn a_record_is_a_line() {
        let all = r#"{"api":"v1","database":"d","measurement":"air","tags":{"place":"{json:/place}","key":"{key}"},"integers":["n"]}"#;
        let some = r#"{"bucket":"b","measurement":"{json:/m}","fields":{"t":"{json:/a/t}","gone":"{json:/x}"},"time":{"from":"{json:/at}"}}"#;
        let table = [
            (
                all,
                r#"{"place":"here","n":3,"f":3,"g":0.1,"ok":true,"s":"a \"b\" \\","none":null,"deep":{"x":1}}"#,
                "air,key=k\\ 1,place=here deep=\"{\\\"x\\\":1}\",f=3,g=0.1,n=3i,ok=true,s=\"a \\\"b\\\" \\\\\" 7000000\n",
            ),
            (
                some,
                r#"{"m":"m","a":{"t":-1e3},"at":"2024-05-06T15:58:50Z"}"#,
                "m t=-1000 1715011130000000000\n",
            ),
        ];

        for (config, data, expected) in table {
            assert_eq!(shape(config, data).as_deref(), Ok(expected), "{data}");
        }
    }

    #[test]
    fn what_is_no_point_is_rejected() {
        let config = r#"{"bucket":"b","measurement":"{json:/m}","integers":["n"]}"#;

        for data in [
            "[1]",
            "{}",
            r#"{"m":"m","n":1.5}"#,
            r##"{"m":"#m","x":1}"##,
            "text",
        ] {
            assert!(shape(config, data).is_err(), "{data}");
        }
    }

    #[test]
    fn the_target_is_that_of_the_version() {
        let target = |config: &str| configure::<InfluxDb>(config).map(|plugin| plugin.target);

        assert_eq!(
            target(r#"{"api":"v1","database":"a b","retention-policy":"r","measurement":"m"}"#)
                .as_deref(),
            Ok("write?precision=ns&db=a%20b&rp=r")
        );
        assert_eq!(
            target(r#"{"org":"o","bucket":"b","measurement":"m"}"#).as_deref(),
            Ok("api/v2/write?precision=ns&org=o&bucket=b")
        );
        assert_eq!(
            target(r#"{"api":"v3","database":"d","measurement":"m"}"#).as_deref(),
            Ok("api/v3/write_lp?precision=nanosecond&db=d")
        );
        for config in [
            r#"{"measurement":"m"}"#,
            r#"{"bucket":"b"}"#,
            r#"{"api":"v1","bucket":"b","measurement":"m"}"#,
            r#"{"api":"v1","measurement":"m"}"#,
        ] {
            assert!(target(config).is_err(), "{config}");
        }
    }
}
