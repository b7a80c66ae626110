//! An allocator that counts, for tests that hold a call to what it may allocate.
//!
//! ```
//! use slotwise_testkit::counting::{Counting, allocations};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! assert_eq!(allocations(|| Box::new(1)), 1);
//! ```

#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// Counts the allocations of each thread, so that tests beside each other do not count in each other.
#[derive(Debug)]
pub struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller vouches for the layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller vouches for both.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller vouches for all three.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// How many allocations this thread makes while `work` is done; 0 unless [`Counting`] is the program's allocator.
pub fn allocations<R>(work: impl FnOnce() -> R) -> u64 {
    let before = COUNT.get();
    black_box(work());
    COUNT.get() - before
}
