//! Whose turn it is where sinks share an endpoint: pure.

/// What one sink is in the gate.
#[derive(Debug, Default)]
struct Place {
    /// When it was let through last, as a number that grows; zero for never.
    served: u64,
    waits: bool,
    gone: bool,
}

/// Lets sinks through by turns: of those that wait, the one that was let through longest ago goes first. So none
/// starves, whatever the sizes of their calls.
#[derive(Debug, Default)]
pub(super) struct Turns {
    places: Vec<Place>,
    served: u64,
}

impl Turns {
    /// A new sink's place.
    pub(super) fn enter(&mut self) -> usize {
        self.places.push(Place::default());
        self.places.len() - 1
    }

    /// The sink asks for nothing any more.
    pub(super) fn leave(&mut self, place: usize) {
        if let Some(place) = self.places.get_mut(place) {
            *place = Place {
                gone: true,
                ..Place::default()
            };
        }
    }

    /// Whether nobody else who waits comes first.
    pub(super) fn may_go(&self, place: usize) -> bool {
        let served = self.places.get(place).map_or(0, |place| place.served);
        let mut places = self.places.iter().enumerate();
        !places
            .any(|(other, place_of)| place_of.waits && (place_of.served, other) < (served, place))
    }

    /// The sink was let through.
    pub(super) fn went(&mut self, place: usize) {
        self.served += 1;
        if let Some(place) = self.places.get_mut(place) {
            place.served = self.served;
        }
    }

    /// Whether the sink has something to send that it was not let through with.
    pub(super) fn waits(&mut self, place: usize, waits: bool) {
        if let Some(place) = self.places.get_mut(place) {
            place.waits = waits;
        }
    }

    /// Whether more than one sink is there.
    pub(super) fn shared(&self) -> bool {
        self.places.iter().filter(|place| !place.gone).count() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_wait_the_one_served_longest_ago_goes_first() {
        let mut turns = Turns::default();
        let [a, b, c] = [(); 3].map(|()| turns.enter());
        for place in [c, a, b] {
            turns.went(place);
        }

        turns.waits(a, true);
        turns.waits(b, true);

        assert!(turns.may_go(a));
        assert!(!turns.may_go(b));
        assert!(turns.may_go(c), "it was served before those who wait");
        turns.went(c);
        assert!(!turns.may_go(c));
    }

    #[test]
    fn a_sink_that_leaves_holds_nobody_up() {
        let mut turns = Turns::default();
        let [a, b] = [(); 2].map(|()| turns.enter());
        turns.waits(a, true);
        turns.went(b);
        assert!(!turns.may_go(b));
        assert!(turns.shared());

        turns.leave(a);

        assert!(turns.may_go(b));
        assert!(!turns.shared());
    }
}
