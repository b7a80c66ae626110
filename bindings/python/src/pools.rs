//! `slotwise.Pools`.

use pyo3::prelude::*;
use slotwise as engine;

use crate::call::{Shared, answer, ask, call};
use crate::convert::{self, Fields, Recipe};
use crate::fit::{Fit, assignment};
use crate::request::workload;

/// The free devices of one host, grouped into pools of interchangeable ones: what a scheduler knows of a host.
///
/// ``pools`` is what Nova keeps for a host, as values or as JSON text: a list of pools (``vendor_id``,
/// ``product_id``, ``numa_node``, ``tags``, ``count``), one pool, its versioned ``PciDevicePoolList``, or None for a
/// host without. ``numa_topology`` is ``{"cells": [{"id": 0, "socket": 0}, …]}``; the policy ``socket`` needs it.
///
/// It is a sequence of dicts, in the stable order in which assignments count them, and may be used by any number of
/// threads.
///
/// Raises ``InvalidPoolError`` or ``InvalidJsonError`` with the place.
///
/// >>> pools = Pools([{"vendor_id": "8086", "product_id": "1520", "numa_node": 0, "count": 4}])
/// >>> bool(pools.fit([{"count": 3, "alternatives": [{"vendor_id": "8086"}]}]))
/// True
#[pyclass(frozen, module = "slotwise", sequence)]
pub(crate) struct Pools(pub(crate) Shared<engine::Pools>);

#[pymethods]
impl Pools {
    #[new]
    #[pyo3(signature = (pools, numa_topology=None))]
    fn new(pools: &Bound<'_, PyAny>, numa_topology: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let topology = numa_topology.map(|object| convert::document(object, "numa_topology")).transpose()?;
        let read = match convert::json_text(pools, "pools")? {
            Some(text) => call(pools.py(), || engine::Pools::from_json(&text, topology)),
            None => {
                let value = convert::to_value(pools, "pools")?;
                call(pools.py(), || engine::Pools::from_json(&value.to_string(), topology))
            }
        };
        read.map(|pools| Pools(Shared::new(pools)))
    }

    /// Whether and how a workload fits, without taking anything.
    ///
    /// Takes a ``Workload``, or its fields. Raises ``InvalidRequestError`` or ``InvalidJsonError``.
    #[pyo3(signature = (requests, **fields))]
    fn fit(&self, requests: &Bound<'_, PyAny>, fields: Option<Fields<'_, '_>>) -> PyResult<Fit> {
        let workload = workload(requests, fields)?;
        let short = |pools: &engine::Pools, steps| pools.fit_within(&workload, steps);
        ask(requests.py(), &self.0, short, |pools| pools.fit(&workload)).map(Fit)
    }

    /// Takes what a fit uses, so that the next workload sees what is left.
    ///
    /// Takes a ``Fit`` that these pools gave, or its ``assignment``. Raises when the pools do not hold that much; they
    /// stay as they were then.
    fn consume(&self, fit: &Bound<'_, PyAny>) -> PyResult<()> {
        let assignment = assignment(fit)?;
        call(fit.py(), || self.0.write(|pools| pools.consume(&assignment)))
    }

    /// Groups and counts the free devices by the values of ``keys``: any attribute or tag, or ``numa_node``.
    fn group_by<'py>(&self, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let names: Vec<String> = convert::value(keys, "keys")?;
        answer(keys.py(), || self.0.read(|pools| Ok(pools.group_by(&names))))
    }

    /// How many free devices there are in all.
    #[getter]
    fn free(&self, py: Python<'_>) -> PyResult<u64> {
        call(py, || self.0.read(|pools| Ok(pools.free())))
    }

    /// The host's NUMA cells, or None.
    #[getter]
    fn numa_topology<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || self.0.read(|pools| Ok(pools.topology().cloned())))
    }

    /// The pools as a list of dicts.
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = call(py, || self.0.read(|pools| convert::value_of(pools.as_slice())))?;
        convert::to_python(py, &value)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        call(py, || self.0.read(|pools| Ok(pools.as_slice().len())))
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.to_list(index.py())?.get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.to_list(py)?.try_iter()?.into_any())
    }

    fn __eq__(&self, other: &Bound<'_, Self>) -> PyResult<bool> {
        let that = other.get();
        call(other.py(), || {
            self.0.equals(&that.0, |this, that| {
                this.as_slice() == that.as_slice() && this.topology() == that.topology()
            })
        })
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Pools({})", self.to_list(py)?.repr()?))
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<Self> {
        call(py, || self.0.copy()).map(Pools)
    }

    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__copy__(memo.py())
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Recipe<'py, (Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        Ok((py.get_type::<Self>().into_any(), (self.to_list(py)?, self.numa_topology(py)?)))
    }
}
