//! The modules of the host that decide, and what these need, out of `host/src`: nothing of wasmtime, of hyper's client or
//! of AWS. They compile in seconds, with their unit tests, so that cargo-mutants can try each of their mutants
//! (`make mutation`). Nothing else may be here: what is tested is the host's own source.
#![cfg(feature = "run")]
#![allow(
    dead_code,
    missing_docs,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    rustdoc::broken_intra_doc_links,
    rustdoc::private_intra_doc_links,
    reason = "who uses them, and what their documentation names, is elsewhere in the host"
)]

#[path = "../../src"]
mod host {
    pub mod batch;
    pub mod event;
    pub mod outcome;
    pub mod router;

    pub mod delivery {
        pub mod breaker;
        pub mod contract;
        pub mod gate;
        pub mod names;
        pub mod outage;
        pub mod retry;
        pub mod settings;
        pub mod verdict;
    }

    pub mod http {
        pub mod failover;
        pub mod framing;
    }

    pub mod network {
        pub mod addresses;
        pub mod headers;
        pub mod hosts;
        pub mod target;
    }

    pub mod plugin {
        mod answer;
        pub use answer::*;
    }

    pub mod progress {
        pub mod ledger;
        mod tracker;
        pub use tracker::Tracker;
    }
}

// By the paths that they have in the host. Not `http`: there, the crate of that name is meant.
pub use host::{batch, delivery, event, network, outcome, plugin, progress, router};
