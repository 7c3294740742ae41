//! What a plugin makes of a batch: calls in its manner, or nonsense.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    attempts::{CallState, CallTruth},
    plan::Manner,
    truth::State,
    world::World,
};
use crate::{
    delivery::settings::Order,
    plugin::{Method, Shaped, ShapedBody, ShapedRequest},
};

impl World {
    /// An answer that keeps the contract: its calls are known from here on.
    pub(super) fn honest(&mut self, sink: usize, numbers: &[usize]) -> Shaped {
        let mut shaped = Shaped::default();
        let mut rest = Vec::new();
        for (index, &number) in (0_u32..).zip(numbers) {
            let dropped = self.fault(40);
            let rejected = self.fault(40);
            if dropped {
                self.seen.count("end: dropped by shape");
                shaped.drop.push(index);
            } else if rejected {
                self.seen.count("end: rejected by shape");
                shaped.reject.push((index, "planned".to_owned()));
            } else {
                rest.push(index);
                continue;
            }
            if let Some(fate) = self.fate(sink, number) {
                fate.state = if dropped {
                    State::Dropped
                } else {
                    State::Doomed("rejected-by-shape")
                };
            }
        }
        for indices in self.cut(sink, numbers, rest) {
            let request = self.call(sink, numbers, indices);
            shaped.requests.push(request);
        }
        shaped
    }

    /// Cuts a batch into the calls of the plugin's manner.
    fn cut(&mut self, sink: usize, numbers: &[usize], mut rest: Vec<u32>) -> Vec<Vec<u32>> {
        let size = match self.plan.sinks[sink].manner {
            Manner::Whole => rest.len(),
            Manner::Single => 1,
            Manner::Runs(size) => size,
            Manner::Mixed(calls) => return self.mix(numbers, &rest, calls),
            Manner::Shuffled => {
                self.rng.shuffle(&mut rest);
                self.rng.usize(1..=rest.len().max(1))
            }
        };
        rest.chunks(size.max(1)).map(<[u32]>::to_vec).collect()
    }

    /// Each event goes to a call of its own choice, but to none before that of an earlier one of its key.
    fn mix(&mut self, numbers: &[usize], rest: &[u32], calls: usize) -> Vec<Vec<u32>> {
        let mut mixed = vec![Vec::new(); calls];
        let mut least = BTreeMap::new();
        for &index in rest {
            let mut place = self.rng.usize(0..calls);
            let key = &self.plan.issued[numbers[index as usize]].event.key;
            if key.is_some() {
                let least = least.entry(key.clone()).or_insert(0);
                place = place.max(*least);
                *least = place;
            }
            mixed[place].push(index);
        }
        mixed.retain(|call| !call.is_empty());
        mixed
    }

    fn call(&mut self, sink: usize, numbers: &[usize], indices: Vec<u32>) -> ShapedRequest {
        let events: Vec<usize> = indices
            .iter()
            .map(|index| numbers[*index as usize])
            .collect();
        let parts: Vec<Bytes> = events
            .iter()
            .map(|number| self.plan.data(*number).clone())
            .collect();
        let (prefix, separator, suffix) =
            [("", ",", ""), ("[", ",", "]"), ("", "", "\n")][self.rng.usize(0..3)];
        let expected = [
            prefix.as_bytes(),
            &parts.join(separator.as_bytes()),
            suffix.as_bytes(),
        ]
        .concat();
        let body = match self.rng.u8(0..5) {
            0 => ShapedBody::Empty,
            1 => ShapedBody::Bytes(expected.clone().into()),
            _ => ShapedBody::Joined {
                prefix: Bytes::from_static(prefix.as_bytes()),
                separator: Bytes::from_static(separator.as_bytes()),
                suffix: Bytes::from_static(suffix.as_bytes()),
            },
        };
        let names: Vec<String> = events.iter().map(ToString::to_string).collect();
        let number = self.calls.len();
        let known = &self.plan.sinks[sink].endpoints;
        let endpoint = known[self.rng.usize(0..known.len())];
        let name = match endpoint == known[0] {
            true => self.rng.bool().then(|| "default".to_owned()),
            false => {
                self.seen.count("endpoint: named");
                Some(format!("e{endpoint}"))
            }
        };
        self.calls.push(CallTruth {
            sink,
            endpoint,
            events,
            body: (body != ShapedBody::Empty).then(|| expected.into()),
            sent: None,
            state: CallState::Ready,
            began: None,
            before: None,
            outcome: None,
        });
        ShapedRequest {
            method: [Method::Post, Method::Put, Method::Get][self.rng.usize(0..3)],
            endpoint: name,
            target: format!("?call={number}"),
            headers: vec![
                ("x-call".to_owned(), number.to_string()),
                ("x-events".to_owned(), names.join(",")),
            ],
            body,
            events: indices,
        }
    }

    /// An answer that breaks the contract: none of it may be used.
    pub(super) fn nonsense(&mut self, sink: usize, numbers: &[usize]) -> Shaped {
        let last = numbers.len() as u32 - 1;
        let order = self.plan.sinks[sink].settings.order;
        let all: Vec<u32> = (0..=last).collect();
        let mut shaped = Shaped::default();
        let request = |events: Vec<u32>| ShapedRequest {
            method: Method::Post,
            endpoint: None,
            target: String::new(),
            headers: vec![("x-call".to_owned(), "nonsense".to_owned())],
            body: ShapedBody::Empty,
            events,
        };
        match self.rng.u8(0..8) {
            0 => shaped.drop = (0..last).collect(),
            1 => shaped.drop = (0..=last).chain([self.rng.u32(0..=last)]).collect(),
            2 => shaped.drop = (0..=last + 1).collect(),
            3 => shaped.requests = vec![request(all), request(Vec::new())],
            4 => {
                let mut framing = request(all);
                framing
                    .headers
                    .push(("content-length".to_owned(), "1".to_owned()));
                shaped.requests = vec![framing];
            }
            5 if order == Order::Strict && last > 0 => {
                shaped.requests = vec![request(all.into_iter().rev().collect())];
            }
            5 => shaped.reject = vec![(last, "twice".to_owned()); 2],
            6 => {
                let mut elsewhere = request(all);
                elsewhere.endpoint = Some("elsewhere".to_owned());
                shaped.requests = vec![elsewhere];
            }
            _ => {
                let mut astray = request(all);
                astray.target = "http://elsewhere.test/".to_owned();
                shaped.requests = vec![astray];
            }
        }
        shaped
    }
}
