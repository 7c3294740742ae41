//! From calls to verdicts: attempts, and what each outcome means for the events of its call.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::HeaderValue;
use tokio::{task::JoinError, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Delayed, Engine, passages::Passage, shaping::halves};
use crate::{
    delivery::{
        Sink,
        breaker::Blame,
        gate::{Admission, Attempt},
        item::{Call, Ended, First, Item, LastAttempt},
        letters::{self, EXCERPT},
        outage::Against,
        retry,
        tap::Judged,
        verdict::{Rejected, Seen, Verdict, judge},
    },
    event::Record,
    fail_point::FailPoint,
    http::Transport,
    metrics::{SinkStats, StatusClass},
    outcome::{Failure, Outcome, retry_after},
    plugin::{CurrentCall, EventVerdict, Handled, Plugin, Tally},
};

/// What came of one attempt.
pub(super) struct Attempted {
    call: Call,
    began: Instant,
    /// From sending to the last byte of the answer.
    latency: Duration,
    last: LastAttempt,
    /// What `Retry-After` asks of the endpoint.
    retry_after: Option<Duration>,
    verdict: Verdict,
    results: Vec<Record>,
}

impl<P: Plugin, T: Transport> Engine<P, T> {
    pub(super) fn dispatch(&mut self, now: Instant) {
        for passage in &mut self.passages {
            (passage.refused, passage.waits, passage.shut) = (None, false, false);
        }
        // A plugin whose `handle` fails on everything gets one outcome at a time.
        let failing = self.breakers.handle.next_try();
        let holds = failing.is_some_and(|next| next > now || !self.attempts.is_empty());
        if holds || self.control.is_paused() {
            for passage in &mut self.passages {
                passage.gate.waits(false);
            }
            return;
        }
        while self.attempts.len() < self.sink.settings.in_flight.max_calls {
            let Some(way) = self.ready.first_way(|way| !self.passages[way].shut) else {
                break;
            };
            match self.take(way, now, failing.is_some()) {
                Some(call) if failing.is_some() => {
                    self.attempt(call, now);
                    let cap = self.sink.settings.retry.max_delay;
                    self.breakers.handle.trying(now, cap);
                    break;
                }
                Some(call) => self.attempt(call, now),
                // Nothing can go there now; the calls to other endpoints do not wait for it.
                None => self.passages[way].shut = true,
            }
        }
        for passage in &mut self.passages {
            passage.gate.waits(passage.waits);
        }
    }

    /// The next call to an endpoint, if one may go; `alone` has it as small as one can be.
    fn take(&mut self, way: usize, now: Instant, as_probe: bool) -> Option<Call> {
        // Asked for first: then no call has to be looked for.
        if let Some(until) = self.passages[way].gate.pause(now) {
            self.passages[way].refused = Some(Admission::At(until));
            return None;
        }
        let settings = &self.sink.settings;
        let (max_calls, retry) = (settings.in_flight.max_calls, &settings.retry);
        // What the held results wait for may not be in a call yet: then those that are here go first.
        let alone = self.nothing_is_under_way();
        let Passage {
            gate,
            refused,
            waits,
            down,
            ..
        } = &mut self.passages[way];
        let mut admits = |call: &Call| match gate.admit(now, call.load(), retry) {
            Admission::Go => true,
            wait => {
                *refused = Some(wait);
                *waits = true;
                false
            }
        };
        if *down || as_probe {
            return self.ready.pop_probe(way, admits);
        }
        let (reorder, attempts) = (self.reorder.as_ref(), self.attempts.len());
        let alone =
            alone && reorder.is_none_or(|reorder| !self.ready.has_first(reorder.first_open()));
        self.ready.pop(way, |call| {
            reorder.is_none_or(|reorder| {
                attempts + reorder.held() < max_calls || reorder.is_first(call.first_seq()) || alone
            }) && admits(call)
        })
    }

    /// Whether nothing but the calls that are ready can bring the next end.
    fn nothing_is_under_way(&self) -> bool {
        self.attempts.is_empty()
            && self.shaping.is_empty()
            && self.reshape.is_empty()
            && self.delayed.is_empty()
    }

    fn attempt(&mut self, mut call: Call, now: Instant) {
        let (passages, paused) = (&self.passages, self.control.paused(now));
        let spent = |way: usize| passages[way].gate.outage_spent(now) + paused;
        if call.attempts() > 0 {
            self.sink.stats.retried.add(call.items.len());
        }
        for item in &mut call.items {
            item.attempts = item.attempts.saturating_add(1);
            let first = item.first.get_or_insert_with(|| First {
                at: now,
                wall: SystemTime::now(),
                way: call.way,
                outage: spent(call.way),
                excused: Duration::ZERO,
            });
            first.goes_to(call.way, spent);
        }
        call.before.get_or_insert(now);
        let (sink, given_up) = (Arc::clone(&self.sink), self.control.given_up());
        self.attempts.spawn(attempt(sink, call, now, given_up));
    }

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
        self.delay(
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

/// One attempt: the transport under its timeout, then the plugin, then the judgement.
async fn attempt<P: Plugin, T: Transport>(
    sink: Arc<Sink<P, T>>,
    mut call: Call,
    began: Instant,
    given_up: CancellationToken,
) -> Attempted {
    let body = call.request.body.as_ref().map_or(0, Bytes::len);
    sink.stats.request_bytes.add(body);
    let mut request = call.request.clone();
    if let Some(name) = &sink.endpoints.get(call.way).attempt_header {
        let number = HeaderValue::from(call.attempts());
        request.headers.insert(name, number);
    }
    let span = call.trace.attempt(&mut request);
    FailPoint::BeforeSend.pass();
    let sending = sink.ways[call.way].transport.send(request);
    let sending = tokio::time::timeout(sink.settings.timeout.attempt, sending);
    // A response that comes after the timeout has nobody to take it: it is ignored.
    let outcome = tokio::select! {
        biased;
        sent = sending => sent.unwrap_or(Err(Failure::Timeout)),
        () = given_up.cancelled() => Err(Failure::Timeout),
    };
    FailPoint::AfterSend.pass();
    let latency = began.elapsed();
    sink.stats.latency(latency);
    span.ended(&outcome);
    let seen = Seen::of(&outcome);
    let transport = &sink.ways[call.way].transport;
    let retry_after = outcome.as_ref().ok().and_then(|response| {
        let asked = retry_after::from_headers(&response.headers, SystemTime::now())?;
        transport.pause(response.status, asked)
    });
    let handles = call.shaped_by.handles();
    let excerpt = excerpt(&outcome, handles);
    let _held = ResponseMemory::hold(&sink.stats, &outcome);
    let taped = call.tape.is_some().then(|| outcome.clone());
    let (handled, results) = if handles {
        let current = CurrentCall {
            attempt: call.attempts(),
            request: Arc::clone(&call.shaped),
            events: call
                .items
                .iter()
                .map(|item| Arc::clone(&item.arrival.event))
                .collect(),
        };
        match call.shaped_by.handle(current, outcome).await {
            Ok(handled) => (Some(Ok(handled.verdict)), handled.results),
            Err(error) => (Some(Err(error)), Vec::new()),
        }
    } else {
        (None, Vec::new())
    };
    let taped = taped.map(|outcome| {
        let said = handled.as_ref().and_then(|said| said.as_ref().ok());
        Judged {
            attempt: call.attempts(),
            outcome,
            handled: said.map(|verdict| Handled {
                verdict: verdict.clone(),
                results: results.clone(),
            }),
        }
    });
    let verdict = judge(&seen, handled, call.items.len(), &sink.settings.status);
    if let (Some(tape), Some(judged)) = (&call.tape, taped) {
        let is_used = !matches!(verdict, Verdict::PluginFailed(_));
        tape.judged(is_used.then_some(judged));
    }
    // Nothing that a plugin said is used where its verdict is not.
    let used = sink.results.is_some() && !matches!(verdict, Verdict::PluginFailed(_));
    let results = if used { results } else { Vec::new() };
    Attempted {
        call,
        began,
        latency,
        last: LastAttempt { seen, excerpt },
        retry_after,
        verdict,
        results,
    }
}

/// The memory of a response while it is judged; given back when dropped, however the call ends.
struct ResponseMemory<'a> {
    stats: &'a SinkStats,
    bytes: usize,
}

impl<'a> ResponseMemory<'a> {
    fn hold(stats: &'a SinkStats, outcome: &Outcome) -> Self {
        let bytes = outcome.as_ref().map_or(0, |response| response.body.len());
        stats.response_bytes.add(bytes);
        Self { stats, bytes }
    }
}

impl Drop for ResponseMemory<'_> {
    fn drop(&mut self) {
        self.stats.response_bytes.sub(self.bytes);
    }
}

/// The start of the body for a dead letter, copied so that the whole is let go of. A plain success
/// that no plugin reads can have none.
fn excerpt(outcome: &Outcome, handled: bool) -> Bytes {
    match outcome {
        Ok(response) if handled || !(200..300).contains(&response.status) => {
            Bytes::copy_from_slice(response.body.get(..EXCERPT).unwrap_or(&response.body))
        }
        _ => Bytes::new(),
    }
}
