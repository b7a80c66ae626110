//! `slotwise.Request` and `slotwise.Workload`.

use std::ops::Deref;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use slotwise as engine;

use crate::call::answer;
use crate::convert::{self, Fields, Recipe};
use crate::errors::raise;

/// A count of devices, each of which must match one of the alternatives.
///
/// ``alternatives`` is a list of dicts: attribute or tag → value; a device must match all entries of at least one.
/// Values are compared without regard to case; None matches what is absent or null. ``count`` is 1 unless given. All
/// other fields are given by name, and may be left out:
///
/// - ``request_id``, ``requester_id``: the devices given can be asked for by either (a port, a NIC, a container).
/// - ``alias_name``: the alias that the request is made from.
/// - ``numa_policy``: ``required``, ``preferred``, ``legacy`` (the default) or ``socket``.
/// - ``source``: ``flavor`` (the default) or ``neutron_port``.
/// - ``otherwise``: what to take instead, best first: a list of dicts with ``count`` and ``alternatives``.
/// - ``isolate``: each device from another card.
/// - ``same``, ``distinct``, ``prefer_same``: attributes in which its devices must agree, must differ, should agree.
///
/// Requests do not change; ``replace`` makes another.
///
/// Raises ``InvalidRequestError`` when the count is out of range or there is no alternative.
///
/// >>> Request([{"vendor_id": "15b3", "physical_network": "blue"}], count=2, request_id="r1").count
/// 2
#[pyclass(frozen, module = "slotwise", eq, hash)]
#[derive(Eq, Hash, PartialEq)]
pub(crate) struct Request(pub(crate) engine::Request);

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (alternatives, count=None, **fields))]
    fn new(
        alternatives: &Bound<'_, PyAny>,
        count: Option<&Bound<'_, PyAny>>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<Self> {
        let py = alternatives.py();
        let fields = fields.map_or_else(|| Ok(PyDict::new(py)), PyDictMethods::copy)?;
        if let Some(count) = count {
            fields.set_item("count", count)?;
        }
        convert::first_and_fields(("alternatives", alternatives), Some(&fields), "request").map(Request)
    }

    /// The request that a dict (or its JSON text) describes; ``spec``, as Nova says, may stand for ``alternatives``.
    #[staticmethod]
    fn from_dict(document: &Bound<'_, PyAny>) -> PyResult<Self> {
        convert::document(document, "request").map(Request)
    }

    /// This request as a dict.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(&self.0))
    }

    /// A request like this one with some fields replaced.
    #[pyo3(signature = (**changes))]
    fn replace(&self, py: Python<'_>, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let document = self.to_dict(py)?.cast_into::<PyDict>()?;
        if let Some(changes) = changes {
            document.update(changes.as_mapping())?;
        }
        convert::document(&document, "request").map(Request)
    }

    /// What a device may look like, one dict per alternative.
    #[getter]
    fn alternatives<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(&self.0.alternatives))
    }

    /// How many devices, at least 1.
    #[getter]
    fn count(&self) -> u32 {
        self.0.count
    }

    /// Names this request.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Names who asks.
    #[getter]
    fn requester_id(&self) -> Option<&str> {
        self.0.requester_id.as_deref()
    }

    /// The alias that the request was made from.
    #[getter]
    fn alias_name(&self) -> Option<&str> {
        self.0.alias_name.as_deref()
    }

    /// How near to the guest's NUMA cells; None means ``legacy``.
    #[getter]
    fn numa_policy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(self.0.numa_policy))
    }

    /// Where the request comes from: ``flavor`` or ``neutron_port``.
    #[getter]
    fn source<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(self.0.source))
    }

    /// What to take instead, best first.
    #[getter]
    fn otherwise<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(&self.0.otherwise))
    }

    /// Whether each device must be of another card.
    #[getter]
    fn isolate(&self) -> bool {
        self.0.isolate
    }

    /// Attributes in which its devices must agree.
    #[getter]
    fn same(&self) -> &[String] {
        &self.0.same
    }

    /// Attributes in which no two of its devices may agree.
    #[getter]
    fn distinct(&self) -> &[String] {
        &self.0.distinct
    }

    /// Attributes in which its devices should agree as far as possible.
    #[getter]
    fn prefer_same(&self) -> &[String] {
        &self.0.prefer_same
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        convert::repr(py, "Request", &self.0)
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

/// Everything one workload asks of one host, read once and usable on any number of hosts.
///
/// ``requests`` are ``Request`` objects or dicts; all must be served, by different devices. All other fields are given by
/// name, and may be left out:
///
/// - ``numa_cells``: the host's cells that the guest runs on; empty when it has no NUMA topology.
/// - ``numa_cells_from``: cells to choose the guest's from instead: ``{"from": [0, 1], "count": 1}``.
/// - ``constraints``: across requests: ``{"requests": [0, 1], "same": "numa_node"}``, or ``distinct``.
/// - ``prefer``: ``stable`` (the default: Nova's order), ``pack`` (keep whole cards free) or ``spread``.
/// - ``spread_over``: the attribute that ``spread`` spreads over; the card's ``address`` unless given.
/// - ``prefer_devices``: lists of addresses, best first: devices that should be given away before others
///   (``Tracker.prefer`` asks policies).
/// - ``provider_mapping``: Placement's choice, request group → list of resource providers.
/// - ``strategy``: ``exact`` (the default: *no fit* means that no assignment exists) or ``nova`` (as OpenStack Nova 34
///   answers, wrong answers included).
/// - ``budget``: how many search steps ``exact`` may take before it answers *undecided*.
///
/// ``fit`` and ``claim`` take a workload, or its fields. Workloads do not change.
#[pyclass(frozen, module = "slotwise", eq)]
#[derive(PartialEq)]
pub(crate) struct Workload(pub(crate) Arc<engine::Workload>);

/// A workload as it was given: an object that the caller keeps, or made of its fields.
pub(crate) enum Given<'a> {
    Known(&'a Arc<engine::Workload>),
    Made(Arc<engine::Workload>),
}

impl Given<'_> {
    pub(crate) fn into_shared(self) -> Arc<engine::Workload> {
        match self {
            Given::Known(workload) => Arc::clone(workload),
            Given::Made(workload) => workload,
        }
    }
}

impl Deref for Given<'_> {
    type Target = engine::Workload;

    fn deref(&self) -> &engine::Workload {
        match self {
            Given::Known(workload) => workload,
            Given::Made(workload) => workload,
        }
    }
}

/// Takes a workload, or makes one of its fields; a `str` or `bytes` is the JSON text of a whole one.
pub(crate) fn workload<'a>(
    requests: &'a Bound<'_, PyAny>,
    fields: Option<Fields<'_, '_>>,
) -> PyResult<Given<'a>> {
    let py = requests.py();
    if let Ok(workload) = requests.cast::<Workload>() {
        convert::refuse_fields(py, fields, "workload")?;
        return Ok(Given::Known(&workload.get().0));
    }
    let made = if requests.is_instance_of::<PyString>() || requests.is_instance_of::<PyBytes>() {
        convert::document_or_fields(py, Some(requests), fields, "workload")
    } else {
        convert::first_and_fields(("requests", requests), fields, "workload")
    };
    made.map(|workload| Given::Made(Arc::new(workload)))
}

#[pymethods]
impl Workload {
    #[new]
    #[pyo3(signature = (requests, **fields))]
    fn new(requests: &Bound<'_, PyAny>, fields: Option<Fields<'_, '_>>) -> PyResult<Self> {
        workload(requests, fields).map(|given| Workload(given.into_shared()))
    }

    /// The workload that a dict (or its JSON text) describes.
    #[staticmethod]
    fn from_dict(document: &Bound<'_, PyAny>) -> PyResult<Self> {
        convert::document(document, "workload").map(|workload| Workload(Arc::new(workload)))
    }

    /// This workload as a dict.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(&*self.0))
    }

    /// The requests.
    #[getter]
    fn requests(&self) -> Vec<Request> {
        self.0.requests.iter().cloned().map(Request).collect()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        convert::repr(py, "Workload", &*self.0)
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

/// Gives each request its id; there must be one id per request.
pub(crate) fn with_ids(
    py: Python<'_>,
    requests: Vec<engine::Request>,
    ids: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<Request>> {
    let Some(ids) = ids else { return Ok(requests.into_iter().map(Request).collect()) };
    let ids: Vec<Option<String>> = convert::value(ids, "request_ids")?;
    if ids.len() != requests.len() {
        let message = format!("{} request ids are given for {} requests", ids.len(), requests.len());
        let error = engine::Error::new(engine::ErrorKind::InvalidArgument, message);
        return Err(raise(py, &error.with_help("give one id per request").inside("request_ids")));
    }
    let named = requests.into_iter().zip(ids);
    Ok(named.map(|(request, request_id)| Request(engine::Request { request_id, ..request })).collect())
}
