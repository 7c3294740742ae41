//! Makes records, as Flink's datagen connector does (`DataGeneratorSource`), from a seed.
//!
//! A record depends on the seed and its number alone: the same seed gives the same records, whatever the
//! rate, and whichever record is made first.

use std::{io::Write, time::Duration};

use bytes::Bytes;
use fastrand::Rng;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Ingress, IngressError, ReadLimit,
    settings::{DatagenSettings, Field},
};
use crate::event::{Event, Incoming, Position, now_ms};

/// What is due within this is handed out together.
const CHUNK: Duration = Duration::from_millis(10);
/// 2026-01-01T00:00:00Z, where the `timestamp` field begins.
const EPOCH_SECONDS: u64 = 1_767_225_600;

/// A source of made-up records.
#[derive(Debug)]
pub struct Datagen {
    settings: DatagenSettings,
    /// `ingress/seed:`, in front of a record's number.
    id_prefix: String,
    partitions: [String; 1],
    /// Records made so far.
    made: u64,
    /// Records that were due at the last look at the clock, where there is a rate.
    due: u64,
    started: Option<Instant>,
}

impl Datagen {
    /// A source that begins with record 1.
    pub fn new(ingress: &str, settings: DatagenSettings) -> Self {
        Self {
            id_prefix: format!("{ingress}/{}:", settings.seed),
            partitions: [format!("seed-{}", settings.seed)],
            settings,
            made: 0,
            due: 0,
            started: None,
        }
    }

    /// How many records are left; none for no end.
    fn left(&self) -> Option<u64> {
        let by_count = self
            .settings
            .count
            .map(|count| count.saturating_sub(self.made));
        let by_sequence = sequence_left(&self.settings.fields, self.made);
        match (by_count, by_sequence) {
            (Some(count), Some(sequence)) => Some(count.min(sequence)),
            (left, None) | (None, left) => left,
        }
    }

    fn make(&mut self, now: u64) -> Incoming {
        let number = self.made;
        self.made += 1;
        let settings = &self.settings;
        let mut rng = Rng::with_seed(mix(settings.seed, number));
        let mut writer = Writer {
            out: Vec::with_capacity(settings.size.unwrap_or(256)),
            key: None,
        };
        writer.out.push(b'{');
        writer.fields(&settings.fields, settings.key.as_deref(), &mut rng, number);
        writer.pad(settings.size);
        writer.out.push(b'}');
        let mut id = String::with_capacity(self.id_prefix.len() + 20);
        id.push_str(&self.id_prefix);
        id.push_str(&(number + 1).to_string());
        let event = Event {
            id: id.into_boxed_str(),
            key: writer.key,
            timestamp_ms: now,
            attributes: Vec::new(),
            data: Bytes::from(writer.out),
        };
        Incoming {
            event,
            partition: 0,
            position: Position::Count(self.made),
        }
    }
}

impl Ingress for Datagen {
    fn partitions(&self) -> &[String] {
        &self.partitions
    }

    async fn read(&mut self, limit: ReadLimit) -> Result<Option<Vec<Incoming>>, IngressError> {
        let left = self.left();
        if left == Some(0) {
            return Ok(None);
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        let due = match self.settings.rate {
            // Records that `limit` has cut off are due already: a pause for each read would cap the rate.
            Some(rate) if self.due <= self.made => {
                // The n-th record is due at n / rate, whatever was late before it.
                let next = started + Duration::from_secs_f64((self.made + 1) as f64 / rate as f64);
                tokio::time::sleep_until(next.max(Instant::now() + CHUNK.min(next - started)))
                    .await;
                let elapsed = started.elapsed().as_secs_f64();
                self.due = ((elapsed * rate as f64) as u64).max(self.made + 1);
                self.due - self.made
            }
            rate => {
                // Nothing here waits: others get their turn all the same.
                tokio::task::yield_now().await;
                rate.map_or(u64::MAX, |_| self.due - self.made)
            }
        };
        let now = now_ms();
        let wanted = due.min(left.unwrap_or(u64::MAX));
        let wanted = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .min(limit.records);
        let mut records = Vec::with_capacity(wanted);
        let mut bytes = 0;
        while records.len() < wanted && bytes < limit.bytes {
            let record = self.make(now);
            bytes += record.event.data.len();
            records.push(record);
        }
        Ok(Some(records))
    }
}

fn sequence_left(fields: &[(String, Field)], made: u64) -> Option<u64> {
    let left = |field: &Field| match field {
        Field::Sequence { start, end } => {
            // Without an end it ends where its numbers do.
            let span = end.unwrap_or(u64::MAX).checked_sub(*start);
            Some(span.map_or(0, |span| span.saturating_add(1).saturating_sub(made)))
        }
        Field::Object { fields } => sequence_left(fields, made),
        _ => None,
    };
    fields.iter().filter_map(|(_, field)| left(field)).min()
}

/// A JSON value as a key: a string without its quotes and escapes, anything else as it is written.
fn as_text(json: &[u8]) -> Box<str> {
    match serde_json::from_slice::<String>(json) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(json).into(),
    }
}

/// A seed for each record (SplitMix64's finalizer), so that none depends on the one before.
fn mix(seed: u64, number: u64) -> u64 {
    let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Writes JSON straight into the record: this is what a load test spends its time on.
struct Writer {
    out: Vec<u8>,
    key: Option<Box<str>>,
}

impl Writer {
    fn fields(
        &mut self,
        fields: &[(String, Field)],
        key: Option<&str>,
        rng: &mut Rng,
        number: u64,
    ) {
        for (index, (name, field)) in fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.json(&Value::from(name.as_str()));
            self.out.push(b':');
            let start = self.out.len();
            self.value(field, rng, number);
            if key == Some(name) {
                self.key = Some(as_text(self.out.get(start..).unwrap_or_default()));
            }
        }
    }

    fn value(&mut self, field: &Field, rng: &mut Rng, number: u64) {
        match field {
            Field::Sequence { start, .. } => self.text(format_args!("{}", start + number)),
            Field::Integer { min, max } => self.text(format_args!("{}", rng.i64(min..=max))),
            Field::Float { min, max } => {
                let value = min + (max - min) * rng.f64();
                self.text(format_args!("{value:.2}"));
            }
            Field::Boolean => self.text(format_args!("{}", rng.bool())),
            Field::String {
                length: (shortest, longest),
            } => {
                let length = rng.usize(shortest..=longest);
                self.out.push(b'"');
                self.hex(length, rng);
                self.out.push(b'"');
            }
            Field::Choice { values } => {
                if let Some(value) = rng.choice(values) {
                    self.json(value);
                }
            }
            Field::Uuid => {
                // RFC 9562, section 5.4: version 4, variant 10.
                let bits = rng.u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
                let hex = format!("{bits:032x}");
                let part = |range| hex.get(range).unwrap_or_default();
                let (a, b, c, d, e) = (
                    part(0..8),
                    part(8..12),
                    part(12..16),
                    part(16..20),
                    part(20..32),
                );
                self.text(format_args!("\"{a}-{b}-{c}-{d}-{e}\""));
            }
            Field::Timestamp => {
                let at = Duration::from_secs(EPOCH_SECONDS) + Duration::from_millis(number);
                let text = humantime::format_rfc3339_millis(std::time::SystemTime::UNIX_EPOCH + at);
                self.text(format_args!("\"{text}\""));
            }
            Field::Object { fields } => {
                self.out.push(b'{');
                self.fields(fields, None, rng, number);
                self.out.push(b'}');
            }
        }
    }

    /// Fills up to `size` bytes, the closing brace included.
    fn pad(&mut self, size: Option<usize>) {
        const FRAME: &str = ",\"padding\":\"\"}";
        let Some(size) = size else { return };
        let missing = size.saturating_sub(self.out.len() + FRAME.len());
        if missing > 0 {
            self.text(format_args!(",\"padding\":\""));
            self.out.resize(self.out.len() + missing, b'x');
            self.out.push(b'"');
        }
    }

    fn hex(&mut self, length: usize, rng: &mut Rng) {
        let end = self.out.len() + length;
        while self.out.len() < end {
            let mut bits = rng.u64(..);
            for _ in 0..16.min(end - self.out.len()) {
                self.out.push(b"0123456789abcdef"[(bits & 0xf) as usize]);
                bits >>= 4;
            }
        }
    }

    fn text(&mut self, text: std::fmt::Arguments<'_>) {
        self.out
            .write_fmt(text)
            .expect("writing to memory does not fail");
    }

    fn json(&mut self, value: &Value) {
        serde_json::to_writer(&mut self.out, value).expect("a JSON value is written to memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: ReadLimit = ReadLimit {
        records: 1000,
        bytes: 1 << 20,
    };

    fn settings() -> DatagenSettings {
        let number = |name: &str, field| (name.to_owned(), field);
        DatagenSettings {
            rate: None,
            count: Some(50),
            seed: 7,
            key: Some("user".to_owned()),
            size: Some(300),
            fields: vec![
                number(
                    "id",
                    Field::Sequence {
                        start: 10,
                        end: None,
                    },
                ),
                number(
                    "user",
                    Field::Choice {
                        values: vec!["ann".into(), "bob".into()],
                    },
                ),
                number("n", Field::Integer { min: -5, max: 5 }),
                number("amount", Field::Float { min: 1.0, max: 2.0 }),
                number("token", Field::String { length: (3, 40) }),
                number("uuid", Field::Uuid),
                number("at", Field::Timestamp),
                number(
                    "inner",
                    Field::Object {
                        fields: vec![number("yes", Field::Boolean)],
                    },
                ),
            ],
        }
    }

    async fn all(settings: DatagenSettings) -> Vec<Incoming> {
        let mut source = Datagen::new("t/in", settings);
        let mut records = Vec::new();
        while let Some(more) = source.read(ALL).await.expect("datagen does not fail") {
            records.extend(more);
        }
        records
    }

    #[tokio::test]
    async fn the_same_seed_gives_the_same_records_of_the_size_asked_for() {
        let (first, second) = (all(settings()).await, all(settings()).await);

        assert_eq!(first.len(), 50);
        for (one, other) in first.iter().zip(&second) {
            assert_eq!(
                (&one.event.data, &one.event.id),
                (&other.event.data, &other.event.id)
            );
            assert_eq!(one.event.data.len(), 300);
        }
        assert_ne!(first[0].event.data, first[1].event.data);
        assert_eq!(&*first[0].event.id, "t/in/7:1");
    }

    #[tokio::test]
    async fn a_record_is_json_with_values_in_their_ranges_and_its_key() {
        for (number, record) in all(settings()).await.iter().enumerate() {
            let value: Value = serde_json::from_slice(&record.event.data).expect("valid JSON");

            assert_eq!(value["id"], number + 10);
            assert_eq!(value["user"].as_str(), record.event.key.as_deref());
            assert!((-5..=5).contains(&value["n"].as_i64().expect("a whole number")));
            assert!((1.0..=2.0).contains(&value["amount"].as_f64().expect("a number")));
            assert!((3..=40).contains(&value["token"].as_str().expect("a string").len()));
            assert_eq!(
                value["uuid"].as_str().expect("a string").as_bytes()[14],
                b'4'
            );
            assert!(
                value["at"]
                    .as_str()
                    .expect("a string")
                    .starts_with("2026-01-01T00:00:00.0")
            );
            assert!(value["inner"]["yes"].is_boolean());
        }
    }

    #[tokio::test]
    async fn the_source_ends_where_its_sequence_does() {
        let mut settings = settings();
        settings.fields = vec![(
            "id".to_owned(),
            Field::Sequence {
                start: 10,
                end: Some(19),
            },
        )];

        assert_eq!(all(settings).await.len(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_without_drift() {
        let settings = DatagenSettings {
            rate: Some(500),
            count: Some(1000),
            ..settings()
        };
        let started = Instant::now();

        let records = all(settings).await;

        assert_eq!(records.len(), 1000);
        let elapsed = started.elapsed();
        assert!((1990..=2020).contains(&elapsed.as_millis()), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_above_what_one_read_takes_is_kept() {
        let settings = DatagenSettings {
            rate: Some(200_000),
            count: Some(200_000),
            fields: vec![("yes".to_owned(), Field::Boolean)],
            ..settings()
        };
        let mut source = Datagen::new("t/in", settings);
        let started = Instant::now();

        let mut made = 0;
        while let Some(more) = source.read(ALL).await.expect("datagen does not fail") {
            assert!(more.len() <= ALL.records);
            made += more.len();
        }

        let elapsed = started.elapsed();
        assert_eq!(made, 200_000);
        assert!((990..=1020).contains(&elapsed.as_millis()), "{elapsed:?}");
    }

    #[tokio::test]
    async fn a_key_is_the_text_of_its_value() {
        for (value, key) in [
            (Value::from("say \"hi\"\n"), "say \"hi\"\n"),
            (Value::from(7), "7"),
            (Value::from("\"7\""), "\"7\""),
        ] {
            let settings = DatagenSettings {
                count: Some(1),
                fields: vec![(
                    "user".to_owned(),
                    Field::Choice {
                        values: vec![value],
                    },
                )],
                ..settings()
            };

            let records = all(settings).await;

            assert_eq!(records[0].event.key.as_deref(), Some(key));
        }
    }

    #[tokio::test]
    async fn a_sequence_ends_at_the_largest_number_at_the_latest() {
        for (end, count) in [(None, 2), (Some(u64::MAX), 2), (Some(0), 0)] {
            let mut settings = settings();
            let start = u64::MAX - 1;
            settings.fields = vec![("id".to_owned(), Field::Sequence { start, end })];

            assert_eq!(all(settings).await.len(), count, "{end:?}");
        }
    }
}
