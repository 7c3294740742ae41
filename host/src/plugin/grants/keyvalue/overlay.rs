//! A store over another one: what is read falls through, what is written stays here, and is gone with it.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Entries, Error, KeyResponse, Page, check_key, entries::Total, other, size};

/// What a version that is rehearsed takes for its sink's store.
#[derive(Debug)]
pub(in crate::plugin::grants) struct Overlay {
    below: Arc<Entries>,
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    /// By key, the value that it has here; none: it is deleted here.
    values: BTreeMap<String, Option<Vec<u8>>>,
    /// How much more is here than below.
    entries: i64,
    bytes: i64,
}

impl Overlay {
    pub(super) fn new(below: Arc<Entries>) -> Self {
        Self {
            below,
            changes: Mutex::default(),
        }
    }

    /// What it stands over.
    pub(super) fn below(&self) -> &Arc<Entries> {
        &self.below
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.lock().values.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.below.get(key),
        }
    }

    pub(super) fn set(&self, key: &str, value: Vec<u8>) -> Result<(), Error> {
        check_key(key)?;
        self.change(key, Some(value))
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
        self.change(key, None)
    }

    /// A page of keys, in their order, from this one on.
    pub(super) fn keys(&self, from: u64) -> Result<KeyResponse, Error> {
        let changes = self.lock();
        let is_here = |(key, value): (_, &Option<_>)| value.is_some().then_some(key);
        let mut here = changes.values.iter().filter_map(is_here).peekable();
        let mut page = Page::from(from);
        self.below.each_key(|key| {
            while let Some(before) = here.next_if(|here: &&String| here.as_str() < key) {
                page.add(before)?;
            }
            match changes.values.contains_key(key) {
                true => ControlFlow::Continue(()),
                false => page.add(key),
            }
        })?;
        for key in here {
            if page.add(key).is_break() {
                break;
            }
        }
        Ok(page.response())
    }

    fn change(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), Error> {
        let mut changes = self.lock();
        let old = match changes.values.get(key) {
            Some(changed) => changed.clone(),
            None => self.below.get(key)?,
        };
        if old.is_none() && value.is_none() {
            return Ok(());
        }
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let of = |value: &Option<Vec<u8>>| {
            let bytes = value.as_ref().map_or(0, |value| size(key, value));
            (i64::from(value.is_some()), signed(bytes))
        };
        let ((old_entries, old_bytes), (new_entries, new_bytes)) = (of(&old), of(&value));
        let entries = changes.entries + new_entries - old_entries;
        let bytes = changes.bytes + new_bytes - old_bytes;
        let (grant, below) = (self.below.grant(), self.below.total());
        if value.is_some() {
            let total = Total {
                entries: below.entries.saturating_add_signed(entries),
                bytes: below.bytes.saturating_add_signed(bytes),
            };
            total.within(grant)?;
        }
        // What is deleted here is remembered too, while what is below comes and goes.
        let is_new = !changes.values.contains_key(key);
        if is_new && changes.values.len() as u64 >= grant.max_entries {
            let max = grant.max_entries;
            return Err(other(format!(
                "a rehearsal changes at most {max} entries (`grants.keyvalue.entries`)"
            )));
        }
        changes.values.insert(key.to_owned(), value);
        (changes.entries, changes.bytes) = (entries, bytes);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::settings::KeyvalueGrant, *};

    fn over(keys: &[&str], grant: KeyvalueGrant) -> Overlay {
        let below = Entries::open(None, grant).expect("in memory");
        for key in keys {
            below.set(key, b"below").expect("there is room");
        }
        Overlay::new(Arc::new(below))
    }

    fn keys(overlay: &Overlay) -> Vec<String> {
        overlay.keys(0).expect("readable").keys
    }

    #[test]
    fn what_is_read_falls_through_and_what_is_written_does_not() {
        let overlay = over(&["b", "d", "f"], KeyvalueGrant::default());

        overlay.set("a", b"here".into()).expect("room");
        overlay.set("d", b"here".into()).expect("room");
        overlay.set("e", b"here".into()).expect("room");
        overlay.delete("f").expect("deleted");
        overlay.delete("e").expect("deleted");
        overlay.set("g", b"here".into()).expect("room");

        let value = |key| overlay.get(key).expect("readable");
        assert_eq!(value("a").as_deref(), Some(&b"here"[..]));
        assert_eq!(value("b").as_deref(), Some(&b"below"[..]));
        assert_eq!(value("d").as_deref(), Some(&b"here"[..]));
        assert_eq!((value("e"), value("f")), (None, None));
        assert_eq!(keys(&overlay), ["a", "b", "d", "g"]);
        let below = overlay.below().keys(0).expect("readable");
        assert_eq!(below.keys, ["b", "d", "f"]);
        assert_eq!(
            overlay.below().get("d").expect("readable").as_deref(),
            Some(&b"below"[..])
        );
    }

    #[test]
    fn what_is_written_below_meanwhile_is_seen_unless_it_was_changed_here() {
        let overlay = over(&["a"], KeyvalueGrant::default());
        overlay.set("a", b"here".into()).expect("room");

        for key in ["a", "b"] {
            overlay.below().set(key, b"later").expect("room");
        }

        let value = |key| overlay.get(key).expect("readable");
        assert_eq!(value("a").as_deref(), Some(&b"here"[..]));
        assert_eq!(value("b").as_deref(), Some(&b"later"[..]));
    }

    #[test]
    fn both_together_are_bounded() {
        let grant = KeyvalueGrant {
            max_entries: 3,
            max_bytes: 20,
        };
        let overlay = over(&["a", "b"], grant);
        let set = |key: &str, value: &[u8]| match overlay.set(key, value.to_vec()) {
            Ok(()) => String::new(),
            Err(Error::Other(why)) => why,
            Err(error) => format!("{error:?}"),
        };

        assert_eq!(set("c", b"1234567"), "");
        assert!(set("d", b"").contains("`grants.keyvalue.entries`"));
        assert!(set("c", b"12345678").contains("`grants.keyvalue.bytes`"));
        overlay.delete("a").expect("deleted");
        assert_eq!(set("c", b"12345678"), "");
        assert_eq!(set("a", b""), "");
        overlay.delete("b").expect("deleted");
        // Three are changed here: a fourth is not remembered, as little as it is.
        assert!(set("d", b"").contains("changes at most 3 entries"));
        assert_eq!(keys(&overlay), ["a", "c"]);
    }

    #[test]
    fn keys_come_in_pages() {
        let overlay = over(&[], KeyvalueGrant::default());
        for number in 0..1500 {
            let key = format!("{number:04}");
            match number % 2 {
                0 => overlay.below().set(&key, b"").expect("room"),
                _ => overlay.set(&key, Vec::new()).expect("room"),
            }
        }

        let first = overlay.keys(0).expect("readable");
        let second = overlay
            .keys(first.cursor.expect("there are more"))
            .expect("readable");

        let all = first.keys.iter().chain(&second.keys);
        assert!(
            all.eq((0..1500)
                .map(|number| format!("{number:04}"))
                .collect::<Vec<_>>()
                .iter())
        );
        assert_eq!((first.keys.len(), second.cursor), (1000, None));
    }
}
