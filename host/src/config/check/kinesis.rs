//! Streams and tables of AWS.

use std::time::Duration;

use super::Checker;
use crate::{
    aws::settings::{AwsSettings, StreamName, is_resource_name},
    config::{
        check::check_url,
        problem::Problem,
        shape::kinesis::{
            DynamoDbYaml, KinesisEgressYaml, KinesisIngressYaml, ProgressYaml, ReaderYaml,
            StartYaml,
        },
    },
    egress::settings::KinesisEgressSettings,
    ingress::settings::{KinesisIngressSettings, StreamReader, StreamStart},
    progress::settings::{DynamoDbSettings, ProgressSettings, StoreSettings},
};

/// One answer of `GetRecords` must fit.
const LEAST_READ_AHEAD: u64 = 1024 * 1024;
const MOST_READ_AHEAD: u64 = 4 * 1024 * 1024 * 1024 - 1;
const LEAST_DISCOVERY: Duration = Duration::from_millis(100);
/// `PutRecords` takes no larger request (Kinesis quotas).
const MAX_REQUEST: u64 = 10 * 1024 * 1024;
const REQUEST: u64 = 5 * 1024 * 1024;
const LEAST_STORE_INTERVAL: Duration = Duration::from_millis(10);

impl Checker<'_> {
    pub(super) fn kinesis_ingress(
        &mut self,
        index: &str,
        yaml: KinesisIngressYaml,
    ) -> Option<KinesisIngressSettings> {
        let at = ["ingresses", index, "kinesis"];
        let (stream, aws) = self.stream(&at, &yaml.stream, yaml.region, yaml.endpoint_url);
        let start = match (yaml.start, &yaml.timestamp) {
            (StartYaml::AtTimestamp, Some(timestamp)) => {
                self.timestamp(&at, timestamp).map(StreamStart::AtTimestamp)
            }
            (StartYaml::AtTimestamp, None) => {
                self.say(
                    &at,
                    "start",
                    "`start: at-timestamp` needs a `timestamp`",
                    "write it as in `2026-07-01T12:00:00Z`",
                );
                None
            }
            (_, Some(_)) => {
                self.say(
                    &at,
                    "timestamp",
                    "`timestamp` has no effect",
                    "write `start: at-timestamp` with it",
                );
                None
            }
            (StartYaml::Latest, None) => Some(StreamStart::Latest),
            (StartYaml::Earliest, None) => Some(StreamStart::Earliest),
        };
        let reader = match (yaml.reader, yaml.consumer, yaml.poll_interval) {
            (ReaderYaml::Polling, Some(_), _) => {
                self.say(
                    &at,
                    "consumer",
                    "`consumer` has no effect",
                    "write `reader: enhanced-fan-out` with it",
                );
                None
            }
            (ReaderYaml::Polling, None, interval) => Some(StreamReader::Polling {
                interval: interval.map_or(KinesisIngressSettings::POLL_INTERVAL, |span| span.0),
            }),
            (ReaderYaml::EnhancedFanOut, _, Some(_)) => {
                self.say(
                    &at,
                    "poll-interval",
                    "`poll-interval` has no effect",
                    "it is for `reader: polling`",
                );
                None
            }
            (ReaderYaml::EnhancedFanOut, Some(consumer), None) => {
                let valid = is_resource_name(&consumer, 1..=128);
                if !valid {
                    let hint = "a consumer's name has 1 to 128 letters, digits, `_`, `-` and `.`";
                    self.say(&at, "consumer", "the consumer's name cannot be one", hint);
                }
                valid.then_some(StreamReader::EnhancedFanOut { consumer })
            }
            (ReaderYaml::EnhancedFanOut, None, None) => {
                let hint = "name it as the application: it is registered if it is not";
                self.say(
                    &at,
                    "reader",
                    "`reader: enhanced-fan-out` needs a `consumer`",
                    hint,
                );
                None
            }
        };
        let read_ahead = yaml
            .read_ahead
            .map_or(KinesisIngressSettings::READ_AHEAD as u64, |size| size.0);
        if !(LEAST_READ_AHEAD..=MOST_READ_AHEAD).contains(&read_ahead) {
            self.say(
                &at,
                "read-ahead",
                "`read-ahead` is out of range",
                "it is 1MiB to 4GiB",
            );
        }
        let discovery = yaml
            .discovery_interval
            .map_or(KinesisIngressSettings::DISCOVERY, |span| span.0);
        if discovery < LEAST_DISCOVERY {
            self.say(
                &at,
                "discovery-interval",
                "`discovery-interval` is too short",
                "it is 100ms or more",
            );
        }
        Some(KinesisIngressSettings {
            stream: stream?,
            aws: aws?,
            start: start?,
            reader: reader?,
            read_ahead: usize::try_from(read_ahead).ok()?,
            discovery,
        })
    }

    pub(super) fn kinesis_egress(
        &mut self,
        index: &str,
        yaml: KinesisEgressYaml,
    ) -> Option<KinesisEgressSettings> {
        let at = ["egresses", index, "kinesis"];
        let (stream, aws) = self.stream(&at, &yaml.stream, yaml.region, yaml.endpoint_url);
        let max_bytes = yaml.max_bytes.map_or(REQUEST, |size| size.0);
        if !(1..=MAX_REQUEST).contains(&max_bytes) {
            self.say(
                &at,
                "max-bytes",
                "`max-bytes` is out of range",
                "the service takes 10MiB in a request at most",
            );
        }
        Some(KinesisEgressSettings {
            stream: stream?,
            aws: aws?,
            max_records: yaml.max_records.unwrap_or(500),
            max_bytes: usize::try_from(max_bytes).ok()?,
        })
    }

    pub(super) fn progress(&mut self, yaml: ProgressYaml) -> Option<ProgressSettings> {
        let interval = yaml
            .interval
            .map_or(ProgressSettings::default().interval, |span| span.0);
        if interval < LEAST_STORE_INTERVAL {
            self.say(
                &["progress"],
                "interval",
                "`interval` is too short",
                "it is 10ms or more",
            );
        }
        let store = match yaml.dynamodb {
            None => StoreSettings::Embedded,
            Some(DynamoDbYaml {
                table,
                region,
                endpoint_url,
            }) => {
                let at = ["progress", "dynamodb"];
                let aws = self.aws(&at, None, region, endpoint_url);
                let valid = is_resource_name(&table, 3..=255);
                if !valid {
                    let hint = "a table's name has 3 to 255 letters, digits, `_`, `-` and `.`";
                    self.say(&at, "table", "the table's name cannot be one", hint);
                }
                let label = self.label(&at, "table");
                StoreSettings::DynamoDb(DynamoDbSettings {
                    table,
                    label,
                    aws: aws?,
                })
            }
        };
        Some(ProgressSettings { interval, store })
    }

    /// A stream, and how it is reached.
    fn stream(
        &mut self,
        at: &[&str],
        text: &str,
        region: Option<String>,
        endpoint_url: Option<String>,
    ) -> (Option<StreamName>, Option<AwsSettings>) {
        let parsed = StreamName::parse(text);
        if let Err(reason) = &parsed {
            let hint = "write the stream's name, or its ARN";
            self.say(
                at,
                "stream",
                &format!("the stream cannot be read as one: {reason}"),
                hint,
            );
        }
        let label = self.label(at, "stream");
        let stream = parsed.ok().map(|stream| stream.labelled(&label));
        let aws = self.aws(at, stream.as_ref(), region, endpoint_url);
        (stream, aws)
    }

    /// The text as it stands in the file: what was filled in is not for logs.
    fn label(&self, at: &[&str], key: &str) -> String {
        self.written(&[at, &[key]].concat()).to_owned()
    }

    fn aws(
        &mut self,
        at: &[&str],
        stream: Option<&StreamName>,
        region: Option<String>,
        endpoint_url: Option<String>,
    ) -> Option<AwsSettings> {
        let of_arn = stream.and_then(StreamName::region);
        if let (Some(region), Some(of_arn)) = (&region, of_arn)
            && region != of_arn
        {
            let message = format!("`region` is another than the ARN's, `{of_arn}`");
            self.say(at, "region", &message, "leave `region` out");
        }
        let endpoint_url = match endpoint_url.as_deref().map(check_url).transpose() {
            Ok(url) => url,
            Err(reason) => {
                let message = format!("`endpoint-url` cannot be used: {reason}");
                self.say(
                    at,
                    "endpoint-url",
                    &message,
                    "write it as in `http://127.0.0.1:4566`",
                );
                return None;
            }
        };
        Some(AwsSettings {
            region: region.or(of_arn.map(str::to_owned)),
            endpoint_url,
        })
    }

    fn timestamp(&mut self, at: &[&str], text: &str) -> Option<u64> {
        let time = humantime::parse_rfc3339(text).ok();
        let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        if since.is_none() {
            self.say(
                at,
                "timestamp",
                "the timestamp cannot be read",
                "write it as in `2026-07-01T12:00:00Z`, in UTC",
            );
        }
        since.and_then(|since| u64::try_from(since.as_millis()).ok())
    }

    fn say(&mut self, at: &[&str], key: &str, message: &str, hint: &str) {
        let mark = self.mark(&[at, &[key]].concat());
        self.problems.push(Problem::new(mark, message).hint(hint));
    }
}
