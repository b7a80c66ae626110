//! How many instances of one policy live at once, and those that wait for their next call.
//!
//! In a process that was forked while a call ran nobody comes here any more: the thread that would give back that call's
//! slot is not there. [`crate::clock`] sees to that.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the slots that are free; who finds none waits. Nobody waits for ever, since every call has a time limit.
#[derive(Debug)]
pub(super) struct Slots<T> {
    state: Mutex<State<T>>,
    freed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    free: u32,
    /// How many threads wait. Waking nobody would cost a system call, which is more than a small question costs.
    waiting: u32,
    /// What was kept for the next that takes a slot.
    idle: Vec<T>,
}

/// A slot that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot<'a, T> {
    slots: &'a Slots<T>,
    kept: Option<T>,
}

impl<T> Slots<T> {
    pub(super) fn new(count: u32) -> Self {
        Slots {
            state: Mutex::new(State { free: count, waiting: 0, idle: Vec::new() }),
            freed: Condvar::new(),
        }
    }

    /// Takes a slot, and with it what was kept there, if anything was.
    pub(super) fn take(&self) -> (Slot<'_, T>, Option<T>) {
        let mut state = self.lock();
        while state.free == 0 {
            state.waiting += 1;
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.free -= 1;
        let kept = state.idle.pop();
        (Slot { slots: self, kept: None }, kept)
    }

    /// All of it is valid at any point, so that a panic elsewhere in the host does not matter to it.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Slot<'_, T> {
    /// Gives the slot back, with something for the next that takes one.
    pub(super) fn keep(mut self, kept: T) {
        self.kept = Some(kept);
    }
}

impl<T> Drop for Slot<'_, T> {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        state.free += 1;
        state.idle.extend(self.kept.take());
        let waiting = state.waiting;
        drop(state);
        if waiting > 0 {
            self.slots.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_slot_waits_for_one_and_gets_what_was_kept() {
        let slots = Slots::new(1);
        let (first, kept) = slots.take();
        assert_eq!(kept, None);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let (_slot, kept) = slots.take();
                kept
            });
            while slots.lock().waiting == 0 {
                std::thread::yield_now();
            }
            first.keep("an instance");
            assert_eq!(waits.join().expect("no panic"), Some("an instance"));
        });
        let (_slot, kept) = slots.take();
        assert_eq!(kept, None, "it was taken, and not kept again");
    }
}
