//! `slotwise.DeviceSpecs`.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use slotwise as engine;

use crate::call::{answer, call};
use crate::convert::{self, Recipe};
use crate::log;

/// An ordered set of operator rules; the first that matches a device decides.
///
/// ``rules`` are those of Nova's ``[pci]device_spec``: each a dict, or the JSON text of one rule or of a list of rules.
/// ``bytes`` are the JSON text of the whole list. With ``report_in_placement``, the rules are checked as Nova checks
/// them when ``[pci]report_in_placement`` is set. Rule sets do not change; ``Tracker.replace_specs`` takes another.
///
/// Raises ``InvalidSpecError`` that names the rule and the field.
///
/// >>> specs = DeviceSpecs([{"vendor_id": "15b3", "physical_network": "blue"}])
/// >>> specs.matching({"address": "0000:81:00.0", "vendor_id": "15b3", "product_id": "1017"})
/// (0, {'physical_network': 'blue'})
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct DeviceSpecs(pub(crate) engine::DeviceSpecs);

/// Takes a rule set, or makes one of rules.
pub(crate) fn specs_or_rules(
    object: &Bound<'_, PyAny>,
    report_in_placement: Option<&Bound<'_, PyAny>>,
) -> PyResult<engine::DeviceSpecs> {
    match object.cast::<DeviceSpecs>() {
        Ok(specs) if report_in_placement.is_none() => Ok(specs.get().0.clone()),
        Ok(_) => Err(PyTypeError::new_err("report_in_placement goes with rules, not with DeviceSpecs")),
        Err(_) => parse(object, "entries", report_in_placement),
    }
}

fn parse(
    rules: &Bound<'_, PyAny>,
    what: &str,
    report_in_placement: Option<&Bound<'_, PyAny>>,
) -> PyResult<engine::DeviceSpecs> {
    let entries = convert::entries(rules, what)?;
    let report_in_placement = convert::flag(report_in_placement, "report_in_placement")?;
    let specs = call(rules.py(), || engine::DeviceSpecs::parse(&entries, report_in_placement))?;
    log::warnings(rules.py(), specs.warnings());
    Ok(specs)
}

#[pymethods]
impl DeviceSpecs {
    #[new]
    #[pyo3(signature = (rules, report_in_placement=None))]
    fn new(rules: &Bound<'_, PyAny>, report_in_placement: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        parse(rules, "entries", report_in_placement).map(DeviceSpecs)
    }

    /// The rules in canonical form, one dict each, in order.
    #[getter]
    fn rules<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(self.0.list()))
    }

    /// What is allowed but probably not meant, one sentence each.
    #[getter]
    fn warnings(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        call(py, || Ok(self.0.warnings()))
    }

    /// The index and the tags of the first rule that matches the device, or None.
    fn matching<'py>(&self, device: &Bound<'py, PyAny>) -> PyResult<Option<(usize, Bound<'py, PyAny>)>> {
        let py = device.py();
        let device: engine::Device = convert::document(device, "device")?;
        let found = call(py, || {
            let found = self.0.matching(&device);
            found.map(|(rule, tags)| Ok((rule, convert::value_of(tags)?))).transpose()
        })?;
        found.map(|(rule, tags)| Ok((rule, convert::to_python(py, &tags)?))).transpose()
    }

    /// Says for each rule up to the one that matches whether it matches, and if not why.
    fn explain<'py>(&self, device: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = device.py();
        let device: engine::Device = convert::document(device, "device")?;
        answer(py, || Ok(self.0.explain(&device)))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        call(py, || Ok(self.0.len()))
    }

    fn __eq__(&self, other: &Bound<'_, Self>) -> PyResult<bool> {
        let that = other.get();
        call(other.py(), || Ok(self.0 == that.0))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("DeviceSpecs({})", self.rules(py)?.repr()?))
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Recipe<'py, (Bound<'py, PyBytes>,)>> {
        let bytes = call(py, || Ok(engine::Tracker::new(self.0.clone(), Default::default())?.snapshot()))?;
        Ok((py.get_type::<Self>().getattr("_from_snapshot")?, (PyBytes::new(py, &bytes),)))
    }

    /// Unpickles: a rule set travels as the snapshot of a tracker without devices.
    #[staticmethod]
    fn _from_snapshot(snapshot: &Bound<'_, PyBytes>) -> PyResult<Self> {
        let bytes = PyBackedBytes::from(snapshot.clone());
        call(snapshot.py(), || Ok(engine::Tracker::from_snapshot(&bytes)?.specs().clone())).map(DeviceSpecs)
    }
}
