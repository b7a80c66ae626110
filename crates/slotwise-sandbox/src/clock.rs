//! The clock that ends calls which run too long.
//!
//! wasmtime compares a counter, the epoch, at each loop and function entry of the guest. A thread moves it on while
//! calls run, and sleeps while none does, so that an idle process is never woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// How often the epoch moves on.
const TICK: Duration = Duration::from_millis(10);

/// Moves the epoch of one wasmtime engine on while calls run; stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Clock {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicUsize,
    asleep: AtomicBool,
    closed: AtomicBool,
}

/// A call that runs; the clock ticks as long as there is one.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Shared);

impl Clock {
    pub(crate) fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (state, engine) = (shared.clone(), engine.clone());
        let handle = std::thread::Builder::new().name("slotwise-clock".to_owned()).spawn(move || {
            while !state.closed.load(Ordering::SeqCst) {
                // The order matters: announce the sleep, then look again. A call that begins in between sees the
                // announcement and wakes this thread, or is seen here.
                state.asleep.store(true, Ordering::SeqCst);
                while state.calls.load(Ordering::SeqCst) == 0 && !state.closed.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                state.asleep.store(false, Ordering::SeqCst);
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Clock { shared, thread: handle.thread().clone() })
    }

    /// How many ticks a call must be given so that it may run for `time`: one more, for the tick that has begun.
    pub(crate) fn ticks(time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos()).saturating_add(1);
        // The deadline is added to the epoch, which must not wrap around.
        u64::try_from(ticks).unwrap_or(u64::MAX).min(u64::MAX / 2)
    }

    /// Notes that a call runs, until the result is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_is_rounded_up() {
        assert_eq!(Clock::ticks(Duration::ZERO), 1);
        assert_eq!(Clock::ticks(Duration::from_millis(10)), 2);
        assert_eq!(Clock::ticks(Duration::from_millis(11)), 3);
        assert!(Clock::ticks(Duration::MAX) > 1 << 62);
    }
}
