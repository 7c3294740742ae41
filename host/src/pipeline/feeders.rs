//! How many lead to a sink: pure.

use crate::config::Module;

/// The ingresses, and the sinks with their dead letters, that lead to the sink at this place; at least 1. Its queue has a place for
/// each: one that waits for its source holds its own meanwhile, and keeps nobody else from theirs.
pub(super) fn feeders(module: &Module, place: usize) -> usize {
    let ingresses = module.ingresses.iter();
    let ingresses = ingresses.filter(|ingress| ingress.leads_to(place)).count();
    let sinks = module.sinks.iter().filter(|sink| sink.leads_to(place));
    (ingresses + sinks.count()).max(1)
}
