//! The clock that ends calls which run too long.
//!
//! wasmtime compares a counter, the epoch, at each loop and function entry of the guest. A thread moves it on while
//! calls run, and sleeps while none does, so that an idle process is never woken.
//!
//! A process that forks leaves its threads behind. Schedulers load first and fork their workers then, so that the first
//! call in a child starts a thread of its own.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the epoch moves on.
const TICK: Duration = Duration::from_millis(10);

/// Moves the epoch of one wasmtime engine on while calls run; stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Clock {
    process: u32,
    shared: Arc<Shared>,
    /// Taken when the clock is dropped.
    thread: Option<JoinHandle<()>>,
    /// The clock of a process that was forked from this one. Not a lock: one that is held while the process forks would
    /// stay held in the child.
    forked: OnceLock<Option<Box<Clock>>>,
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
    pub(crate) fn start(engine: &wasmtime::Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (state, engine) = (shared.clone(), engine.clone());
        let thread = std::thread::Builder::new().name("slotwise-clock".to_owned()).spawn(move || {
            while !state.closed.load(Ordering::SeqCst) {
                // The order matters: announce the sleep, then look again. A call that begins in between sees the
                // announcement and wakes this thread, or is seen here.
                state.asleep.store(true, Ordering::SeqCst);
                while state.calls.load(Ordering::SeqCst) == 0 && !state.closed.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                state.asleep.store(false, Ordering::SeqCst);
                // The last call may end, and the clock be dropped, in the middle of a tick.
                std::thread::park_timeout(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Clock { process: std::process::id(), shared, thread: Some(thread), forked: OnceLock::new() })
    }

    /// How many ticks a call must be given so that it may run for `time`: one more, for the tick that has begun.
    pub(crate) fn ticks(time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos()).saturating_add(1);
        // The deadline is added to the epoch, which must not wrap around.
        u64::try_from(ticks).unwrap_or(u64::MAX).min(u64::MAX / 2)
    }

    /// Notes that a call runs, until the result is dropped.
    pub(crate) fn run(&self, engine: &wasmtime::Engine) -> io::Result<Running<'_>> {
        if self.process != std::process::id() {
            let forked = self.forked.get_or_init(|| Clock::start(engine).ok().map(Box::new));
            return match forked {
                Some(clock) => clock.run(engine),
                None => Err(io::Error::other("the clock of this process could not be started")),
            };
        }
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Ok(Running(&self.shared))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.process != std::process::id() {
            // There is no such thread here, and what belongs to it is no more to be touched.
            std::mem::forget(thread);
            return;
        }
        self.shared.closed.store(true, Ordering::SeqCst);
        thread.thread().unpark();
        // Waited for, so that a library that holds this code may be unloaded. The thread does not panic.
        let _ = thread.join();
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

    #[test]
    fn a_clock_ticks_while_a_call_runs_and_ends_with_its_owner() {
        let engine = wasmtime::Engine::default();
        let clock = Clock::start(&engine).expect("a thread");
        let running = clock.run(&engine).expect("a call");
        std::thread::sleep(TICK * 3);
        drop(running);
        let shared = Arc::downgrade(&clock.shared);
        drop(clock);
        assert!(shared.upgrade().is_none(), "the thread has ended");
    }
}
