//! The one way into the engine, and the lock around state that calls change.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use pyo3::prelude::*;
use serde::Serialize;
use slotwise::{Error, ErrorKind, Result};

use crate::{convert, errors};

/// Does engine work without the interpreter lock, and raises its error; a panic becomes `InternalError`.
pub(crate) fn call<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(fault(panic.as_ref()))))
        .map_err(|error| errors::raise(py, &error))
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
/// Taken inside [`call`] only. A panic inside [`Shared::write`] may leave the state half changed, so from then on
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
