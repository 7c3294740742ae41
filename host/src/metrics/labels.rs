//! What the labels of metrics say, and where the buckets of histograms end.

use super::values::{Bounds, Label};

/// The first digit of a response's status.
#[derive(Debug, Clone, Copy)]
pub struct StatusClass(pub u16);

impl Label for StatusClass {
    const NAME: &'static str = "class";
    const VALUES: &'static [&'static str] = &["other", "2xx", "3xx", "4xx", "5xx"];

    fn place(self) -> usize {
        match self.0 / 100 {
            class @ 2..=5 => usize::from(class - 1),
            _ => 0,
        }
    }
}

/// Why a plugin gave no answer.
#[derive(Debug, Clone, Copy)]
pub enum PluginFailure {
    /// Unreachable code, out of bounds, stack overflow.
    Trapped,
    /// `limits.time`.
    TimedOut,
    /// Memory, tables, or what it passed to the host.
    Limit,
    /// No instance could be made.
    Instance,
}

impl Label for PluginFailure {
    const NAME: &'static str = "cause";
    const VALUES: &'static [&'static str] = &["trapped", "timed-out", "limit", "instance"];

    fn place(self) -> usize {
        self as usize
    }
}

/// What became of a new version of a plugin.
#[derive(Debug, Clone, Copy)]
pub enum SwapResult {
    /// It serves.
    Accepted,
    /// The one before serves on.
    Refused,
    /// It was tried on a share of the batches, and did worse.
    RolledBack,
}

impl Label for SwapResult {
    const NAME: &'static str = "result";
    const VALUES: &'static [&'static str] = &["accepted", "refused", "rolled-back"];

    fn place(self) -> usize {
        self as usize
    }
}

/// What became of a request that a plugin made.
#[derive(Debug, Clone, Copy)]
pub enum FetchResult {
    /// A response came, whatever its status.
    Answered,
    /// It was not made: its URL is not granted, or the plugin has made or holds too many.
    Denied,
    /// `grants.http-limits.time`.
    TimedOut,
    /// `grants.http-limits.request` or `response`.
    TooLarge,
    /// There was no connection, or it broke off.
    Failed,
    /// The plugin did not wait for it, or was ended meanwhile.
    CutOff,
}

impl Label for FetchResult {
    const NAME: &'static str = "result";
    const VALUES: &'static [&'static str] = &[
        "answered",
        "denied",
        "timed-out",
        "too-large",
        "failed",
        "cut-off",
    ];

    fn place(self) -> usize {
        self as usize
    }
}

/// What became of a module file that was read again.
#[derive(Debug, Clone, Copy)]
pub enum ReloadResult {
    /// What it changes was changed.
    Accepted,
    /// It changes nothing.
    Unchanged,
    /// Nothing was changed.
    Refused,
    /// Not all was changed, and the host ends.
    Failed,
}

impl Label for ReloadResult {
    const NAME: &'static str = "result";
    const VALUES: &'static [&'static str] = &["accepted", "unchanged", "refused", "failed"];

    fn place(self) -> usize {
        self as usize
    }
}

/// From a fast answer nearby to the longest timeouts.
#[derive(Debug)]
pub struct AttemptTime;

impl Bounds for AttemptTime {
    const MICROS: &'static [u64] = &[
        1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
        2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
    ];
}

/// From a batch that fills at once to an outage of half a day.
#[derive(Debug)]
pub struct Age;

impl Bounds for Age {
    const MICROS: &'static [u64] = &[
        10_000,
        50_000,
        100_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        30_000_000,
        60_000_000,
        300_000_000,
        1_800_000_000,
        7_200_000_000,
        43_200_000_000,
    ];
}

/// From a call that does next to nothing to the usual time limit.
#[derive(Debug)]
pub struct PluginTime;

impl Bounds for PluginTime {
    const MICROS: &'static [u64] = &[
        10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000,
    ];
}
