//! `slotwise.Policy`.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use serde_json::{Value, json};
use slotwise::policy::{self, DeviceTable, HostTable, Query};
use slotwise::{Device, ExtraInfo};
use slotwise_sandbox::{LogLine, PolicyOptions, scope_names};

use crate::call::{Shared, answer, call};
use crate::convert;
use crate::pools::Pools;
use crate::request::{Workload, workload};

/// An operator's placement policy: a WebAssembly component, run under limits and without trust.
///
/// Made with ``Policy.load``. It may be asked on its own, and given to what takes ``policies``. Any number of threads
/// may ask it at once; the interpreter lock is released meanwhile. Its log lines, and one line for each kind of failure,
/// go to the logger ``slotwise.policy``.
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct Policy(pub(crate) slotwise_sandbox::Policy);

/// The argument ``policies``: a list of `Policy`, in the order in which they are asked.
pub(crate) struct Policies(Vec<slotwise_sandbox::Policy>);

impl Policies {
    /// The policies as the engine takes them.
    pub(crate) fn as_dyn(&self) -> Vec<&dyn policy::Policy> {
        self.0.iter().map(|policy| policy as _).collect()
    }
}

impl<'py> FromPyObject<'_, 'py> for Policies {
    type Error = PyErr;

    fn extract(list: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let policy = |(i, item): (usize, PyResult<Bound<'py, PyAny>>)| match item?.cast::<Policy>() {
            Ok(policy) => Ok(policy.get().0.clone()),
            Err(other) => {
                Err(PyTypeError::new_err(format!("policies[{i}] must be a slotwise.Policy: {other}")))
            }
        };
        list.try_iter()?.enumerate().map(policy).collect::<PyResult<_>>().map(Policies)
    }
}

#[pymethods]
impl Policy {
    /// Reads, compiles and configures the policy in a file.
    ///
    /// ``limits`` is a dict of ``time_ms``, ``fuel``, ``memory``, ``table``, ``stack``, ``result`` and ``instances``, of
    /// which any may be left out. ``configuration`` is handed to the policy as it is. ``on_failure`` is ``"closed"`` (the
    /// call raises ``PolicyFailedError``), ``"open"`` (the query goes as if it had not been asked) or ``{"drop_after": N}`` (closed
    /// until it has failed so often, then not asked any more). ``keep_instances`` uses an instance for more than one
    /// call, which saves some microseconds, and lets the policy remember. ``cache`` is a private directory for compiled
    /// code.
    ///
    /// Raises ``InvalidPolicyError`` for a component that is no policy, imports anything but its log, does not fit its
    /// limits or refuses its configuration, and for a cache that others could write.
    #[staticmethod]
    #[pyo3(signature = (path, *, limits=None, configuration=None, name=None, on_failure=None, keep_instances=false, cache=None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        limits: Option<&Bound<'_, PyAny>>,
        configuration: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
        on_failure: Option<&Bound<'_, PyAny>>,
        keep_instances: bool,
        cache: Option<PathBuf>,
    ) -> PyResult<Self> {
        let value = |object: Option<&Bound<'_, PyAny>>, what: &str, default: Value| {
            object.map_or(Ok(default), |object| convert::to_value(object, what))
        };
        let document = json!({
            "name": name,
            "limits": value(limits, "limits", json!({}))?,
            "on_failure": value(on_failure, "on_failure", json!("closed"))?,
            "keep_instances": keep_instances,
        });
        let configuration = configuration.map(bytes).transpose()?.unwrap_or_default();
        call(py, move || {
            let options = PolicyOptions {
                configuration,
                cache,
                log: Some(Arc::new(log)),
                ..PolicyOptions::from_json(&document.to_string())?
            };
            slotwise_sandbox::Policy::load(&path, options).map_err(|error| error.at_load(&path))
        })
        .map(Policy)
    }

    /// Which hosts may take a workload: a list with None for each that passes, else the reason why not.
    ///
    /// ``hosts`` is a list of dicts ``{"name", "attributes", "pools"}``, of which only the name is needed, or its JSON
    /// text. ``requests`` is a ``Workload`` or a list of requests; ``facts`` is what else is known about it.
    #[pyo3(signature = (hosts, requests=None, facts=None))]
    fn filter<'py>(
        &self,
        hosts: &Bound<'py, PyAny>,
        requests: Option<&Bound<'_, PyAny>>,
        facts: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = hosts.py();
        let (text, asked) = (json_of(hosts, "hosts")?, Asked::new(requests, facts)?);
        let verdicts =
            call(py, || policy::filter(&[&self.0], &asked.query(), &HostTable::from_json(&text)?))?;
        // One text for each reason, however many hosts are refused for it.
        let reasons: Vec<_> = verdicts.reasons().iter().map(|reason| PyString::new(py, reason)).collect();
        let of_host = |&code: &u32| (code as usize).checked_sub(1).map(|reason| &reasons[reason]);
        PyList::new(py, verdicts.codes().iter().map(of_host))
    }

    /// How well each host suits a workload: a list of numbers, more is better; arguments as ``filter``.
    #[pyo3(signature = (hosts, requests=None, facts=None))]
    fn score(
        &self,
        hosts: &Bound<'_, PyAny>,
        requests: Option<&Bound<'_, PyAny>>,
        facts: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<f64>> {
        let py = hosts.py();
        let (text, asked) = (json_of(hosts, "hosts")?, Asked::new(requests, facts)?);
        call(py, || policy::score(&self.0, &asked.query(), &HostTable::from_json(&text)?))
    }

    /// How gladly each of a host's free devices is given away: a list of numbers, the highest is taken first.
    ///
    /// ``devices`` is a list as ``discover`` gives it, or its JSON text.
    #[pyo3(signature = (devices, requests=None, facts=None, host=""))]
    fn prefer(
        &self,
        devices: &Bound<'_, PyAny>,
        requests: Option<&Bound<'_, PyAny>>,
        facts: Option<&Bound<'_, PyAny>>,
        host: &str,
    ) -> PyResult<Vec<f64>> {
        let py = devices.py();
        let (text, asked) = (json_of(devices, "devices")?, Asked::new(requests, facts)?);
        call(py, || policy::prefer(&self.0, &asked.query(), &DeviceTable::from_json(host, &text)?))
    }

    /// The name that reasons, errors and log lines give to it.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// What it answers (``filter``, ``score``, ``prefer``) and reads (``requests``, ``facts``, ``names``, ``attributes``,
    /// ``filter_pools``, ``score_pools``, ``pool_attributes``).
    #[getter]
    fn scope(&self) -> Vec<&'static str> {
        scope_names(self.0.scope())
    }

    /// What one call may use.
    #[getter]
    fn limits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(self.0.limits().clone()))
    }

    /// How often it was asked and failed so far: ``calls``, ``failed``, ``failures`` by kind, ``dropped``, ``log_lines``,
    /// ``log_lines_lost``.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(self.0.counters()))
    }

    fn __repr__(&self) -> String {
        format!("<slotwise.Policy {:?}: {}>", self.0.name(), self.scope().join(", "))
    }
}

/// A compute node's pools with the devices in them, and the workload with the order in which policies give them away.
///
/// ``devices`` has the devices of each pool. Both come back as they are where no policy prefers.
#[pyfunction]
pub(crate) fn nova_prefer(
    pools: &Pools,
    devices: &Bound<'_, PyAny>,
    workload: &Workload,
    policies: Policies,
) -> PyResult<(Pools, Workload)> {
    let py = devices.py();
    let devices: Vec<Vec<Device>> = convert::document(devices, "devices")?;
    call(py, move || {
        let all = devices.concat();
        let query = Query { workload: &workload.0, facts: &ExtraInfo::new() };
        let order = policy::order(&policies.as_dyn(), &query, || DeviceTable::of("", &all))?;
        let Some(order) = order else {
            return Ok((pools.0.state()?.as_ref().clone(), (*workload.0).clone()));
        };
        let state = pools.0.state()?;
        let mut list = state.as_slice().to_vec();
        for (pool, devices) in list.iter_mut().zip(&devices) {
            pool.devices = devices.iter().map(|device| device.address).collect();
        }
        let alike = |tier: &Vec<usize>| tier.iter().map(|&device| all[device].address).collect();
        let prefer_devices = order.iter().map(alike).collect();
        let topology = state.topology().cloned();
        Ok((
            slotwise::Pools::in_order(list, topology),
            slotwise::Workload { prefer_devices, ..(*workload.0).clone() },
        ))
    })
    .map(|(pools, workload)| (Pools(Shared::new(pools)), Workload(Arc::new(workload))))
}

/// What a policy is asked for.
struct Asked {
    workload: Arc<slotwise::Workload>,
    facts: ExtraInfo,
}

impl Asked {
    fn new(requests: Option<&Bound<'_, PyAny>>, facts: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let workload = match requests {
            Some(requests) => workload(requests, None)?.into_shared(),
            None => Arc::default(),
        };
        let facts = facts.map_or_else(|| Ok(ExtraInfo::new()), |facts| convert::document(facts, "facts"))?;
        Ok(Asked { workload, facts })
    }

    fn query(&self) -> Query<'_> {
        Query { workload: &self.workload, facts: &self.facts }
    }
}

/// The JSON text of a document, or the text that it is.
fn json_of(object: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    match convert::json_text(object, what)? {
        Some(text) => Ok((*text).to_owned()),
        None => Ok(convert::to_value(object, what)?.to_string()),
    }
}

fn bytes(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    match object.cast::<PyString>() {
        Ok(_) => convert::text(object, "configuration").map(String::into_bytes),
        Err(_) => Err(PyTypeError::new_err("configuration must be str or bytes")),
    }
}

thread_local! {
    /// What a handler of a signal raised while a line was logged: the call that the line belongs to raises it at its end.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// What the call that ends now is to raise in the place of its answer.
pub(crate) fn raised() -> Option<PyErr> {
    RAISED.take()
}

/// Hands a line to Python's logging; one that cannot be handed over is lost, as it is for every other handler there.
fn log(line: &LogLine) {
    Python::try_attach(|py| {
        let handed_over = py
            .import("logging")
            .and_then(|logging| logging.call_method1("getLogger", ("slotwise.policy",)))
            .and_then(|logger| logger.call_method1(line.level.name(), ("%s: %s", &line.policy, &line.text)));
        match handed_over {
            Ok(_) => {}
            Err(error) if error.is_instance_of::<PyException>(py) => error.write_unraisable(py, None),
            // To end the program, or what it does now: nothing that a log may keep to itself.
            Err(error) => RAISED.set(Some(error)),
        }
    });
}
