//! `slotwise.Aliases`.

use pyo3::prelude::*;
use serde_json::Value;
use slotwise as engine;

use crate::call::{Shared, answer, call};
use crate::convert::{self, Recipe};
use crate::log;
use crate::request::{Request, with_ids};

/// The operator's names for kinds of devices.
///
/// ``lines`` are those of Nova's ``[pci]alias``: each a dict or the JSON text of one; lines of one name are ORed.
/// ``bytes`` are the JSON text of the whole list. ``pci_in_placement`` says that requests are matched by Placement, as
/// Nova's ``[filter_scheduler]pci_in_placement`` does. Aliases may be used and changed by any number of threads.
///
/// Raises ``InvalidAliasError`` that names the line and the field.
///
/// >>> aliases = Aliases([{"name": "nic", "vendor_id": "15b3", "product_id": "1018"}])
/// >>> [request.count for request in aliases.requests("nic:2")]
/// [2]
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct Aliases(pub(crate) Shared<engine::Aliases>);

impl Aliases {
    /// Other aliases that are the same now.
    pub(crate) fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        call(py, || self.0.copy()).map(Aliases)
    }
}

#[pymethods]
impl Aliases {
    #[new]
    #[pyo3(signature = (lines, pci_in_placement=None))]
    fn new(lines: &Bound<'_, PyAny>, pci_in_placement: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let texts = convert::entries(lines, "lines")?;
        let pci_in_placement = convert::flag(pci_in_placement, "pci_in_placement")?;
        let aliases = call(lines.py(), || engine::Aliases::parse(&texts, pci_in_placement))?;
        log::warnings(lines.py(), aliases.warnings());
        Ok(Aliases(Shared::new(aliases)))
    }

    /// Adds the alias that these lines, all of one new name, define, and returns it.
    ///
    /// Raises ``AlreadyExistsError`` when the name is taken, ``InvalidAliasError`` when a line is not valid.
    fn create<'py>(&self, lines: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let texts = convert::entries(lines, "lines")?;
        answer(lines.py(), || self.0.write(|aliases| aliases.create(&texts).cloned()))
    }

    /// Replaces the alias of that name by what these lines define, and returns it.
    ///
    /// Raises ``UnknownAliasError`` when there is none, ``InvalidAliasError`` when a line is not valid.
    fn update<'py>(&self, lines: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let texts = convert::entries(lines, "lines")?;
        answer(lines.py(), || self.0.write(|aliases| aliases.update(&texts).cloned()))
    }

    /// Removes the alias of that name and returns it; raises ``UnknownAliasError`` when there is none.
    fn delete<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let text = convert::text(name, "name")?;
        answer(name.py(), || self.0.write(|aliases| aliases.delete(&text)))
    }

    /// All aliases, in the order in which they were defined.
    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || self.0.read(|aliases| Ok(aliases.list().to_vec())))
    }

    /// Turns the flavor form ``a:2,b:1`` into requests.
    ///
    /// ``numa_policy`` overrides the aliases' own policy; ``request_ids`` gives each request its id, in order.
    ///
    /// Raises ``UnknownAliasError`` or ``InvalidRequestError``.
    #[pyo3(signature = (flavor, numa_policy=None, request_ids=None))]
    fn requests(
        &self,
        flavor: &Bound<'_, PyAny>,
        numa_policy: Option<&Bound<'_, PyAny>>,
        request_ids: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Request>> {
        let py = flavor.py();
        let flavor = convert::text(flavor, "flavor")?;
        let policy = numa_policy.map(|policy| convert::value(policy, "numa_policy")).transpose()?;
        let requests = call(py, || self.0.read(|aliases| aliases.requests(&flavor, policy)))?;
        with_ids(py, requests, request_ids)
    }

    /// What is allowed but cannot be meant, one sentence each.
    #[getter]
    fn warnings(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        call(py, || self.0.read(|aliases| Ok(aliases.warnings())))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        call(py, || self.0.read(|aliases| Ok(aliases.list().len())))
    }

    fn __eq__(&self, other: &Bound<'_, Self>) -> PyResult<bool> {
        let that = other.get();
        call(other.py(), || self.0.equals(&that.0, |this, that| this == that))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let aliases = call(py, || self.0.read(|aliases| convert::value_of(aliases.list())))?;
        let names = aliases.as_array().into_iter().flatten().filter_map(|alias| alias.get("name"));
        let names: Vec<String> = names.map(Value::to_string).collect();
        Ok(format!("<slotwise.Aliases: {}>", names.join(", ")))
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<Self> {
        self.copy(py)
    }

    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.copy(memo.py())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Recipe<'py, (Bound<'py, PyAny>, bool)>> {
        let (lines, pci_in_placement) = call(py, || {
            self.0.read(|aliases| Ok((convert::value_of(&aliases.lines())?, aliases.pci_in_placement())))
        })?;
        Ok((py.get_type::<Self>().into_any(), (convert::to_python(py, &lines)?, pci_in_placement)))
    }
}
