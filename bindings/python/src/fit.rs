//! `slotwise.Fit`.

use pyo3::prelude::*;
use slotwise as engine;

use crate::call::{answer, call};
use crate::convert::{self, Recipe};
use crate::errors::raise;

/// The answer of a fit or a claim: an assignment, a *no* with its reasons, or *undecided*.
///
/// It is true when the workload fits, so that ``if host.fit(requests):`` reads as it should; ``str()`` is the whole
/// answer as one readable paragraph.
#[pyclass(frozen, module = "slotwise", eq)]
#[derive(PartialEq)]
pub(crate) struct Fit(pub(crate) engine::Fit);

/// Takes the assignment of a fit, or reads one from a document.
pub(crate) fn assignment(object: &Bound<'_, PyAny>) -> PyResult<engine::Assignment> {
    let Ok(fit) = object.cast::<Fit>() else { return convert::document(object, "assignment") };
    fit.get().0.assignment().cloned().ok_or_else(|| {
        let error = engine::Error::new(engine::ErrorKind::InvalidArgument, "the fit has no assignment");
        raise(object.py(), &error.with_help("take only what fits").inside("assignment"))
    })
}

#[pymethods]
impl Fit {
    /// The answer that a dict (or its JSON text) describes.
    #[staticmethod]
    fn from_dict(document: &Bound<'_, PyAny>) -> PyResult<Self> {
        convert::document(document, "fit").map(Fit)
    }

    /// This answer as a dict, with everything that is known about it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(&self.0))
    }

    /// ``fits``, ``no_fit`` or ``undecided``.
    #[getter]
    fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.to_dict(py)?.get_item("outcome")
    }

    /// What serves each request: the pools, and on a tracked host the devices; None unless the workload fits.
    #[getter]
    fn assignment<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(self.0.assignment()))
    }

    /// Whether the workload fits, but the search budget ran out before anything better was ruled out: all is served as it
    /// was asked for, and other options, devices or cells may come before these in the documented order.
    #[getter]
    fn cut_short(&self) -> bool {
        self.0.assignment().is_some_and(|assignment| assignment.cut_short)
    }

    /// The addresses of all devices assigned, in the order in which they are taken, each request's companions last.
    ///
    /// Empty where nothing fits, or where the pools have counts only.
    #[getter]
    fn devices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || {
            let requests =
                self.0.assignment().map(|assignment| assignment.requests.as_slice()).unwrap_or_default();
            let devices =
                requests.iter().flat_map(|request| request.devices.iter().chain(&request.companions));
            Ok(devices.collect::<Vec<_>>())
        })
    }

    /// The indexes of a minimal set of requests that cannot be served together; empty unless the answer is *no*.
    #[getter]
    fn conflict(&self) -> Vec<usize> {
        match &self.0 {
            engine::Fit::NoFit(no_fit) => no_fit.conflict.clone(),
            _ => Vec::new(),
        }
    }

    /// For each request, the steps that dropped devices; empty unless the answer is *no*. When the search budget runs out,
    /// requests that are not in conflict may be left out.
    #[getter]
    fn reasons<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || {
            Ok(match &self.0 {
                engine::Fit::NoFit(no_fit) => no_fit.requests.as_slice(),
                _ => &[],
            })
        })
    }

    fn __bool__(&self) -> bool {
        self.0.fits()
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        call(py, || Ok(self.0.to_string()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<slotwise.Fit: {}>", self.__str__(py)?))
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Recipe<'py, (Bound<'py, PyAny>,)>> {
        Ok((py.get_type::<Self>().getattr("from_dict")?, (self.to_dict(py)?,)))
    }
}
