//! The engine's errors as Python exceptions; the classes are made in `slotwise/_errors.py` from [`table`].

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use slotwise::{Error, ErrorCategory, ErrorKind};

use crate::log;

/// One row per kind of error: its class, the builtin class that is its second parent, kind, code and meaning.
pub(crate) fn table(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let rows = ErrorKind::ALL.iter().map(|kind| {
        let class = format!("{}Error", kind.camel_name());
        (class, builtin(kind.category()), kind.name(), kind.code(), kind.meaning())
    });
    PyTuple::new(py, rows.collect::<Vec<_>>())
}

fn builtin(category: ErrorCategory) -> &'static str {
    match category {
        ErrorCategory::BadInput | ErrorCategory::Limit => "ValueError",
        ErrorCategory::NotFound => "LookupError",
        _ => "RuntimeError",
    }
}

/// The exception for an error of the engine.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    log::write(py, || slotwise::log::failed(error));
    exception(py, error).map_or_else(|failure| failure, PyErr::from_value)
}

fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = CLASSES.import(py, "slotwise._errors", "CLASSES")?;
    let place = error.place();
    classes.as_any().get_item(error.kind().name())?.call1((
        error.to_string(),
        error.message(),
        place.path.as_str(),
        place.line,
        place.column,
        error.help(),
    ))
}
