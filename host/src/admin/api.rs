//! The bodies of `/v1`. Fields may be added; one that is taken away or changes its meaning makes a `/v2`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    IngressView, SinkView,
    status::{IngressStatus, SinkMode, SinkStatus},
};
use crate::{
    metrics::PluginFailure,
    plugin::{PluginStatus, TrialStatus, Version},
};

/// `/live`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Live {
    /// True: a process that does not run says nothing.
    pub live: bool,
}

/// `/ready`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// Whether all is open, no sink has halted, and the host is not stopping.
    pub ready: bool,
    /// Why it is not ready; empty if it is.
    pub reasons: Vec<String>,
}

/// `/v1/sinks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sinks {
    /// In the order of the module.
    pub sinks: Vec<SinkStatus>,
}

/// What a change has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// What the sink did before.
    pub was: SinkMode,
    /// The sink as it is now.
    pub sink: SinkStatus,
}

/// What a host that was told to drain does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Draining {
    /// True: it ends when all that was read has its end, or its grace period is over.
    pub draining: bool,
}

/// `/v1/plugins`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plugins {
    /// In the order of the module's sinks.
    pub plugins: Vec<PluginInfo>,
}

/// The plugin of a sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PluginInfo {
    /// The sink's id.
    pub sink: String,
    /// The versions that it has and had; absent where there is none to be told.
    #[serde(flatten)]
    pub versions: Option<Versions>,
    /// Calls of `shape`, those that failed too.
    pub shape_calls: u64,
    /// Calls of `handle`, those that failed too.
    pub handle_calls: u64,
    /// Calls that ended without an answer, by cause.
    pub failures: PluginFailures,
    /// Instances that are there, in use or idle.
    pub instances: u64,
}

/// What version of a plugin serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Versions {
    /// The one that serves.
    pub serving: Version,
    /// The one that `rollback` goes back to.
    pub previous: Option<Version>,
    /// One that is tried.
    pub trial: Option<TrialStatus>,
    /// What the last trial came to.
    pub last_trial: Option<String>,
}

/// Calls that ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PluginFailures {
    /// Unreachable code, out of bounds, stack overflow.
    pub trapped: u64,
    /// `limits.time`.
    pub timed_out: u64,
    /// Memory, tables, or what it passed to the host.
    pub limit: u64,
    /// No instance could be made.
    pub instance: u64,
}

/// `/v1/ingresses`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ingresses {
    /// In the order of the module.
    pub ingresses: Vec<IngressInfo>,
}

/// An ingress and its partitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IngressInfo {
    /// What it counts.
    pub status: IngressStatus,
    /// Its partitions: a file and a made-up source have one, a stream one for each shard.
    pub partitions: Vec<PartitionInfo>,
}

/// How far a partition is settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionInfo {
    /// Its name in the progress store.
    pub name: String,
    /// Everything up to here is settled, as `nozzle progress` writes positions; null if nothing is.
    pub settled: Option<Value>,
    /// The same, as it was stored last by this host; null if nothing was.
    pub stored: Option<Value>,
    /// Events that some sink has not settled.
    pub unsettled: u64,
}

impl PluginInfo {
    pub(super) fn of(view: &SinkView) -> Self {
        let stats = &view.plugin;
        let versions = view.swaps.as_ref().map(|swaps| {
            let PluginStatus {
                serving,
                previous,
                trial,
                last_trial,
                ..
            } = swaps.status();
            Versions {
                serving,
                previous,
                trial,
                last_trial,
            }
        });
        let failed = |cause| stats.failures.get(cause);
        Self {
            sink: view.id.to_string(),
            versions,
            shape_calls: stats.shape_time.count(),
            handle_calls: stats.handle_time.count(),
            failures: PluginFailures {
                trapped: failed(PluginFailure::Trapped),
                timed_out: failed(PluginFailure::TimedOut),
                limit: failed(PluginFailure::Limit),
                instance: failed(PluginFailure::Instance),
            },
            instances: stats.instances.get(),
        }
    }
}

impl IngressInfo {
    pub(super) fn of(view: &IngressView, now: u64) -> Self {
        let partitions = view.ledger.partitions().into_iter();
        Self {
            status: IngressStatus::of(view, now),
            partitions: partitions
                .map(|partition| PartitionInfo {
                    name: partition.name,
                    settled: partition
                        .settled
                        .map(|position| serde_json::json!(position)),
                    stored: partition.stored.map(|position| serde_json::json!(position)),
                    unsettled: partition.unsettled as u64,
                })
                .collect(),
        }
    }
}
