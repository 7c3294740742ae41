//! What stands behind a metric: numbers that many tasks change without a lock.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::text::Sampler;

/// A value that can be exported.
pub trait Sampled {
    /// Writes its samples.
    fn sample(&self, sampler: &mut Sampler<'_>);
}

/// The labels that a value has of its own.
pub(super) trait Labelled {
    /// Their names.
    const LABELS: &'static [&'static str] = &[];
}

/// A number that many tasks change.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Adds `by`.
    pub fn add(&self, by: usize) {
        self.0.fetch_add(by as u64, Relaxed);
    }

    /// Takes `by` from a gauge.
    pub fn sub(&self, by: usize) {
        self.0.fetch_sub(by as u64, Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, to: usize) {
        self.0.store(to as u64, Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Labelled for Number {}

impl Sampled for Number {
    fn sample(&self, sampler: &mut Sampler<'_>) {
        sampler.write(&[], self.get());
    }
}

/// A point in time, or none.
#[derive(Debug, Default)]
pub struct Time(AtomicU64);

impl Time {
    /// Sets it, in milliseconds since the Unix epoch.
    pub fn set(&self, ms: Option<u64>) {
        self.0.store(ms.unwrap_or(0), Relaxed);
    }

    /// In milliseconds since the Unix epoch.
    pub fn get(&self) -> Option<u64> {
        Some(self.0.load(Relaxed)).filter(|ms| *ms > 0)
    }
}

impl Labelled for Time {}

impl Sampled for Time {
    fn sample(&self, sampler: &mut Sampler<'_>) {
        if let Some(ms) = self.get() {
            sampler.write(&[], Seconds(ms * 1000));
        }
    }
}

/// Time that was spent.
#[derive(Debug, Default)]
pub struct Spent(AtomicU64);

impl Spent {
    /// Sets it.
    pub fn set(&self, to: Duration) {
        let micros = u64::try_from(to.as_micros()).unwrap_or(u64::MAX);
        self.0.store(micros, Relaxed);
    }

    /// Adds to it.
    pub fn add(&self, more: Duration) {
        let micros = u64::try_from(more.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Relaxed);
    }
}

impl Labelled for Spent {}

impl Sampled for Spent {
    fn sample(&self, sampler: &mut Sampler<'_>) {
        sampler.write(&[], Seconds(self.0.load(Relaxed)));
    }
}

/// Microseconds, shown in seconds.
pub(super) struct Seconds(pub(super) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let digits = format!("{micros:06}");
        match digits.trim_end_matches('0') {
            "" => write!(f, "{whole}.0"),
            digits => write!(f, "{whole}.{digits}"),
        }
    }
}

/// What a label says: one of a few values that are known beforehand.
pub trait Label: Copy {
    /// The label.
    const NAME: &'static str;
    /// Its values.
    const VALUES: &'static [&'static str];

    /// Its place among them.
    fn place(self) -> usize;
}

/// A number for each value of a label.
#[derive(Debug)]
pub struct Each<L> {
    numbers: Box<[Number]>,
    of: PhantomData<fn(L)>,
}

impl<L: Label> Each<L> {
    /// Adds one.
    pub fn count(&self, label: L) {
        if let Some(number) = self.numbers.get(label.place()) {
            number.add(1);
        }
    }

    /// The number of one value.
    pub fn get(&self, label: L) -> u64 {
        self.numbers.get(label.place()).map_or(0, Number::get)
    }
}

impl<L: Label> Default for Each<L> {
    fn default() -> Self {
        Self {
            numbers: L::VALUES.iter().map(|_| Number::default()).collect(),
            of: PhantomData,
        }
    }
}

impl<L: Label> Labelled for Each<L> {
    const LABELS: &'static [&'static str] = &[L::NAME];
}

impl<L: Label> Sampled for Each<L> {
    fn sample(&self, sampler: &mut Sampler<'_>) {
        for (value, number) in L::VALUES.iter().zip(&self.numbers) {
            sampler.write(&[(L::NAME, value)], number.get());
        }
    }
}

/// A number for each endpoint of a sink that has several; others have none.
#[derive(Debug, Default)]
pub struct ByEndpoint(OnceLock<Named>);

type Named = Box<[(Arc<str>, Number)]>;

impl ByEndpoint {
    /// Says how they are called, once.
    pub(super) fn name(&self, names: &[Arc<str>]) {
        let named = names
            .iter()
            .map(|name| (Arc::clone(name), Number::default()));
        // Who names them again has the same names.
        self.0.get_or_init(|| named.collect());
    }

    /// The number of the endpoint at this place.
    pub(super) fn at(&self, place: usize) -> Option<&Number> {
        let (_, number) = self.0.get()?.get(place)?;
        Some(number)
    }

    /// The number of each, by name.
    pub fn all(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        let numbers = self.0.get().into_iter().flatten();
        numbers.map(|(name, number)| (name, number.get()))
    }
}

impl Labelled for ByEndpoint {
    const LABELS: &'static [&'static str] = &["endpoint"];
}

impl Sampled for ByEndpoint {
    fn sample(&self, sampler: &mut Sampler<'_>) {
        for (name, number) in self.all() {
            sampler.write(&[("endpoint", name)], number);
        }
    }
}

/// The upper bounds of buckets.
pub trait Bounds {
    /// In microseconds, each larger than the one before.
    const MICROS: &'static [u64];
}

/// Counts durations by size.
#[derive(Debug)]
pub struct Buckets<B> {
    /// One for each bound, and one for what is beyond them.
    counts: Box<[AtomicU64]>,
    micros: AtomicU64,
    of: PhantomData<fn(B)>,
}

impl<B: Bounds> Buckets<B> {
    /// Counts one.
    pub fn record(&self, duration: Duration) {
        self.record_all([duration]);
    }

    /// Counts many, with a write or two for those that follow each other in one bucket.
    pub fn record_all(&self, durations: impl IntoIterator<Item = Duration>) {
        let (mut place, mut count, mut sum) = (0, 0, 0_u64);
        for duration in durations {
            let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            let bucket = B::MICROS.partition_point(|bound| *bound < micros);
            if bucket != place {
                self.add(place, count);
                (place, count) = (bucket, 0);
            }
            count += 1;
            sum = sum.saturating_add(micros);
        }
        self.add(place, count);
        self.micros.fetch_add(sum, Relaxed);
    }

    fn add(&self, place: usize, count: u64) {
        if count > 0
            && let Some(bucket) = self.counts.get(place)
        {
            bucket.fetch_add(count, Relaxed);
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

impl<B: Bounds> Default for Buckets<B> {
    fn default() -> Self {
        Self {
            counts: (0..=B::MICROS.len()).map(|_| AtomicU64::new(0)).collect(),
            micros: AtomicU64::new(0),
            of: PhantomData,
        }
    }
}

impl<B: Bounds> Labelled for Buckets<B> {}

impl<B: Bounds> Sampled for Buckets<B> {
    fn sample(&self, sampler: &mut Sampler<'_>) {
        let bounds = B::MICROS.iter().map(|bound| Seconds(*bound).to_string());
        let mut all = 0;
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&self.counts) {
            all += count.load(Relaxed);
            sampler.part("_bucket", &[("le", &bound)], all);
        }
        sampler.part("_sum", &[], Seconds(self.micros.load(Relaxed)));
        // Not read again: the count is that of the last bucket, whatever was added meanwhile.
        sampler.part("_count", &[], all);
    }
}

/// How far each shard is behind.
#[derive(Debug, Default)]
pub struct Lags(Mutex<BTreeMap<Box<str>, u64>>);

impl Lags {
    pub(super) fn set(&self, shard: &str, behind_ms: u64) {
        let mut lags = self.lock();
        match lags.get_mut(shard) {
            Some(lag) => *lag = behind_ms,
            None => {
                lags.insert(shard.into(), behind_ms);
            }
        }
    }

    pub(super) fn forget(&self, shard: &str) {
        self.lock().remove(shard);
    }

    pub(super) fn all(&self) -> Vec<(Box<str>, u64)> {
        let lags = self.lock();
        lags.iter()
            .map(|(shard, lag)| (shard.clone(), *lag))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Labelled for Lags {
    const LABELS: &'static [&'static str] = &["shard"];
}

impl Sampled for Lags {
    fn sample(&self, sampler: &mut Sampler<'_>) {
        for (shard, lag) in self.all() {
            sampler.write(&[("shard", &shard)], Seconds(lag.saturating_mul(1000)));
        }
    }
}

/// The version of the host.
#[derive(Debug, Default)]
pub struct BuildInfo;

impl Labelled for BuildInfo {
    const LABELS: &'static [&'static str] = &["version"];
}

impl Sampled for BuildInfo {
    fn sample(&self, sampler: &mut Sampler<'_>) {
        sampler.write(&[("version", env!("CARGO_PKG_VERSION"))], 1_u64);
    }
}
