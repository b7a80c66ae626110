//! The ways into the engine, and the lock around state that calls change.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock, TryLockError};

use pyo3::prelude::*;
use serde::Serialize;
use slotwise::{Error, ErrorKind, Result};

use crate::{convert, errors, policy};

/// Does engine work without the interpreter lock, and raises its error; a panic becomes `InternalError`.
pub(crate) fn call<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    let done = py.detach(|| caught(work));
    match policy::raised() {
        Some(raised) => Err(raised),
        None => done.map_err(|error| errors::raise(py, &error)),
    }
}

/// How many search steps a question may take while the interpreter lock is held: a fraction of a millisecond.
///
/// To let go of the lock and to take it again costs a good part of a short question, and where other threads run
/// Python code, the wait for it is up to 5 ms (`sys.getswitchinterval`).
const STEPS_AT_ONCE: u64 = 16;

/// Asks `short`, with the steps that it may take, and, where that has no answer or somebody is changing the state, `long`
/// without the interpreter lock.
pub(crate) fn ask<S: Clone + Send + Sync, T: Send>(
    py: Python<'_>,
    state: &Shared<S>,
    short: impl FnOnce(&S, u64) -> Result<Option<T>>,
    long: impl FnOnce(&S) -> Result<T> + Send,
) -> PyResult<T> {
    match caught(|| state.read_at_once(|state| short(state, STEPS_AT_ONCE))) {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => call(py, || state.read(long)),
        Err(error) => Err(errors::raise(py, &error)),
    }
}

/// Does work, and makes an error of a panic.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(fault(panic.as_ref())))
}

/// As [`call`], for work whose result is handed out as a document.
pub(crate) fn answer<'py, T: Serialize>(
    py: Python<'py>,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let value = call(py, || work().and_then(|result| convert::value_of(&result)))?;
    convert::to_python(py, &value)
}

/// State that calls change, safe to use from any number of threads, and copied only when one of its copies changes.
///
/// Taken inside [`call`] and [`ask`] only. A panic inside [`Shared::write`] may leave the state half changed, so from then on
/// every use of it is an error.
#[derive(Debug)]
pub(crate) struct Shared<T>(RwLock<Arc<T>>);

impl<T: Clone> Shared<T> {
    pub(crate) fn new(state: T) -> Self {
        Shared(RwLock::new(Arc::new(state)))
    }

    /// Another holder of a state.
    pub(crate) fn of(state: Arc<T>) -> Self {
        Shared(RwLock::new(state))
    }

    pub(crate) fn read<R>(&self, work: impl FnOnce(&T) -> Result<R>) -> Result<R> {
        work(&*self.0.read().map_err(|_| broken())?)
    }

    /// As [`Shared::read`], or `None` where that would have to wait.
    fn read_at_once<R>(&self, work: impl FnOnce(&T) -> Result<Option<R>>) -> Result<Option<R>> {
        match self.0.try_read() {
            Ok(state) => work(&state),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Poisoned(_)) => Err(broken()),
        }
    }

    pub(crate) fn write<R>(&self, work: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        work(Arc::make_mut(&mut *self.0.write().map_err(|_| broken())?))
    }

    /// The state as it is now, which later calls do not change; costs nothing until one does.
    pub(crate) fn state(&self) -> Result<Arc<T>> {
        Ok(Arc::clone(&*self.0.read().map_err(|_| broken())?))
    }

    /// Whether two hold equal states; one that other threads are changing is always equal to itself.
    pub(crate) fn equals(&self, other: &Self, equal: impl FnOnce(&T, &T) -> bool) -> Result<bool> {
        if std::ptr::eq(self, other) {
            return Ok(true);
        }
        let (this, that) = (self.state()?, other.state()?);
        Ok(Arc::ptr_eq(&this, &that) || equal(&this, &that))
    }

    /// Another holder of the same state.
    pub(crate) fn copy(&self) -> Result<Self> {
        self.state().map(Shared::of)
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::Internal, "an earlier fault may have left this object half changed")
        .with_help("make a new one, from a snapshot if there is one")
}

fn fault(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("a fault in slotwise itself: {text}"))
        .with_help("please report it, with the input that led to it")
}
