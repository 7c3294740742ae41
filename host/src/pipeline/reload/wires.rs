//! What is wired to what, before a reload and after it: pure.

use crate::{
    config::{Changes, Destination, IngressChange, Module, SinkChange, SinkConfig},
    pipeline::egresses::Key,
};

/// Whether what is written there is the same before and after.
pub(super) fn stays(key: &Key, module: &Module, egresses: &[Option<usize>]) -> bool {
    match key {
        Key::Egress(id) => {
            let mut all = module.egresses.iter().zip(egresses);
            all.any(|(egress, before)| before.is_some() && egress.id.to_string() == *id)
        }
        Key::File(_) => true,
        Key::Relay(from, to) => module.sinks.iter().any(|sink| {
            let named = match sink.dead_letters {
                Some(Destination::Sink(place)) => module.sinks.get(place),
                _ => None,
            };
            sink.id.to_string() == *from && named.is_some_and(|named| named.id.to_string() == *to)
        }),
    }
}

/// Whether something is wired to a sink that was not before, or goes on with a sink that hands its letters to this one: such
/// sinks form no circle.
pub(super) fn is_fed_anew(sink: usize, module: &Module, changes: &Changes) -> bool {
    let mut ingresses = module.ingresses.iter().zip(&changes.ingresses);
    let sinks = module.sinks.iter().zip(&changes.sinks);
    ingresses.any(|(ingress, change)| {
        !matches!(change, IngressChange::Kept(_)) && ingress.leads_to(sink)
    }) || sinks.enumerate().any(|(place, (other, change))| {
        let is_kept = matches!(change, SinkChange::Kept(_));
        other.leads_to(sink) && (!is_kept || is_fed_anew(place, module, changes))
    })
}

/// Whether all that a sink writes to is written to by others, too.
pub(super) fn keeps_egresses(sink: &SinkConfig, egresses: &[Option<usize>]) -> bool {
    let mut named = sink.results.into_iter().chain(letters_egress(sink));
    named.all(|place| egresses.contains(&Some(place)))
}

/// How many sinks a letter of this one may pass.
pub(super) fn letters_depth(module: &Module, mut place: usize) -> usize {
    let mut depth = 0;
    while let Some(Destination::Sink(next)) = module.sinks[place].dead_letters
        && depth < module.sinks.len()
    {
        depth += 1;
        place = next;
    }
    depth
}

/// The egress, by its new place, to which a sink that is gone writes its letters on; none: they go to its file.
pub(super) fn letters_kept(sink: &SinkConfig, egresses: &[Option<usize>]) -> Option<usize> {
    let old = letters_egress(sink)?;
    egresses.iter().position(|before| *before == Some(old))
}

fn letters_egress(sink: &SinkConfig) -> Option<usize> {
    match sink.dead_letters {
        Some(Destination::Egress(place)) => Some(place),
        Some(Destination::Sink(_)) | None => None,
    }
}
