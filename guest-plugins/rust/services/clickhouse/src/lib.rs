//! ClickHouse over HTTP: `INSERT … FORMAT JSONEachRow`, a row a record.
//!
//! An INSERT of one block is stored as a whole or not at all (<https://clickhouse.com/docs/sql-reference/statements/insert-into>,
//! <https://clickhouse.com/docs/guides/developer/transactional>), and its errors have a number
//! (<https://clickhouse.com/docs/interfaces/http>, header `X-ClickHouse-Exception-Code`; `system.errors` lists them), by
//! which they are judged, as most of them come with a 500:
//!
//! - what passes, such as 241 (memory), 202 (too many queries) or 252 (too many parts), is tried again;
//! - an error that names its row (`at row 3`) dead-letters that record, and the others are sent again without it;
//! - another one is the whole call's: with a 4xx the sink's status policy decides (`status: {401: halt, 400: split}`),
//!   with a 5xx, which it would retry, the records are dead-lettered, for the same rows would fail again.
//!
//! A call that is sent again has the same `insert_deduplication_token`, made of the ids of its records.

mod codes;

use std::collections::BTreeMap;

use codes::{Code, passes};
use nozzle_plugin::{
    Batch, Call, EventVerdict, Failure, Handle, Handled, Plugin, Request, Response, Shaped,
    Verdict, export_sink,
};
use plugin_kit::{Fingerprint, Target, cut, object, of_a_page, verdict};
use serde::Deserialize;

/// Settings that are sent where the user has not written others: an error's row is counted from the beginning of the call
/// only where rows are read one by one, and an answer that waits for the end has the error of a later row in its status.
const SETTINGS: [(&str, &str); 2] = [
    ("input_format_parallel_parsing", "0"),
    ("wait_end_of_query", "1"),
];

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The table.
    table: String,
    /// Its database; none for the user's own.
    database: Option<String>,
    /// The columns to fill, where they are not all.
    columns: Vec<String>,
    /// Whether calls have a token by which the server leaves out what it has stored before (22.2 and later; the table
    /// must be replicated, or have `non_replicated_deduplication_window`).
    deduplicate: bool,
    /// Settings of the query, beside those of [`SETTINGS`]; an empty map sends none, for old servers that do not know them.
    settings: Option<BTreeMap<String, String>>,
    /// Resolved against the endpoint's URL.
    target: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            table: String::new(),
            database: None,
            columns: Vec::new(),
            deduplicate: true,
            settings: None,
            target: String::new(),
        }
    }
}

struct ClickHouse {
    target: Target,
    deduplicate: bool,
}

impl Plugin for ClickHouse {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.table.is_empty() {
            return Err("`table` is needed".to_owned());
        }
        let written = config.settings.unwrap_or_else(|| owned(SETTINGS));
        if written.contains_key("insert_deduplication_token") {
            return Err(
                "`insert_deduplication_token` is the plugin's: see `deduplicate`".to_owned(),
            );
        }
        let mut query = "INSERT INTO ".to_owned();
        if let Some(database) = &config.database {
            query.push_str(&quoted(database));
            query.push('.');
        }
        query.push_str(&quoted(&config.table));
        if !config.columns.is_empty() {
            let columns: Vec<String> = config.columns.iter().map(|name| quoted(name)).collect();
            query.push_str(&format!(" ({})", columns.join(", ")));
        }
        query.push_str(" FORMAT JSONEachRow");
        let mut target = Target::new(&config.target).parameter("query", &query);
        let mut settings = match written.is_empty() {
            true => BTreeMap::new(),
            false => owned(SETTINGS),
        };
        settings.extend(written);
        for (name, value) in &settings {
            target = target.parameter(name, value);
        }
        Ok(Self {
            target,
            deduplicate: config.deduplicate,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/x-ndjson");
        let mut ids = Fingerprint::default();
        let events = shaped.gather(batch, |event| {
            object(event)?;
            ids.add(event.id());
            Ok(())
        });
        if !events.is_empty() {
            let mut target = self.target.clone();
            if self.deduplicate {
                target = target.parameter(
                    "insert_deduplication_token",
                    &format!("{:032x}", ids.value()),
                );
            }
            let request = Request::post(target.finish());
            shaped
                .requests
                .push(request.joined("", "\n", "\n").events(events));
        }
        Ok(shaped)
    }
}

fn owned<const N: usize>(settings: [(&str, &str); N]) -> BTreeMap<String, String> {
    settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A name in a query.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// The verdict of an error. Nothing of the call is stored.
fn judge(status: u16, code: Code, text: &str, events: usize) -> Verdict {
    // What is too much for one INSERT is so each time; the policy of the sink may split it.
    if code == 252 && text.contains("single INSERT block") {
        return Verdict::ByStatus;
    }
    if passes(code) {
        return Verdict::Retry(None);
    }
    let reason = format!("ClickHouse's code {code}: {}", cut(codes::message(text)));
    match codes::row(text).filter(|row| *row < events) {
        Some(row) => {
            let mut each = vec![EventVerdict::Retry; events];
            if let Some(verdict) = each.get_mut(row) {
                *verdict = EventVerdict::Reject(reason);
            }
            verdict(each)
        }
        None if (400..500).contains(&status) => Verdict::ByStatus,
        None => Verdict::Reject(reason),
    }
}

impl Handle for ClickHouse {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        if let Some(handled) = of_a_page(&response) {
            return handled;
        }
        let text = String::from_utf8_lossy(&response.body);
        // With a 200 too: an error may come when the status is sent already.
        match codes::code(&response.headers, &text) {
            Some(code) => judge(response.status, code, &text, call.event_count() as usize).into(),
            None => Verdict::ByStatus.into(),
        }
    }
}

export_sink!(ClickHouse);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{Body, configure, testing::batch};

    use super::*;

    #[test]
    fn a_batch_is_one_insert_of_the_records_that_are_objects() {
        let config = r#"{"table":"we`ather","database":"d","columns":["a","b"],"settings":{"async_insert":"1","wait_end_of_query":"0"},"deduplicate":false}"#;
        let plugin: ClickHouse = configure(config).expect(config);

        let shaped = plugin
            .shape(&batch([&b"{\"a\":1}"[..], b"[]", b"{\n}", b"{"]))
            .expect("it shapes");

        let request = &shaped.requests[0];
        assert_eq!(
            request.target,
            "?query=INSERT%20INTO%20%60d%60.%60we%5C%60ather%60%20%28%60a%60%2C%20%60b%60%29%20FORMAT%20JSONEachRow&async_insert=1&input_format_parallel_parsing=0&wait_end_of_query=0"
        );
        assert!(matches!(&request.body, Body::Joined(joined) if joined.separator == b"\n"));
        assert_eq!(request.events, [0, 2]);
        assert_eq!(shaped.reject.len(), 2);
    }

    #[test]
    fn an_error_is_judged_by_its_number_and_its_row() {
        use EventVerdict::{Reject, Retry};
        let at_row = "Code: 27. DB::Exception: Cannot parse input: expected '\"' before: (at row 1): (at row 2)\n";

        let busy = judge(
            500,
            202,
            "Code: 202. DB::Exception: Too many simultaneous queries.",
            3,
        );
        let row = judge(400, 27, at_row, 3);
        let beyond = judge(400, 27, at_row, 1);
        let [found, other] = [404, 500]
            .map(|status| judge(status, 16, "Code: 16. DB::Exception: No such column x", 3));

        assert!(matches!(busy, Verdict::Retry(None)));
        assert!(matches!(row, Verdict::Each(each) if matches!(&*each, [Retry, Reject(_), Retry])));
        assert!(matches!(beyond, Verdict::ByStatus));
        assert!(matches!(found, Verdict::ByStatus));
        assert!(
            matches!(other, Verdict::Reject(reason) if reason == "ClickHouse's code 16: No such column x")
        );
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for config in [
            "{}",
            r#"{"table":"t","settings":{"insert_deduplication_token":"x"}}"#,
        ] {
            assert!(configure::<ClickHouse>(config).is_err(), "{config}");
        }
    }
}
