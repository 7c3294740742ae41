//! A request's id: a GUID that endpoints know a request by when it comes again.

use plugin_kit::Fingerprint;

/// Made from the ids of the request's events, in their order: it is the same for the same events, in another attempt as
/// after a restart, and another one for any others.
pub fn request_id<'a>(events: impl IntoIterator<Item = &'a str>) -> String {
    let mut ids = Fingerprint::default();
    events.into_iter().for_each(|id| ids.add(id));
    let hash = ids.value();
    // Version 8, "custom", of the variant of RFC 9562.
    let version = (hash >> 64) as u64 & !0xf000 | 0x8000;
    let variant = hash as u64 & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        version >> 32,
        version >> 16 & 0xffff,
        version & 0xffff,
        variant >> 48,
        variant & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_events_have_the_same_id_and_others_another() {
        let lists: [&[&str]; 6] = [&[], &["a"], &["b"], &["a", "b"], &["b", "a"], &["ab"]];

        let ids: BTreeSet<String> = lists
            .iter()
            .map(|list| request_id(list.iter().copied()))
            .collect();

        assert_eq!(ids.len(), lists.len());
        assert_eq!(request_id(["a", "b"]), request_id(["a", "b"]));
        let many: BTreeSet<String> = (0..10_000)
            .map(|n| request_id([n.to_string().as_str()]))
            .collect();
        assert_eq!(many.len(), 10_000);
    }

    #[test]
    fn an_id_is_a_guid_of_version_8() {
        let id = request_id(["s:1"]);

        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'8');
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }
}
