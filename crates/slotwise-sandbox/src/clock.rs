//! The clock that ends calls which run too long.
//!
//! wasmtime compares a counter, the epoch, at each loop and function entry of the guest. A thread moves it on while
//! calls run, and sleeps while none does, so that an idle process is never woken.
//!
//! A process that forks leaves its threads behind. Schedulers load first and fork their workers then, so that the first
//! call in a child starts a thread of its own.
//!
//! What every call does here must not ask the system for anything: that takes longer than a small question.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::mm::{self, Advice, MapFlags, ProtFlags};

use crate::error::{Error, Result};

/// How often the epoch moves on.
const TICK: Duration = Duration::from_millis(10);

/// Moves the epoch of one wasmtime engine on while calls run; stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Clock {
    process: Process,
    shared: Arc<Shared>,
    /// Taken when the clock is dropped.
    thread: Option<JoinHandle<()>>,
    /// The clock of a process that was forked from this one. Not a lock: one that is held while the process forks would
    /// stay held in the child.
    forked: OnceLock<Box<Clock>>,
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
    pub(crate) fn start(engine: &wasmtime::Engine) -> Result<Self> {
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
                // The last call may end, and the clock be dropped, in the middle of a tick. Who began a call may wake
                // this thread when it is awake already, which makes no tick shorter.
                let mut end = Instant::now() + TICK;
                while state.calls.load(Ordering::SeqCst) > 0 && !state.closed.load(Ordering::SeqCst) {
                    let left = end.saturating_duration_since(Instant::now());
                    if !left.is_zero() {
                        std::thread::park_timeout(left);
                        continue;
                    }
                    engine.increment_epoch();
                    // From where this one should have ended, so that being woken late does not add up over a call; but what
                    // is a whole tick late is not made up for, because calls may have begun since.
                    let now = Instant::now();
                    end = if now < end + TICK { end + TICK } else { now + TICK };
                }
            }
        });
        let thread = thread.map_err(|error| Error::System(error.to_string()))?;
        Ok(Clock { process: Process::this(), shared, thread: Some(thread), forked: OnceLock::new() })
    }

    /// How many ticks a call must be given so that it may run for `time`: one more for the tick that has begun, and one for
    /// that one's end, which may come late.
    pub(crate) fn ticks(time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos()).saturating_add(2);
        // The deadline is added to the epoch, which must not wrap around.
        u64::try_from(ticks).unwrap_or(u64::MAX).min(u64::MAX / 2)
    }

    /// Notes that a call runs, until the result is dropped.
    pub(crate) fn run(&self, engine: &wasmtime::Engine) -> Result<Running<'_>> {
        if self.process.was_forked() {
            // Those calls' threads are not here, and what they had locked stays locked.
            if self.shared.calls.load(Ordering::SeqCst) > 0 {
                return Err(Error::Forked);
            }
            let clock = match self.forked.get() {
                Some(clock) => clock,
                None => {
                    // Where there was no thread to be had, the next call tries again.
                    let clock = Box::new(Clock::start(engine)?);
                    self.forked.get_or_init(|| clock)
                }
            };
            return clock.run(engine);
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

/// Knows whether this is still the process that it was made in.
#[derive(Debug)]
struct Process {
    id: u32,
    /// A page that the system clears in a forked process; `None` where it cannot.
    page: Option<NonNull<AtomicU32>>,
}

// SAFETY: the page is only read, and belongs to this value alone.
#[allow(unsafe_code, reason = "a pointer says nothing about threads; why it is sound is said beside it")]
unsafe impl Send for Process {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "a pointer says nothing about threads; why it is sound is said beside it")]
unsafe impl Sync for Process {}

/// As much as any system's page has, of which nothing but the first word is used.
const PAGE: usize = 64 << 10;

impl Process {
    #[allow(unsafe_code, reason = "mapping a page; why it is sound is said beside it")]
    fn this() -> Self {
        let id = std::process::id();
        // SAFETY: a new mapping, at an address that the system chooses.
        let mapped = unsafe {
            mm::mmap_anonymous(
                std::ptr::null_mut(),
                PAGE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        };
        let page = mapped.ok().and_then(|page| NonNull::new(page.cast::<AtomicU32>()));
        let mut process = Process { id, page };
        if let Some(page) = page {
            // SAFETY: the page is ours, and so large; clearing it in a child leaves a valid number there.
            let wiped = unsafe { mm::madvise(page.as_ptr().cast(), PAGE, Advice::LinuxWipeOnFork) };
            if wiped.is_ok() {
                // SAFETY: mapped above, aligned to a page, and zero, which is a valid number.
                unsafe { page.as_ref() }.store(id, Ordering::Relaxed);
            } else {
                process.unmap();
            }
        }
        process
    }

    /// Whether this runs in a process that was forked from the one that it was made in.
    #[allow(unsafe_code, reason = "reading the page; why it is sound is said beside it")]
    fn was_forked(&self) -> bool {
        match self.page {
            // SAFETY: mapped until this is dropped; the number is written before anybody else has this.
            Some(page) => unsafe { page.as_ref() }.load(Ordering::Relaxed) != self.id,
            None => std::process::id() != self.id,
        }
    }

    #[allow(unsafe_code, reason = "unmapping the page; why it is sound is said beside it")]
    fn unmap(&mut self) {
        if let Some(page) = self.page.take() {
            // SAFETY: what `this` mapped, of the same size; nothing refers to it any more.
            let _ = unsafe { mm::munmap(page.as_ptr().cast(), PAGE) };
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.unmap();
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
        if self.process.was_forked() {
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
        assert_eq!(Clock::ticks(Duration::ZERO), 2);
        assert_eq!(Clock::ticks(Duration::from_millis(10)), 3);
        assert_eq!(Clock::ticks(Duration::from_millis(11)), 4);
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
