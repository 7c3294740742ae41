//! What an instance may grow to: over all of its memories and all of its tables together.
//!
//! A component may have a hundred memories: a limit on each would be a hundred limits.

use wasmtime::ResourceLimiter;

/// More than any language's runtime needs, and little enough for the host.
const MAX_TABLE_ELEMENTS: usize = 1_000_000;

/// Bounds one instance, and remembers what it was refused.
#[derive(Debug)]
pub(super) struct Limiter {
    max_memory: usize,
    memory: usize,
    table_elements: usize,
    refused: Option<Refusal>,
}

/// What an instance asked for and did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Memory beyond `limits.memory`.
    Memory,
    /// Elements of tables.
    Tables,
}

impl Limiter {
    /// For an instance with so many bytes of memory.
    pub(super) fn new(max_memory: usize) -> Self {
        Self {
            max_memory,
            memory: 0,
            table_elements: 0,
            refused: None,
        }
    }

    /// A call begins.
    pub(super) fn start(&mut self) {
        self.refused = None;
    }

    /// What the call under way was refused first.
    pub(super) fn refused(&self) -> Option<Refusal> {
        self.refused
    }

    /// What the instance has, in bytes: it never gives any back.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

impl Refusal {
    /// In words; `max_memory` is `limits.memory`.
    pub(super) fn text(self, max_memory: usize) -> String {
        match self {
            Self::Memory => {
                format!("it asked for more than {max_memory} bytes of memory (`limits.memory`)")
            }
            Self::Tables => {
                format!("it asked for more than {MAX_TABLE_ELEMENTS} elements of tables")
            }
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = self.memory.saturating_add(desired.saturating_sub(current));
        if all > self.max_memory {
            self.refused.get_or_insert(Refusal::Memory);
            return Ok(false);
        }
        self.memory = all;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = (self.table_elements).saturating_add(desired.saturating_sub(current));
        if all > MAX_TABLE_ELEMENTS {
            self.refused.get_or_insert(Refusal::Tables);
            return Ok(false);
        }
        self.table_elements = all;
        Ok(true)
    }

    fn instances(&self) -> usize {
        100
    }

    fn tables(&self) -> usize {
        100
    }

    fn memories(&self) -> usize {
        100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_memories_and_tables_share_one_limit() {
        let mut limiter = Limiter::new(1000);

        let memories = [(0, 400), (0, 400), (400, 600), (0, 1), (0, 0)];
        let granted = memories.map(|(current, desired)| {
            (limiter.memory_growing(current, desired, None)).expect("it answers")
        });
        let tables = [(0, 999_999), (0, 2), (999_999, 1_000_000)];
        let tables = tables.map(|(current, desired)| {
            (limiter.table_growing(current, desired, None)).expect("it answers")
        });

        assert_eq!(granted, [true, true, true, false, true]);
        assert_eq!(limiter.memory(), 1000);
        assert_eq!(tables, [true, false, true]);
        assert_eq!(limiter.refused(), Some(Refusal::Memory));
    }
}
