//! The engine's log lines, written with Python's `logging` to the logger `slotwise`.
//!
//! A program that has not imported `logging` has no one who listens, so it is not imported for it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use slotwise::log::{Level, Line};

/// Writes a line if the logger wants its level.
pub(crate) fn write(py: Python<'_>, line: impl FnOnce() -> Line) {
    // What was done is done: a logger that fails must not make it look otherwise.
    if let Err(error) = try_write(py, line) {
        error.write_unraisable(py, None);
    }
}

/// Writes the warnings of rules, aliases or a configuration that were just read.
pub(crate) fn warnings(py: Python<'_>, warnings: impl IntoIterator<Item = String>) {
    for warning in warnings {
        write(py, || slotwise::log::warning(&warning));
    }
}

fn try_write(py: Python<'_>, line: impl FnOnce() -> Line) -> PyResult<()> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if LOGGER.get(py).is_none() {
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
        let Some(logging) = modules.get_item("logging")? else { return Ok(()) };
        // Absent while the module is still being imported.
        let Ok(get_logger) = logging.getattr("getLogger") else { return Ok(()) };
        let logger = get_logger.call1(("slotwise",))?.unbind();
        let _ = LOGGER.set(py, logger);
    }
    let Some(logger) = LOGGER.get(py) else { return Ok(()) };
    let line = line();
    let level = match line.level {
        Level::Error => 40,
        Level::Warning => 30,
        Level::Info => 20,
        Level::Debug => 10,
    };
    logger.call_method1(py, "log", (level, "%s", line.text))?;
    Ok(())
}
