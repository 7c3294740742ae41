//! A plugin that fails on everything: the sink is paused, its events are held, and the plugin is tried until it succeeds.
//!
//! `shape` and `handle` are told apart: one that works says nothing of the other.

use tokio::time::Instant;
use tracing::{info, warn};

use super::Engine;
use crate::{
    delivery::{
        breaker::{Blame, Breaker},
        item::Item,
    },
    http::Transport,
    plugin::Plugin,
};

/// Whether each part of the plugin works.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    pub(super) shape: Breaker,
    pub(super) handle: Breaker,
    /// The generation of the plugin that failed last.
    pub(super) generation: u64,
}

impl Breakers {
    /// Whether the sink is paused.
    pub(super) fn are_open(&self) -> bool {
        self.shape.next_try().is_some() || self.handle.next_try().is_some()
    }
}

impl<P: Plugin, T: Transport> Engine<P, T> {
    /// Gives a plugin whose `shape` fails on everything a single event, if it is time: one that it has not seen yet, if
    /// there is one, and each time another, so that a bad event cannot hide that the plugin works again.
    pub(super) fn try_shape(&mut self, now: Instant, next: Instant) {
        if next > now || !self.shaping.is_empty() {
            return;
        }
        let unseen = match self.may_take_batch() {
            true => self.take_batch(now),
            false => None,
        };
        let Some(mut items) = unseen.or_else(|| self.reshape.pop_front()) else {
            return;
        };
        if items.len() > 1 {
            let rest = items.split_off(1);
            self.reshape.push_back(rest);
        }
        let cap = self.sink.settings.retry.max_delay;
        self.breakers.shape.trying(now, cap);
        self.shape(items);
    }

    /// `shape` has failed on these events: they are its fault, all of them together or, where it is a single one, that
    /// one's alone; or they are held.
    pub(super) fn blame_for_shape(&mut self, items: &mut [Item], cause: &str) -> Blame {
        let breaker = &mut self.breakers.shape;
        let mark = breaker.mark();
        for item in items.iter_mut() {
            item.shape_failed.get_or_insert(mark);
        }
        let since = items.iter().filter_map(|item| item.shape_failed).min();
        let is_open = breaker.next_try().is_some();
        if items.len() > 1 && !is_open {
            return Blame::Event;
        }
        let blame = breaker.failed(since.unwrap_or(mark), true, Instant::now());
        if blame == Blame::Plugin && !is_open {
            self.plugin_fails("shape", cause);
        }
        blame
    }

    /// `shape` has no instance, whatever the events.
    pub(super) fn no_instance(&mut self, reason: &str) {
        if self.breakers.shape.next_try().is_none() {
            self.breakers.shape.broke(Instant::now());
            // Tried at once, as one instance may fail where the next does not.
            self.plugin_fails("configure", reason);
        }
    }

    /// `handle` has failed on the outcome of a call that delivers these events.
    pub(super) fn blame_for_handle(&mut self, items: &mut [Item], cause: &str) -> Blame {
        let breaker = &mut self.breakers.handle;
        let mark = breaker.mark();
        let is_new = items.iter().all(|item| item.handle_failed.is_none());
        for item in items.iter_mut() {
            item.handle_failed.get_or_insert(mark);
        }
        let since = items.iter().filter_map(|item| item.handle_failed).min();
        let was_open = breaker.next_try().is_some();
        let blame = breaker.failed(since.unwrap_or(mark), is_new, Instant::now());
        if blame == Blame::Plugin && !was_open {
            self.plugin_fails("handle", cause);
        }
        blame
    }

    fn plugin_fails(&mut self, function: &str, cause: &str) {
        self.breakers.generation = self.sink.plugin.main().number;
        self.tell_failing();
        warn!(sink = %self.sink.id, function, cause, "the plugin fails on everything: the sink is paused, its events are held, and the plugin is tried until it succeeds");
    }

    pub(super) fn shape_works(&mut self) {
        if self.breakers.shape.succeeded() {
            self.works_again();
        }
    }

    pub(super) fn handle_works(&mut self) {
        if self.breakers.handle.succeeded() {
            self.works_again();
        }
    }

    fn works_again(&self) {
        self.tell_failing();
        info!(sink = %self.sink.id, "the plugin works again");
    }

    /// Another generation of the plugin serves: it takes what is held at once.
    pub(super) fn plugin_replaced(&mut self) {
        self.breakers.shape.reset();
        self.breakers.handle.reset();
        self.tell_failing();
        info!(sink = %self.sink.id, "another plugin serves: the sink goes on");
    }

    /// Told before it is logged: who reads the log and asks the host finds it so.
    pub(super) fn tell_failing(&self) {
        let is_open = self.breakers.are_open();
        self.sink.stats.plugin_failing.set(usize::from(is_open));
    }
}
