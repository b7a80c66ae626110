//! `slotwise.Request` and `slotwise.Workload`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use slotwise as engine;

use crate::call::answer;
use crate::convert;
use crate::errors::raise;

/// A count of devices, each of which must match one of the alternatives.
///
/// ``alternatives`` is a list of dicts: attribute or tag → value; a device must match all entries of at least one.
/// Values are compared without regard to case; None matches what is absent or null. ``numa_policy`` is one of
/// ``required``, ``preferred``, ``legacy`` and ``socket`` (None means ``legacy``); ``source`` is ``flavor`` or
/// ``neutron_port``. The devices given can be asked for by ``request_id`` and by ``requester_id`` (a port, a NIC, a
/// container). Requests do not change; ``replace`` makes another.
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
    #[pyo3(signature = (alternatives, count=None, *, request_id=None, requester_id=None, alias_name=None,
                        numa_policy=None, source=None))]
    #[expect(clippy::too_many_arguments, reason = "they are the fields of a request, given by name")]
    fn new(
        alternatives: &Bound<'_, PyAny>,
        count: Option<&Bound<'_, PyAny>>,
        request_id: Option<&Bound<'_, PyAny>>,
        requester_id: Option<&Bound<'_, PyAny>>,
        alias_name: Option<&Bound<'_, PyAny>>,
        numa_policy: Option<&Bound<'_, PyAny>>,
        source: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let fields = [
            ("alternatives", Some(alternatives)),
            ("count", count),
            ("request_id", request_id),
            ("requester_id", requester_id),
            ("alias_name", alias_name),
            ("numa_policy", numa_policy),
            ("source", source),
        ];
        convert::fields(alternatives.py(), &fields, "request").map(Request)
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

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        convert::repr(py, "Request", &self.0)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyAny>,))> {
        Ok((py.get_type::<Self>().getattr("from_dict")?, (self.to_dict(py)?,)))
    }
}

/// Everything one workload asks of one host, read once and usable on any number of hosts.
///
/// ``requests`` are ``Request`` objects or dicts; all must be served, by different devices. ``numa_cells`` are the
/// host's cells that the guest runs on; None or empty when it has no NUMA topology. ``provider_mapping`` is
/// Placement's choice: request group → list of resource providers. ``strategy`` is ``exact`` (the default: *no fit*
/// means that no assignment exists) or ``nova`` (as OpenStack Nova 34 answers, wrong answers included). ``budget`` is how
/// many search steps ``exact`` may take before it answers *undecided*. Workloads do not change.
///
/// ``fit`` and ``claim`` take a workload, or its arguments.
#[pyclass(frozen, module = "slotwise", eq)]
#[derive(PartialEq)]
pub(crate) struct Workload(pub(crate) Arc<engine::Workload>);

/// The fields of a workload beside its requests, as arguments of a function.
pub(crate) type Field<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Takes a workload, or makes one of its fields; a `str` or `bytes` is the JSON text of a whole one.
pub(crate) fn workload<'py>(
    requests: &Bound<'py, PyAny>,
    numa_cells: Field<'_, 'py>,
    provider_mapping: Field<'_, 'py>,
    strategy: Field<'_, 'py>,
    budget: Field<'_, 'py>,
) -> PyResult<Arc<engine::Workload>> {
    let py = requests.py();
    let rest = [
        ("numa_cells", numa_cells),
        ("provider_mapping", provider_mapping),
        ("strategy", strategy),
        ("budget", budget),
    ];
    if let Ok(workload) = requests.cast::<Workload>() {
        convert::refuse_fields(py, &rest, "workload")?;
        return Ok(Arc::clone(&workload.get().0));
    }
    if requests.is_instance_of::<PyString>() || requests.is_instance_of::<PyBytes>() {
        return convert::whole_or_fields(py, Some(requests), &rest, "workload").map(Arc::new);
    }
    let [a, b, c, d] = rest;
    convert::fields(py, &[("requests", Some(requests)), a, b, c, d], "workload").map(Arc::new)
}

#[pymethods]
impl Workload {
    #[new]
    #[pyo3(signature = (requests, numa_cells=None, provider_mapping=None, strategy=None, budget=None))]
    fn new<'py>(
        requests: &Bound<'py, PyAny>,
        numa_cells: Field<'_, 'py>,
        provider_mapping: Field<'_, 'py>,
        strategy: Field<'_, 'py>,
        budget: Field<'_, 'py>,
    ) -> PyResult<Self> {
        workload(requests, numa_cells, provider_mapping, strategy, budget).map(Workload)
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

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyAny>,))> {
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
