//! Where dead letters and unrouted events go: to a sink or to an egress.

use super::Checker;
use crate::config::{Destination, OnUnrouted, SinkConfig, problem::Problem};

impl Checker<'_> {
    /// Where events go that no router takes.
    pub(super) fn unrouted(
        &mut self,
        ingress: &str,
        yaml: Option<&str>,
        takes_all: bool,
        (sinks, egresses): (&[String], &[String]),
    ) -> OnUnrouted {
        let path = ["ingresses", ingress, "unrouted"];
        if yaml.is_some() && takes_all {
            let message = "`unrouted` has no effect: a router without `when` takes every event";
            self.problems.push(Problem::new(self.mark(&path), message));
        }
        match yaml {
            None => OnUnrouted::File,
            Some("drop") => OnUnrouted::Drop,
            Some("halt") => OnUnrouted::Halt,
            Some(id) => {
                let to = self.destination(&path, id, (sinks, egresses), &["drop", "halt"], "");
                to.map_or(OnUnrouted::File, OnUnrouted::To)
            }
        }
    }

    /// The sink or egress that an id names. What else may stand there is suggested as well, and `own` is not.
    pub(super) fn destination(
        &mut self,
        path: &[&str],
        id: &str,
        (sinks, egresses): (&[String], &[String]),
        others: &[&str],
        own: &str,
    ) -> Option<Destination> {
        let place = |ids: &[String]| ids.iter().position(|other| other == id);
        let problem = match (place(egresses), place(sinks)) {
            (Some(egress), None) => return Some(Destination::Egress(egress)),
            (None, Some(sink)) => return Some(Destination::Sink(sink)),
            (None, None) => {
                let sinks = sinks.iter().filter(|sink| *sink != own);
                let ids = egresses.iter().chain(sinks).map(String::as_str);
                let all = ids.chain(others.iter().copied());
                Problem::new(
                    self.mark(path),
                    format!("there is no egress or sink `{id}`"),
                )
                .suggest(id, all)
            }
            (Some(_), Some(_)) => {
                Problem::new(self.mark(path), format!("`{id}` is an egress and a sink"))
                    .hint("give one of them another id")
            }
        };
        self.problems.push(problem);
        None
    }

    /// Sinks that hand their dead letters round in a circle would wait for each other.
    pub(super) fn circles(&mut self, sinks: &[SinkConfig]) {
        let next = |sink: usize| match sinks.get(sink)?.dead_letters {
            Some(Destination::Sink(next)) => Some(next),
            _ => None,
        };
        for first in 0..sinks.len() {
            let way: Vec<usize> = std::iter::successors(next(first), |sink| next(*sink))
                .take(sinks.len())
                .collect();
            let Some(end) = way.iter().position(|sink| *sink == first) else {
                continue;
            };
            let circle = way.get(..=end).unwrap_or_default();
            // Reported once, at its first sink.
            if circle.iter().any(|sink| *sink < first) {
                continue;
            }
            let ids = std::iter::once(&first).chain(circle);
            let ids: Vec<String> = ids
                .filter_map(|sink| Some(format!("`{}`", sinks.get(*sink)?.id)))
                .collect();
            let mark = self.mark(&["sinks", &first.to_string(), "dead-letters"]);
            let message = format!(
                "dead letters would go round in a circle: {}",
                ids.join(" → ")
            );
            let problem = Problem::new(mark, message);
            self.problems
                .push(problem.hint("let one of them name an egress"));
        }
    }
}
