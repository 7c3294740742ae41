//! How many lead to a sink: pure.

use crate::config::{Destination, Module, OnUnrouted};

/// The ingresses, and the sinks with their dead letters, that lead to the sink at this place; at least 1. Its queue has a place for
/// each: one that waits for its source holds its own meanwhile, and keeps nobody else from theirs.
pub(super) fn feeders(module: &Module, place: usize) -> usize {
    let named = Destination::Sink(place);
    let ingresses = module.ingresses.iter().filter(|ingress| {
        ingress.to.contains(&place) || ingress.on_unrouted == OnUnrouted::To(named)
    });
    let sinks = module.sinks.iter();
    let sinks = sinks.filter(|sink| sink.dead_letters == Some(named));
    (ingresses.count() + sinks.count()).max(1)
}
