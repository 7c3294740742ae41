//! boto3, as a client beside the one that is tested.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    line_process::LineProcess,
    servers::{ACCOUNT, folder},
};

/// A boto3 process; it ends when dropped.
#[derive(Debug)]
pub struct Boto(LineProcess);

impl Boto {
    /// A client of these addresses, by service: `[("kinesis", "http://…")]`.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn start(services: &[(&str, &str)]) -> Self {
        let endpoints: serde_json::Map<String, Value> = services
            .iter()
            .map(|(service, url)| ((*service).to_owned(), json!(url)))
            .collect();
        let mut command = Command::new(folder().join("python/bin/python"));
        command
            .args(["-u", "-c", include_str!("client.py")])
            .arg(Value::Object(endpoints).to_string());
        credentials(&mut command);
        Self(LineProcess::start(command))
    }

    /// Makes a call: boto3's method of `service`, or one of `client.py`.
    ///
    /// # Errors
    /// What boto3 raised.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn try_call(&mut self, service: &str, call: &str, args: Value) -> Result<Value, String> {
        let request = json!({ "service": service, "call": call, "args": args });
        self.0.ask(&request)
    }

    /// Makes a call of the Kinesis API.
    ///
    /// # Panics
    /// When boto3 raises.
    pub fn kinesis(&mut self, call: &str, args: Value) -> Value {
        self.try_call("kinesis", call, args)
            .unwrap_or_else(|error| panic!("{call}: {error}"))
    }

    /// Makes a stream, and waits until it is active.
    pub fn create_stream(&mut self, name: &str, shards: usize) {
        self.kinesis(
            "create_stream",
            json!({ "StreamName": name, "ShardCount": shards }),
        );
        self.active(name);
    }

    /// Waits until the stream's last change is done.
    pub fn active(&mut self, name: &str) {
        for _ in 0..1_000 {
            let summary = self.kinesis("describe_stream_summary", json!({ "StreamName": name }));
            if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        panic!("the stream `{name}` does not become active");
    }

    /// Writes `{"id": n, "key": k}` for n from `first` to before `last`, with `keys` keys in turn.
    pub fn put(&mut self, stream: &str, first: u64, last: u64, keys: u64) {
        let args = json!({ "stream": stream, "first": first, "last": last, "keys": keys });
        self.kinesis("put", args);
    }

    /// Writes these pairs of key and text, in their order.
    pub fn put_texts(&mut self, stream: &str, records: &[(String, String)]) {
        self.kinesis("put_texts", json!({ "stream": stream, "records": records }));
    }

    /// Writes the same records as one aggregated record; gives its sequence number.
    pub fn put_aggregated(&mut self, stream: &str, first: u64, last: u64, keys: u64) -> String {
        let args = json!({ "stream": stream, "first": first, "last": last, "keys": keys });
        let sequence = self.kinesis("put_aggregated", args);
        sequence.as_str().expect("a sequence number").to_owned()
    }

    /// The ids of the stream's shards that are open.
    pub fn open_shards(&mut self, stream: &str) -> Vec<(String, u128, u128)> {
        let listed = self.kinesis("list_shards", json!({ "StreamName": stream }));
        let shards = listed["Shards"].as_array().cloned().unwrap_or_default();
        let number = |shard: &Value, key: &str| {
            let text = shard["HashKeyRange"][key].as_str().unwrap_or_default();
            text.parse().expect("a hash key")
        };
        let open = |shard: &&Value| shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null();
        let of = |shard: &Value| {
            let id = shard["ShardId"].as_str().unwrap_or_default().to_owned();
            (
                id,
                number(shard, "StartingHashKey"),
                number(shard, "EndingHashKey"),
            )
        };
        shards.iter().filter(open).map(of).collect()
    }

    /// Splits a shard in the middle, and waits until it is done.
    pub fn split(&mut self, stream: &str, (shard, from, to): &(String, u128, u128)) {
        let middle = (from + (to - from) / 2).to_string();
        let args =
            json!({ "StreamName": stream, "ShardToSplit": shard, "NewStartingHashKey": middle });
        self.kinesis("split_shard", args);
        self.active(stream);
    }

    /// Merges two neighbours, and waits until it is done.
    pub fn merge(&mut self, stream: &str, one: &str, other: &str) {
        let args =
            json!({ "StreamName": stream, "ShardToMerge": one, "AdjacentShardToMerge": other });
        self.kinesis("merge_shards", args);
        self.active(stream);
    }
}

/// Credentials that the servers take, and none of the machine's own.
pub fn credentials(command: &mut Command) {
    command
        .env("AWS_ACCESS_KEY_ID", ACCOUNT)
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
}
