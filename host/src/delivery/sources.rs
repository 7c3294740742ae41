//! Where a sink's events come from: whom it tells that they are settled.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::{
    event::{Arrival, Ticket},
    progress::Ledger,
};

/// An ingress as a sink sees it.
#[derive(Debug, Clone)]
pub struct Source {
    /// `namespace/name`.
    pub id: Arc<str>,
    /// Its progress.
    pub ledger: Arc<Ledger>,
    /// Whether its events came to Nozzle through another ingress, which their ids name.
    pub relays: bool,
}

/// The ingresses of a host, by [`Ticket::ingress`]; clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Sources(Arc<RwLock<Vec<Slot>>>);

#[derive(Debug)]
struct Slot {
    source: Source,
    /// Nothing more will come from it.
    gone: bool,
}

impl From<Vec<Source>> for Sources {
    fn from(sources: Vec<Source>) -> Self {
        let slot = |source| Slot {
            source,
            gone: false,
        };
        Self(Arc::new(RwLock::new(
            sources.into_iter().map(slot).collect(),
        )))
    }
}

impl Sources {
    /// Takes in one more, and says what its tickets name. The place of one that is gone is given away when no ticket
    /// names it any more.
    pub fn add(&self, source: Source) -> u16 {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_free = |slot: &Slot| slot.gone && slot.source.ledger.unsettled() == 0;
        let slot = Slot {
            source,
            gone: false,
        };
        let place = match slots.iter().position(is_free) {
            Some(place) => {
                slots[place] = slot;
                place
            }
            None => {
                slots.push(slot);
                slots.len() - 1
            }
        };
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// Nothing more will come from those with this ledger: what is unsettled is settled as before.
    pub fn leaves(&self, ledger: &Arc<Ledger>) {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for slot in &mut *slots {
            slot.gone |= Arc::ptr_eq(&slot.source.ledger, ledger);
        }
    }

    /// One sink has settled these events.
    pub fn settle(&self, tickets: impl Iterator<Item = Ticket> + Clone) {
        for (index, slot) in (0..).zip(&*self.slots()) {
            let mut own = tickets
                .clone()
                .filter(|ticket| ticket.ingress == index)
                .peekable();
            if own.peek().is_some() {
                slot.source.ledger.settle(own);
            }
        }
    }

    /// The ingress through which an event came to Nozzle.
    pub fn ingress_of(&self, arrival: &Arrival) -> Arc<str> {
        let slots = self.slots();
        let slot = slots.get(usize::from(arrival.ticket.ingress));
        match (slot.map(|slot| &slot.source), arrival.event.origin()) {
            (Some(source), Some(origin)) if source.relays => origin.into(),
            (source, _) => source.map_or_else(|| "".into(), |source| Arc::clone(&source.id)),
        }
    }

    fn slots(&self) -> RwLockReadGuard<'_, Vec<Slot>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Position;

    fn source(id: &str) -> Source {
        Source {
            id: id.into(),
            ledger: Arc::default(),
            relays: false,
        }
    }

    #[test]
    fn a_place_is_given_away_when_no_ticket_names_it_any_more() {
        let sources = Sources::default();
        let (first, second) = (source("t/first"), source("t/second"));
        let ledger = Arc::clone(&first.ledger);
        ledger.begin([(0, Position::Count(1))].into_iter(), 1);
        let places = [first, second].map(|source| sources.add(source));

        sources.leaves(&ledger);
        let while_open = sources.add(source("t/third"));
        let ticket = Ticket {
            ingress: 0,
            partition: 0,
            ordinal: 0,
        };
        sources.settle([ticket].into_iter());
        let after = sources.add(source("t/fourth"));

        assert_eq!(places, [0, 1]);
        assert_eq!((while_open, after), (2, 0));
        assert_eq!(ledger.unsettled(), 0, "it was settled although it is gone");
    }
}
