//! What a recording holds: pure bookkeeping, in batches and in bytes.

use std::{collections::BTreeMap, sync::Arc};

use super::RecordingEnd;
use crate::{
    outcome::{Failure, Outcome},
    plugin::{
        EventVerdict, Events, Handled, Identity, PluginError, PluginVerdict, Shaped, ShapedBody,
    },
};

/// A batch as it passed.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The generation that shaped it.
    pub generation: u64,
    /// What that one is.
    pub identity: Arc<Identity>,
    /// The batch.
    pub events: Events,
    /// What the plugin made of it.
    pub made: Made,
    /// By the place of the request: what came of each attempt, in order.
    pub attempts: Vec<Vec<Judged>>,
    /// Whether all of its calls have their end.
    pub is_over: bool,
    /// Attempts that are left out, as the plugin failed on what came of them.
    pub unjudged: u64,
    /// Attempts that are left out, as there was no room for them.
    pub too_large: u64,
}

/// What a plugin made of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// Nothing yet.
    Nothing,
    /// An answer that keeps the contract.
    Shaped(Shaped),
    /// It refused the batch, in these words.
    Refused(String),
}

/// What came of one attempt.
#[derive(Debug, Clone)]
pub struct Judged {
    /// 1 for the first attempt.
    pub attempt: u32,
    /// What came.
    pub outcome: Outcome,
    /// What the plugin said to it; none where it judges nothing.
    pub handled: Option<Handled>,
}

/// Batches that are not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// There was no room for them.
    pub too_large: u64,
    /// The plugin failed on them, or broke the contract.
    pub not_shaped: u64,
}

/// What was recorded.
#[derive(Debug, Default)]
pub struct Reeled {
    /// In the order in which they were shaped; what the plugin has not answered yet is not there.
    pub batches: Vec<Taken>,
    /// What is not there.
    pub left_out: LeftOut,
}

/// A recording under way.
#[derive(Debug)]
pub(super) struct Reel {
    wanted: usize,
    /// Bytes that there is room for.
    room: usize,
    next: u64,
    /// Each with the bytes that it takes.
    batches: BTreeMap<u64, (Taken, usize)>,
    /// No further batch is taken: one has found no room beside those that there are.
    is_full: bool,
    left_out: LeftOut,
}

impl Reel {
    pub(super) fn new(wanted: usize, room: usize) -> Self {
        Self {
            wanted,
            room,
            next: 0,
            batches: BTreeMap::new(),
            is_full: false,
            left_out: LeftOut::default(),
        }
    }

    /// A batch is about to be shaped; gives its number, if it is recorded.
    pub(super) fn begin(
        &mut self,
        events: &Events,
        generation: u64,
        identity: impl FnOnce() -> Arc<Identity>,
    ) -> Option<u64> {
        if self.is_full || self.batches.len() >= self.wanted {
            return None;
        }
        let bytes = events.iter().map(|event| event.memory()).sum();
        if !self.spend(bytes) {
            self.no_room();
            return None;
        }
        let taken = Taken {
            generation,
            identity: identity(),
            events: Arc::clone(events),
            made: Made::Nothing,
            attempts: Vec::new(),
            is_over: false,
            unjudged: 0,
            too_large: 0,
        };
        let number = self.next;
        self.next += 1;
        self.batches.insert(number, (taken, bytes));
        Some(number)
    }

    /// What the plugin answered. A batch that it fails on says nothing to a case.
    pub(super) fn shaped(&mut self, number: u64, answer: Result<&Shaped, &PluginError>) {
        let made = match answer {
            Ok(shaped) => Made::Shaped(shaped.clone()),
            Err(PluginError::Refused(reason)) => Made::Refused(reason.clone()),
            Err(_) => return self.not_shaped(number),
        };
        let bytes = match &made {
            Made::Shaped(shaped) => bytes_of(shaped),
            _ => 0,
        };
        if !self.batches.contains_key(&number) {
            return;
        }
        if !self.spend(bytes) {
            self.leave_out(number);
            return self.no_room();
        }
        if let Some((taken, spent)) = self.batches.get_mut(&number) {
            *spent += bytes;
            if let Made::Shaped(shaped) = &made {
                taken.attempts = vec![Vec::new(); shaped.requests.len()];
            }
            taken.made = made;
        }
    }

    /// Nothing can be sent of the batch.
    pub(super) fn not_shaped(&mut self, number: u64) {
        if self.leave_out(number) {
            self.left_out.not_shaped += 1;
        }
    }

    /// What came of an attempt; none if the plugin failed on it.
    pub(super) fn judged(&mut self, number: u64, request: usize, judged: Option<Judged>) {
        let bytes = judged.as_ref().map_or(0, bytes_of_outcome);
        if !self.batches.contains_key(&number) {
            return;
        }
        let fits = self.spend(bytes);
        let Some((taken, spent)) = self.batches.get_mut(&number) else {
            return;
        };
        match (judged, taken.attempts.get_mut(request)) {
            (None, _) => taken.unjudged += 1,
            (Some(judged), Some(attempts)) if fits => {
                *spent += bytes;
                attempts.push(judged);
            }
            _ => taken.too_large += 1,
        }
    }

    /// The last call of the batch has its end.
    pub(super) fn over(&mut self, number: u64) {
        if let Some((taken, _)) = self.batches.get_mut(&number) {
            taken.is_over = true;
        }
    }

    /// Why there is nothing more to record, if so.
    pub(super) fn end(&self) -> Option<RecordingEnd> {
        let mut batches = self.batches.values();
        if !batches.all(|(taken, _)| taken.is_over) {
            return None;
        }
        match (self.batches.len() >= self.wanted, self.is_full) {
            (true, _) => Some(RecordingEnd::Complete),
            (false, true) => Some(RecordingEnd::Full),
            (false, false) => None,
        }
    }

    /// Gives what there is, and takes nothing more.
    pub(super) fn take(&mut self) -> Reeled {
        self.wanted = 0;
        let batches = std::mem::take(&mut self.batches).into_values();
        let batches = batches.map(|(taken, _)| taken);
        Reeled {
            batches: batches
                .filter(|taken| taken.made != Made::Nothing)
                .collect(),
            left_out: std::mem::take(&mut self.left_out),
        }
    }

    fn spend(&mut self, bytes: usize) -> bool {
        let rest = self.room.checked_sub(bytes);
        self.room = rest.unwrap_or(self.room);
        rest.is_some()
    }

    fn leave_out(&mut self, number: u64) -> bool {
        let left = self.batches.remove(&number);
        self.room += left.as_ref().map_or(0, |(_, bytes)| *bytes);
        left.is_some()
    }

    /// A batch has found no room: not beside others, or not at all.
    fn no_room(&mut self) {
        self.left_out.too_large += 1;
        self.is_full = !self.batches.is_empty();
    }
}

fn bytes_of(shaped: &Shaped) -> usize {
    const EACH: usize = 96;
    let headers = |headers: &[(String, String)]| -> usize {
        let each = headers.iter();
        each.map(|(name, value)| EACH + name.len() + value.len())
            .sum()
    };
    let requests = shaped.requests.iter().map(|request| {
        let body = match &request.body {
            ShapedBody::Empty => 0,
            ShapedBody::Bytes(bytes) => bytes.len(),
            ShapedBody::Joined {
                prefix,
                separator,
                suffix,
            } => {
                // As often as it is written, so that the case has room, too.
                let between = request.events.len().saturating_sub(1);
                let between = separator.len().saturating_mul(between);
                prefix.len().saturating_add(between) + suffix.len()
            }
        };
        let own = headers(&request.headers) + request.target.len() + request.events.len() * 4;
        EACH.saturating_add(own).saturating_add(body)
    });
    let reasons = shaped.reject.iter().map(|(_, reason)| EACH + reason.len());
    requests
        .chain(reasons)
        .fold(headers(&shaped.headers), usize::saturating_add)
}

fn bytes_of_outcome(judged: &Judged) -> usize {
    const EACH: usize = 256;
    let came = match &judged.outcome {
        Ok(response) => {
            let headers = response.headers.iter();
            let headers = headers.map(|(name, value)| 64 + name.as_str().len() + value.len());
            headers.sum::<usize>() + response.body.len()
        }
        Err(Failure::Timeout) => 0,
        Err(
            Failure::Connect(text)
            | Failure::Tls(text)
            | Failure::Auth(text)
            | Failure::Protocol(text),
        ) => text.len(),
    };
    let results = judged.handled.iter().flat_map(|handled| &handled.results);
    let results = results.map(|record| {
        let attributes = record.attributes.iter();
        let attributes = attributes.map(|(name, value)| 32 + name.len() + value.len());
        let key = record.key.as_ref().map_or(0, |key| key.len());
        EACH + key + attributes.sum::<usize>() + record.data.len()
    });
    let verdicts = judged.handled.iter().map(|handled| match &handled.verdict {
        PluginVerdict::Each(each) => each
            .iter()
            .map(|one| match one {
                EventVerdict::Reject(reason) => 32 + reason.len(),
                EventVerdict::Delivered | EventVerdict::Retry => 32,
            })
            .sum(),
        PluginVerdict::Reject(reason) => reason.len(),
        _ => 0,
    });
    EACH + came + results.chain(verdicts).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        event::Event,
        outcome::Response,
        plugin::{Method, ShapedRequest},
    };

    fn events(bytes: usize) -> Events {
        let event = Event {
            id: "".into(),
            key: None,
            timestamp_ms: 0,
            attributes: Vec::new(),
            data: vec![b'x'; bytes].into(),
        };
        [Arc::new(event)].into()
    }

    fn begin(reel: &mut Reel, bytes: usize) -> Option<u64> {
        reel.begin(&events(bytes), 1, Arc::default)
    }

    fn one_request(body: usize) -> Shaped {
        let request = ShapedRequest {
            method: Method::Post,
            endpoint: None,
            target: String::new(),
            headers: Vec::new(),
            body: ShapedBody::Bytes(vec![b'x'; body].into()),
            events: vec![0],
        };
        Shaped {
            requests: vec![request],
            ..Shaped::default()
        }
    }

    fn answered(body: usize) -> Option<Judged> {
        Some(Judged {
            attempt: 1,
            outcome: Ok(Response {
                status: 200,
                headers: Default::default(),
                body: Bytes::from(vec![b'x'; body]),
                truncated: false,
            }),
            handled: None,
        })
    }

    #[test]
    fn a_batch_that_finds_no_room_is_left_out_and_ends_it_only_beside_others() {
        let mut reel = Reel::new(3, 10_000);

        let alone = begin(&mut reel, 20_000);
        let end = reel.end();
        let small = begin(&mut reel, 1_000).expect("it fits");
        let large = begin(&mut reel, 9_000);
        let behind = begin(&mut reel, 1);
        reel.shaped(small, Ok(&one_request(10)));
        let open = reel.end();
        reel.over(small);

        assert_eq!((alone, end), (None, None));
        assert_eq!((large, behind, open), (None, None, None));
        assert_eq!(reel.end(), Some(RecordingEnd::Full));
        let reeled = reel.take();
        assert_eq!((reeled.batches.len(), reeled.left_out.too_large), (1, 2));
    }

    #[test]
    fn what_the_plugin_fails_on_makes_room_for_another_batch() {
        let mut reel = Reel::new(1, 10_000);
        let trapped = begin(&mut reel, 9_000).expect("it fits");
        reel.shaped(trapped, Err(&PluginError::Trapped(String::new())));
        reel.over(trapped);

        let refused = begin(&mut reel, 9_000).expect("it fits");
        reel.shaped(refused, Err(&PluginError::Refused("no".to_owned())));
        reel.over(refused);

        assert_eq!(reel.end(), Some(RecordingEnd::Complete));
        let Reeled { batches, left_out } = reel.take();
        assert_eq!(batches[0].made, Made::Refused("no".to_owned()));
        assert_eq!(left_out.not_shaped, 1);
    }

    #[test]
    fn attempts_are_kept_in_order_and_those_that_are_not_are_counted() {
        let mut reel = Reel::new(1, 5_000);
        let batch = begin(&mut reel, 1_000).expect("it fits");
        reel.shaped(batch, Ok(&one_request(1_000)));

        reel.judged(batch, 0, answered(100));
        reel.judged(batch, 0, answered(4_000));
        reel.judged(batch, 0, None);
        reel.judged(batch, 0, answered(200));

        let Reeled { batches, .. } = reel.take();
        let taken = &batches[0];
        let kept = taken.attempts[0]
            .iter()
            .map(|judged| match &judged.outcome {
                Ok(response) => response.body.len(),
                Err(_) => 0,
            });
        assert_eq!(kept.collect::<Vec<_>>(), [100, 200]);
        assert_eq!(
            (taken.too_large, taken.unjudged, taken.is_over),
            (1, 1, false)
        );
    }

    #[test]
    fn what_was_taken_takes_nothing_more() {
        let mut reel = Reel::new(2, 5_000);
        let unanswered = begin(&mut reel, 10).expect("it fits");

        let reeled = reel.take();
        reel.shaped(unanswered, Ok(&one_request(1)));

        assert!(reeled.batches.is_empty());
        assert_eq!(begin(&mut reel, 10), None);
        assert!(reel.take().batches.is_empty());
    }
}
