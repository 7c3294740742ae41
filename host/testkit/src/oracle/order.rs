//! Whether calls came in the order that a sink promises.

use std::collections::BTreeMap;

/// What a sink promises of the order of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nothing.
    None,
    /// Of the records of one key, a later one is not sent before an earlier one has ended.
    Key,
    /// The same of all records. Only where they are read in the order of their numbers.
    Strict,
}

/// What was sent last, by key.
#[derive(Debug)]
pub(super) struct OrderCheck {
    promise: Promise,
    incarnation: u16,
    open: BTreeMap<u64, Vec<u64>>,
    /// Whether what had no end may be sent together with what comes behind it: see [`OrderCheck::handed_over`].
    may_mix: bool,
}

impl OrderCheck {
    pub(super) fn new(promise: Promise) -> Self {
        Self {
            promise,
            incarnation: 0,
            open: BTreeMap::new(),
            may_mix: false,
        }
    }

    /// A sink may hand over what it holds to its next incarnation in the same host, which puts it into batches of its own.
    pub(super) fn handed_over(&mut self) {
        self.may_mix = true;
    }

    /// A new incarnation of the host begins: it may send again what those before it have sent.
    pub(super) fn begin(&mut self, incarnation: u16) {
        self.incarnation = incarnation;
        self.open.clear();
        self.may_mix = false;
    }

    /// Takes in a call's records; gives the first that came out of order, and the one that it came behind.
    ///
    /// A call holds either records that were never sent by this incarnation, all behind those of the key's call
    /// before; or some of those of the key's call before, again.
    pub(super) fn sent(
        &mut self,
        incarnation: u16,
        numbers: &[u64],
        key: impl Fn(u64) -> u64,
    ) -> Option<(u64, u64)> {
        // What was on its way when a host was killed may arrive late.
        if self.promise == Promise::None || incarnation != self.incarnation {
            return None;
        }
        let mut calls: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for number in numbers {
            let lane = if self.promise == Promise::Key {
                key(*number)
            } else {
                0
            };
            calls.entry(lane).or_default().push(*number);
        }
        let mut broken = None;
        for (lane, call) in calls {
            let before = self.open.entry(lane).or_default();
            let last = before.iter().max().copied();
            let within = call
                .windows(2)
                .find(|pair| pair[0] >= pair[1])
                .map(|pair| (pair[1], pair[0]));
            let is_again = call.iter().all(|number| before.contains(number));
            let late = call.iter().copied().zip(last).find(|(number, last)| {
                let is_open = self.may_mix && before.contains(number);
                number <= last && !is_open
            });
            if !is_again {
                broken = broken.or(late);
                *before = call;
            }
            broken = broken.or(within);
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(promise: Promise, calls: &[&[u64]]) -> Option<(u64, u64)> {
        let mut check = OrderCheck::new(promise);
        check.begin(1);
        calls
            .iter()
            .find_map(|call| check.sent(1, call, |number| number % 2))
    }

    #[test]
    fn a_call_is_new_or_a_part_of_the_one_before() {
        let fine: [&[&[u64]]; 4] = [
            &[&[0, 1, 2], &[0, 2], &[1], &[4], &[3]],
            &[&[0], &[0], &[2]],
            &[&[1, 3], &[3], &[5], &[0]],
            &[],
        ];
        for calls in fine {
            assert_eq!(check(Promise::Key, calls), None, "{calls:?}");
        }
        type Broken = (&'static [&'static [u64]], (u64, u64));
        let broken: [Broken; 4] = [
            (&[&[0], &[4], &[2]], (2, 4)),
            (&[&[2, 0]], (0, 2)),
            (&[&[0], &[2], &[0]], (0, 2)),
            (&[&[0, 2], &[2, 4]], (2, 2)),
        ];
        for (calls, pair) in broken {
            assert_eq!(check(Promise::Key, calls), Some(pair), "{calls:?}");
        }
    }

    #[test]
    fn strict_knows_no_keys_and_none_promises_nothing() {
        let calls: &[&[u64]] = &[&[0, 2], &[1]];

        assert_eq!(check(Promise::Strict, calls), Some((1, 2)));
        assert_eq!(check(Promise::Key, calls), None);
        assert_eq!(check(Promise::None, &[&[5], &[1]]), None);
    }

    #[test]
    fn what_was_handed_over_may_stand_before_what_is_new() {
        let fine: [&[u64]; 4] = [&[0, 1, 2], &[1, 2, 3], &[3], &[4]];
        let broken: [&[u64]; 3] = [&[0, 1, 2], &[3], &[2, 4]];
        let check = |calls: &[&[u64]]| {
            let mut check = OrderCheck::new(Promise::Strict);
            check.begin(1);
            check.handed_over();
            calls
                .iter()
                .find_map(|numbers| check.sent(1, numbers, |_| 0))
        };

        assert_eq!(check(&fine), None);
        assert_eq!(check(&broken), Some((2, 3)));
    }

    #[test]
    fn a_new_incarnation_may_send_again() {
        let mut check = OrderCheck::new(Promise::Strict);
        check.begin(1);

        assert_eq!(check.sent(1, &[5], |_| 0), None);
        check.begin(2);
        assert_eq!(check.sent(2, &[3], |_| 0), None);
        assert_eq!(check.sent(1, &[6], |_| 0), None, "it comes late");
        assert_eq!(check.sent(2, &[2], |_| 0), Some((2, 3)));
    }
}
