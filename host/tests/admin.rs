//! What a running host shows of itself: metrics that a foreign parser reads, health, logs, `nozzle top`.

#[path = "admin/access.rs"]
mod access;
#[path = "admin/health.rs"]
mod health;
#[path = "admin/host.rs"]
mod host;
#[path = "admin/listener.rs"]
mod listener;
#[path = "admin/logs.rs"]
mod logs;
#[path = "admin/metrics.rs"]
mod metrics;
#[path = "admin/openapi.rs"]
mod openapi;
#[path = "admin/steer.rs"]
mod steer;
#[path = "admin/top.rs"]
mod top;
#[path = "admin/traces.rs"]
mod traces;
