//! What the outcome of an attempt means for the events of its call.

use std::time::Duration;

use tokio::{task::JoinError, time::Instant};
use tracing::{debug, warn};

use super::{Engine, attempt::Attempted, delays::Delayed, shaping::halves};
use crate::{
    delivery::{
        breaker::Blame,
        gate::Attempt,
        item::{Call, Ended, Item, LastAttempt},
        letters,
        outage::Against,
        retry,
        verdict::{Rejected, Seen, Verdict},
    },
    http::Transport,
    metrics::StatusClass,
    plugin::{EventVerdict, Plugin, Tally},
};

impl<P: Plugin, T: Transport> Engine<P, T> {
    pub(super) fn attempted(&mut self, done: Result<Attempted, JoinError>) {
        let Attempted {
            mut call,
            began,
            latency,
            last,
            retry_after,
            verdict,
            results,
        } = match done {
            Ok(done) => done,
            Err(error) => return self.task_failed(&error),
        };
        let now = Instant::now();
        let cap = self.sink.settings.retry.max_delay;
        let wait = retry_after.map(|wait| wait.min(cap));
        let attempt = Attempt {
            load: call.load(),
            began,
            before: call.before.replace(now).unwrap_or(now),
            latency,
            failed: last.seen.is_endpoint_failure(),
            throttled: last.seen.status() == Some(429),
            retried: verdict.retries(),
            pause: wait.filter(|_| matches!(last.seen.status(), Some(429 | 503))),
        };
        let against = self.passages[call.way].gate.ended(now, &attempt);
        self.look_at_gate(call.way, Some(&last.seen));
        self.count(call.way, &last.seen);
        count_verdict(call.shaped_by.tally(), &verdict);
        call.trace.judged(verdict.name());

        let first_seq = call.first_seq();
        if call.shaped_by.handles() && !matches!(verdict, Verdict::PluginFailed(_)) {
            self.handle_works();
        }
        let mut ended = Ended {
            results,
            ..Ended::default()
        };
        match verdict {
            Verdict::Delivered => ended.delivered = self.close(call),
            Verdict::Reject(by) => {
                let cause = match by {
                    Rejected::ByStatus => letters::status(&last.seen),
                    Rejected::ByPlugin(reason) => letters::rejected_by_verdict(reason),
                };
                ended.dead = self.close(call);
                self.write_letters(&mut ended, &cause, Some(&last));
            }
            Verdict::Retry(wish) => {
                self.try_again(call, against, wish.max(wait), &last, &mut ended)
            }
            Verdict::Split if call.items.len() > 1 => {
                let items = self.close(call);
                self.reshape_halves(items);
            }
            Verdict::Split => {
                ended.dead = self.close(call);
                self.write_letters(&mut ended, &letters::status(&last.seen), Some(&last));
            }
            Verdict::Each(each) => self.take_each(call, each, against, wait, &last, &mut ended),
            Verdict::PluginFailed(reason) => self.handler_failed(call, reason, &last, &mut ended),
            Verdict::Halt => {
                self.halted = Some(format!("{}, and the policy says `halt`", last.seen));
                return;
            }
        }
        self.end_at(first_seq, ended);
    }

    fn count(&self, way: usize, seen: &Seen) {
        let stats = &self.sink.stats;
        stats.calls.add(1);
        stats.endpoint_called(way, seen.is_endpoint_failure());
        if let Seen::Status(status) = seen {
            stats.responses.count(StatusClass(*status));
        }
        match seen {
            Seen::Status(429) => stats.throttled.add(1),
            Seen::Failed(_) => stats.unanswered.add(1),
            Seen::Status(_) => {}
        }
    }

    /// The call is over: its request is let go of.
    fn close(&mut self, call: Call) -> Vec<Item> {
        self.bytes -= call.memory;
        call.items
    }

    /// The same request again, unless some of its events are given up on: then the others are
    /// shaped again, so that the body fits.
    fn try_again(
        &mut self,
        mut call: Call,
        against: Against,
        wait: Option<Duration>,
        last: &LastAttempt,
        ended: &mut Ended,
    ) {
        self.count_against(&mut call.items, against);
        if self.give_up_any(&call.items) {
            let items = self.close(call);
            let rest = self.give_up(items, last, ended);
            if !rest.is_empty() {
                self.shape_later(rest, wait);
            }
            return;
        }
        let retry = &self.sink.settings.retry;
        let pause =
            retry::pause(retry, call.attempts(), fastrand::f64()).max(wait.unwrap_or_default());
        debug!(sink = %self.sink.id, last = %last.seen, ?pause, attempts = call.attempts(), "a call is tried again");
        self.delayed.push(
            Instant::now() + pause.min(retry.max_delay),
            Delayed::Call(Box::new(call)),
        );
    }

    fn take_each(
        &mut self,
        call: Call,
        each: Vec<EventVerdict>,
        against: Against,
        wait: Option<Duration>,
        last: &LastAttempt,
        ended: &mut Ended,
    ) {
        let mut again = Vec::new();
        for (item, verdict) in self.close(call).into_iter().zip(each) {
            match verdict {
                EventVerdict::Delivered => ended.delivered.push(item),
                EventVerdict::Retry => again.push(item),
                EventVerdict::Reject(reason) => {
                    ended.dead.push(item);
                    self.write_letters(ended, &letters::rejected_by_verdict(reason), Some(last));
                }
            }
        }
        self.count_against(&mut again, against);
        let rest = self.give_up(again, last, ended);
        if !rest.is_empty() {
            self.shape_later(rest, wait);
        }
    }

    /// What the endpoint said is not known: the events are sent again, in halves first, so that the
    /// one that the plugin fails on stands alone.
    fn handler_failed(
        &mut self,
        call: Call,
        reason: String,
        last: &LastAttempt,
        ended: &mut Ended,
    ) {
        self.sink.stats.plugin_failures.add(1);
        warn!(sink = %self.sink.id, %reason, last = %last.seen, "the plugin failed on an outcome");
        let cause = letters::handler_failed(&reason);
        let mut items = self.close(call);
        let blame = self.blame_for_handle(&mut items, &reason);
        if items.len() > 1 {
            return halves(items)
                .into_iter()
                .for_each(|half| self.shape_later(half, None));
        }
        let against = match blame {
            Blame::Event => Against::Attempts,
            Blame::Plugin => Against::Nothing,
        };
        self.count_against(&mut items, against);
        if against == Against::Nothing || !self.give_up_any(&items) {
            return self.shape_later(items, None);
        }
        self.let_go(
            items,
            self.sink.settings.on_plugin_error,
            cause,
            last,
            ended,
        );
    }
}

/// Counts how an attempt at a generation's call ended.
fn count_verdict(tally: &Tally, verdict: &Verdict) {
    tally.count(|counts| {
        counts.attempts += 1;
        counts.attempts_retried += u64::from(verdict.retries());
        counts.attempts_rejected += u64::from(verdict.rejects());
        counts.attempts_failed += u64::from(matches!(verdict, Verdict::PluginFailed(_)));
    });
}
