//! Policies run in a thread of their own, which ends with the call.
//!
//! Their runtime gives every thread that it is used in a stack for signals, and something to do when the thread ends. The
//! first would be seen by the caller, whose thread it is; because of the second, the system would keep this library loaded
//! until the thread ends, though the caller has unloaded it: a plugin that is exchanged in a process with lasting threads
//! would stay as it was. A thread costs some 20 µs, which a question about many hosts does not notice.

use std::ffi::c_void;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use slotwise::Result;
use slotwise::policy::{DeviceTable, HostTable, Policy, Query, Scope, Verdicts};

/// As much as a thread has by default on most systems, and enough for the largest stack that a policy may be given.
const STACK: usize = 8 << 20;

/// Does `work` in a thread that has ended when this returns.
pub(crate) fn apart<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let work = crate::settings::also_while_logging(work);
    let mut task = Task { work: Some(work), result: None };
    if !run(&mut task)
        && let Some(work) = task.work.take()
    {
        // The system has no thread to give. The call is more important than that the library can be unloaded.
        return work();
    }
    match task.result {
        Some(Ok(result)) => result,
        Some(Err(panic)) => resume_unwind(panic),
        None => unreachable!("the thread was waited for"),
    }
}

struct Task<F, R> {
    work: Option<F>,
    result: Option<std::thread::Result<R>>,
}

/// Not by `std::thread`, which gives the thread that starts another one something to do at its end, too.
fn run<F: FnOnce() -> R + Send, R: Send>(task: &mut Task<F, R>) -> bool {
    extern "C" fn start<F: FnOnce() -> R, R>(task: *mut c_void) -> *mut c_void {
        // SAFETY: `run` below hands over a task of this type and does not touch it until this thread has ended.
        let task = unsafe { &mut *task.cast::<Task<F, R>>() };
        if let Some(work) = task.work.take() {
            task.result = Some(catch_unwind(AssertUnwindSafe(work)));
        }
        ptr::null_mut()
    }

    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: each place is initialised by the call that is given it, before another one reads it. The task lives until the
    // thread was waited for, and what is `Send` may be moved to it and back.
    unsafe {
        if libc::pthread_attr_init(attributes.as_mut_ptr()) != 0 {
            return false;
        }
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK);
        // The caller's handlers of signals are to run in the caller's own threads.
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let task = ptr::from_mut(task).cast();
        let failed = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), start::<F, R>, task);
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        failed == 0 && libc::pthread_join(thread.assume_init(), ptr::null_mut()) == 0
    }
}

/// A policy that is asked, and freed, apart.
#[derive(Debug)]
pub(crate) struct Apart(ManuallyDrop<slotwise_sandbox::Policy>);

impl Apart {
    pub(crate) fn new(policy: slotwise_sandbox::Policy) -> Self {
        Apart(ManuallyDrop::new(policy))
    }
}

impl std::ops::Deref for Apart {
    type Target = slotwise_sandbox::Policy;

    fn deref(&self) -> &slotwise_sandbox::Policy {
        &self.0
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // SAFETY: dropped once, and not used after that.
        apart(|| unsafe { ManuallyDrop::drop(&mut self.0) });
    }
}

impl Policy for Apart {
    fn name(&self) -> &str {
        Policy::name(&**self)
    }

    fn scope(&self) -> Scope {
        Policy::scope(&**self)
    }

    fn filter(&self, query: &Query<'_>, hosts: &HostTable) -> Result<Option<Verdicts>> {
        apart(|| Policy::filter(&**self, query, hosts))
    }

    fn score(&self, query: &Query<'_>, hosts: &HostTable) -> Result<Option<Vec<f64>>> {
        apart(|| Policy::score(&**self, query, hosts))
    }

    fn prefer(&self, query: &Query<'_>, devices: &DeviceTable) -> Result<Option<Vec<f64>>> {
        apart(|| Policy::prefer(&**self, query, devices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_elsewhere_and_its_result_comes_back() {
        let here = std::thread::current().id();
        let mut seen = None;
        let sum = apart(|| {
            seen = Some(std::thread::current().id());
            [1, 2, 3].iter().sum::<u32>()
        });
        assert_eq!(sum, 6);
        assert!(seen.is_some_and(|there| there != here));
    }

    #[test]
    fn a_panic_comes_back() {
        let caught = catch_unwind(|| apart(|| panic!("boom"))).expect_err("it panics");
        assert_eq!(caught.downcast_ref(), Some(&"boom"));
    }
}
