//! What the ids of a call's events come to: the same for the same events, in another attempt as after a restart.

/// FNV-1a of 128 bits over ids, in their order; other ids, or in another order, come to another value.
#[derive(Debug, Clone)]
pub struct Fingerprint(u128);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fingerprint {
    /// The next id.
    pub fn add(&mut self, id: &str) {
        // No UTF-8 has 0xff: it ends an id, so that `a`, `b` is not `ab`.
        for byte in id.bytes().chain([0xff]) {
            self.0 =
                (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    /// What those up to now come to.
    pub fn value(&self) -> u128 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_ids_alone_come_to_the_same_value() {
        let value = |ids: &[&str]| {
            let mut fingerprint = Fingerprint::default();
            ids.iter().for_each(|id| fingerprint.add(id));
            fingerprint.value()
        };

        assert_eq!(value(&["a", "b"]), value(&["a", "b"]));
        for other in [&["b", "a"][..], &["ab"], &["a"], &["a", "b", "c"]] {
            assert_ne!(value(&["a", "b"]), value(other));
        }
    }
}
