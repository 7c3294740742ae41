//! Nozzle delivers streams of records to any HTTP endpoint; a WebAssembly component decides
//! what each call looks like and what each response means.
//!
//! ```text
//! ingress ─▶ router ─▶ buffer ─▶ batcher ─▶ plugin.shape ─▶ dispatcher ─▶ HTTP ─▶ plugin.handle ─▶ verdict
//!    ▲                 bounded    count,     checked by       in-flight,    hyper     or status       │
//!    │                            bytes,age  the host         order                   policy          ├─▶ results egress
//!    │                                                            ▲                                   ├─▶ dead-letter egress
//!    │                                                            └────────── retry, with back-off ◀──┤
//!    └─────────────── progress: the contiguous settled prefix of each partition is stored ◀───────────┘
//! ```

pub mod admin;
pub mod auth;
pub mod author;
pub mod aws;
pub mod batch;
mod causes;
pub mod cli;
pub mod config;
pub mod dead_letter;
pub mod delivery;
pub mod egress;
pub mod endpoint;
mod escapes;
pub mod event;
mod fail_point;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod ingress;
mod json;
pub mod metrics;
pub mod network;
pub mod oci;
pub mod outcome;
pub mod pipeline;
pub mod plugin;
pub mod progress;
pub mod router;
pub mod shutdown;
pub mod trace;
