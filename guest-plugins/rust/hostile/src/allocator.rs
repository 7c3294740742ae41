//! An allocator that turns against the host: what the host calls in a guest, before a call to lay out its arguments and
//! behind it to let go of its answer, is the guest's own code too.

#![expect(unsafe_code, reason = "an allocator is unsafe")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed},
};

/// What becomes of a cursed block that is let go of.
pub(crate) const LOOP: u8 = 1;
pub(crate) const TRAP: u8 = 2;

static CURSED: AtomicUsize = AtomicUsize::new(0);
static ON_FREE: AtomicU8 = AtomicU8::new(0);
static LOOPS: AtomicBool = AtomicBool::new(false);

struct Hostile;

#[global_allocator]
static ALLOCATOR: Hostile = Hostile;

/// Who frees this block is cursed: the host does, in the call that is made behind `shape`.
pub(crate) fn curse_free(block: *const u8, on_free: u8) {
    CURSED.store(block.addr(), Relaxed);
    ON_FREE.store(on_free, Relaxed);
}

/// Who asks for memory from the next call on waits for ever.
pub(crate) fn curse_allocations() {
    LOOPS.store(true, Relaxed);
}

fn spin() -> ! {
    loop {
        std::hint::black_box(0);
    }
}

// SAFETY: it is the system's, or does not return.
unsafe impl GlobalAlloc for Hostile {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if LOOPS.load(Relaxed) {
            spin();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block.addr() == CURSED.load(Relaxed) {
            match ON_FREE.load(Relaxed) {
                LOOP => spin(),
                TRAP => trap(),
                _ => {}
            }
        }
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

/// Where its code is only compiled: no plugin runs there.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn trap() -> ! {
    std::process::abort()
}
