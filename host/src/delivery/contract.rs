//! Holds what `shape` returned against the contract: pure. An answer is used whole or not at all.

use std::{collections::HashMap, sync::Arc};

use super::{names::Names, settings::Order};
use crate::{event::Event, plugin::Shaped};

/// How an answer breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An index that the batch does not have.
    #[error("{place} names event {index}, but the batch has {events} events")]
    Invented {
        /// Where it stands.
        place: Place,
        /// The index.
        index: u32,
        /// The batch's size.
        events: usize,
    },
    /// An index in two places.
    #[error("event {index} stands twice: the second time in {place}")]
    Repeated {
        /// Where it stands for the second time.
        place: Place,
        /// The index.
        index: u32,
    },
    /// An index in no place.
    #[error("event {index} stands in no request, nor under `drop` or `reject`")]
    LeftOut {
        /// The first such index.
        index: u32,
    },
    /// A request that delivers nothing.
    #[error("{place} names no events")]
    Empty {
        /// The request.
        place: Place,
    },
    /// A request to an endpoint that the sink does not grant.
    #[error("{place} names the endpoint `{name}`, and the sink grants none but {granted}")]
    NotGranted {
        /// The request.
        place: Place,
        /// The name.
        name: String,
        /// What the sink grants.
        granted: Names,
    },
    /// A request without the name of an endpoint, where there is no default one.
    #[error("{place} names no endpoint, and the sink has no default one: it grants {granted}")]
    NoDefault {
        /// The request.
        place: Place,
        /// What the sink grants.
        granted: Names,
    },
    /// Requests that cannot be sent in order.
    #[error(
        "{place} has event {index} behind a later one of the same key: under `order`, requests and their events come in the order of the batch"
    )]
    OutOfOrder {
        /// The request.
        place: Place,
        /// The index.
        index: u32,
    },
}

/// A part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A request, by its number from 0.
    Request(usize),
    /// `drop`.
    Drop,
    /// `reject`.
    Reject,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(number) => write!(f, "requests[{number}]"),
            Self::Drop => f.write_str("`drop`"),
            Self::Reject => f.write_str("`reject`"),
        }
    }
}

/// The longest part of a name that is shown, in characters: a plugin may write anything.
const MAX_SHOWN: usize = 64;

/// Checks that every index of the batch stands in exactly one place, that each request goes to an endpoint which
/// is granted, and that requests can be sent in `order`.
///
/// # Errors
/// The first violation found.
pub fn check(
    shaped: &Shaped,
    events: &[Arc<Event>],
    order: Order,
    granted: &Names,
) -> Result<(), Violation> {
    let mut seen = vec![false; events.len()];
    let mut mark = |place: Place, index: u32| match seen.get_mut(index as usize) {
        None => Err(Violation::Invented {
            place,
            index,
            events: events.len(),
        }),
        Some(true) => Err(Violation::Repeated { place, index }),
        Some(slot) => {
            *slot = true;
            Ok(())
        }
    };
    for (number, request) in shaped.requests.iter().enumerate() {
        let place = Place::Request(number);
        if request.events.is_empty() {
            return Err(Violation::Empty { place });
        }
        let name = request.endpoint.as_deref();
        if granted.place(name).is_none() {
            return Err(not_granted(place, name, granted.clone()));
        }
        request
            .events
            .iter()
            .try_for_each(|index| mark(place, *index))?;
    }
    shaped
        .drop
        .iter()
        .try_for_each(|index| mark(Place::Drop, *index))?;
    shaped
        .reject
        .iter()
        .try_for_each(|(index, _)| mark(Place::Reject, *index))?;
    if let Some(index) = (0..)
        .zip(&seen)
        .find_map(|(index, seen)| (!seen).then_some(index))
    {
        return Err(Violation::LeftOut { index });
    }
    in_order(shaped, events, order)
}

fn not_granted(place: Place, name: Option<&str>, granted: Names) -> Violation {
    match name {
        None => Violation::NoDefault { place, granted },
        Some(name) => Violation::NotGranted {
            place,
            name: name.escape_debug().take(MAX_SHOWN).collect(),
            granted,
        },
    }
}

fn in_order(shaped: &Shaped, events: &[Arc<Event>], order: Order) -> Result<(), Violation> {
    let mut last: HashMap<Option<&str>, u32> = HashMap::new();
    for (number, request) in shaped.requests.iter().enumerate() {
        for index in &request.events {
            let lane = match order {
                Order::None => return Ok(()),
                Order::Strict => None,
                Order::Key => match events[*index as usize].key.as_deref() {
                    None => continue,
                    key => key,
                },
            };
            if last
                .insert(lane, *index)
                .is_some_and(|before| before > *index)
            {
                return Err(Violation::OutOfOrder {
                    place: Place::Request(number),
                    index: *index,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::plugin::{Method, ShapedBody, ShapedRequest};

    fn events(keys: &[&str]) -> Vec<Arc<Event>> {
        let event = |key: &&str| Event {
            id: "x".into(),
            key: (!key.is_empty()).then(|| (*key).into()),
            timestamp_ms: 0,
            attributes: Vec::new(),
            data: Bytes::new(),
        };
        keys.iter().map(|key| Arc::new(event(key))).collect()
    }

    fn shaped(requests: &[&[u32]], drop: &[u32], reject: &[u32]) -> Shaped {
        let request = |events: &&[u32]| ShapedRequest {
            method: Method::Post,
            endpoint: None,
            target: String::new(),
            headers: Vec::new(),
            body: ShapedBody::Empty,
            events: events.to_vec(),
        };
        Shaped {
            headers: Vec::new(),
            requests: requests.iter().map(request).collect(),
            drop: drop.to_vec(),
            reject: reject
                .iter()
                .map(|index| (*index, "no".to_owned()))
                .collect(),
        }
    }

    fn names(names: &[&str]) -> Names {
        Names::new(names.iter().map(|name| (*name).into()))
    }

    fn check(shaped: &Shaped, events: &[Arc<Event>], order: Order) -> Result<(), Violation> {
        super::check(shaped, events, order, &names(&["default"]))
    }

    #[test]
    fn every_index_stands_in_exactly_one_place() {
        let three = events(&["", "", ""]);
        let table: [(Shaped, Result<(), &str>); 9] = [
            (shaped(&[&[0, 1, 2]], &[], &[]), Ok(())),
            (shaped(&[&[2], &[0]], &[1], &[]), Ok(())),
            (shaped(&[], &[0, 1], &[2]), Ok(())),
            (
                shaped(&[&[0, 1]], &[], &[]),
                Err("event 2 stands in no request, nor under `drop` or `reject`"),
            ),
            (
                shaped(&[&[0, 1], &[1, 2]], &[], &[]),
                Err("event 1 stands twice: the second time in requests[1]"),
            ),
            (
                shaped(&[&[0, 1, 2]], &[2], &[]),
                Err("event 2 stands twice: the second time in `drop`"),
            ),
            (
                shaped(&[&[0, 1, 2]], &[], &[0]),
                Err("event 0 stands twice: the second time in `reject`"),
            ),
            (
                shaped(&[&[0, 1, 3]], &[2], &[]),
                Err("requests[0] names event 3, but the batch has 3 events"),
            ),
            (
                shaped(&[&[0, 1, 2], &[]], &[], &[]),
                Err("requests[1] names no events"),
            ),
        ];

        for (answer, expected) in table {
            let found =
                check(&answer, &three, Order::None).map_err(|violation| violation.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn under_order_requests_come_in_the_order_of_the_batch() {
        let keyed = events(&["a", "b", "a", ""]);
        let swapped_keys = shaped(&[&[1], &[0], &[3], &[2]], &[], &[]);
        let swapped_a = shaped(&[&[2], &[0, 1], &[3]], &[], &[]);

        assert_eq!(check(&swapped_keys, &keyed, Order::Key), Ok(()));
        assert!(check(&swapped_a, &keyed, Order::Key).is_err());
        assert_eq!(check(&swapped_a, &keyed, Order::None), Ok(()));
        assert!(check(&swapped_keys, &keyed, Order::Strict).is_err());
    }

    #[test]
    fn a_request_names_one_of_the_endpoints_that_the_sink_grants() {
        let both = names(&["default", "eu"]);
        let alone = names(&["default"]);
        let no_default = names(&["eu", "us"]);
        let long = "x".repeat(100);
        let shown = format!("requests[1] names the endpoint `{}`, and", "x".repeat(64));
        let table = [
            (None, &both, ""),
            (Some("eu"), &both, ""),
            (Some("default"), &both, ""),
            (Some("us"), &no_default, ""),
            (
                Some("us"),
                &both,
                "requests[1] names the endpoint `us`, and the sink grants none but `default`, `eu`",
            ),
            (
                Some("Eu\n"),
                &alone,
                "requests[1] names the endpoint `Eu\\n`, and the sink grants none but `default`",
            ),
            (Some(&*long), &alone, &*shown),
            (
                None,
                &no_default,
                "requests[1] names no endpoint, and the sink has no default one: it grants `eu`, `us`",
            ),
        ];

        for (name, granted, expected) in table {
            let mut answer = shaped(&[&[0], &[1]], &[], &[]);
            answer.requests[0].endpoint = Some("eu".to_owned()).filter(|_| granted != &alone);
            answer.requests[1].endpoint = name.map(str::to_owned);
            let found = super::check(&answer, &events(&["", ""]), Order::None, granted);
            let found = found.map_or_else(|violation| violation.to_string(), |()| String::new());
            assert!(
                found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                "{found}"
            );
        }
    }

    proptest! {
        /// Held against the definition: an answer passes exactly if its indices, sorted, are 0..n.
        #[test]
        fn an_answer_passes_exactly_if_its_indices_are_the_batch(
            requests in prop::collection::vec(prop::collection::vec(0_u32..6, 1..3), 0..3),
            drop in prop::collection::vec(0_u32..6, 0..3),
            reject in prop::collection::vec(0_u32..6, 0..2),
        ) {
            let slices: Vec<&[u32]> = requests.iter().map(Vec::as_slice).collect();
            let mut all: Vec<u32> = requests.iter().flatten().chain(&drop).chain(&reject).copied().collect();
            all.sort_unstable();

            let passes = check(&shaped(&slices, &drop, &reject), &events(&[""; 4]), Order::None).is_ok();

            prop_assert_eq!(passes, all == [0, 1, 2, 3]);
        }
    }
}
