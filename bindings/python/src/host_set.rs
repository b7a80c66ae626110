//! `slotwise.HostSet`, and columns of numbers that are handed out without an object per host.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyMemoryView};
use slotwise as engine;

use crate::call::call;
use crate::convert::{Fields, Recipe};

/// A set of a fleet's hosts by id, kept as one bit per host.
///
/// ``ids`` are whole numbers. Where numpy is there, ``from_bitmap`` and ``bitmap`` go with ``numpy.packbits`` and
/// ``numpy.unpackbits`` (``bitorder="little"``), and ``numpy.asarray(hosts.ids)`` copies nothing. Sets do not change.
///
/// >>> hosts = HostSet([3, 9])
/// >>> 9 in hosts, len(hosts), hosts.ids.tolist()
/// (True, 2, [3, 9])
#[pyclass(frozen, module = "slotwise", eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct HostSet(pub(crate) engine::HostSet);

#[pymethods]
impl HostSet {
    #[new]
    #[pyo3(signature = (ids=None))]
    fn new(py: Python<'_>, ids: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut list = Vec::new();
        if let Some(ids) = ids {
            for id in ids.try_iter()? {
                list.push(id?.extract::<u32>()?);
            }
        }
        call(py, || engine::HostSet::from_ids(&list)).map(HostSet)
    }

    /// The set that a bitmap describes: host ``id`` is bit ``id % 8``, the lowest first, of byte ``id // 8``.
    ///
    /// ``bitmap`` is ``bytes`` or any other object with a buffer, such as an array of ``uint8``.
    #[staticmethod]
    fn from_bitmap(bitmap: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes = buffer(bitmap)?;
        call(bitmap.py(), || engine::HostSet::from_bytes(&bytes)).map(HostSet)
    }

    /// The bitmap as bytes, without zeros at its end.
    #[getter]
    fn bitmap<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &call(py, || Ok(self.0.to_bytes()))?))
    }

    /// The ids in ascending order, as a memoryview of 32-bit numbers.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = call(py, || Ok(self.0.iter().flat_map(u32::to_ne_bytes).collect::<Vec<u8>>()))?;
        column(py, &bytes, "I")
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __contains__(&self, id: u32) -> bool {
        self.0.contains(id)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.ids(py)?.try_iter()?.into_any())
    }

    /// The hosts that are in both sets.
    fn __and__(&self, other: &Bound<'_, Self>) -> Self {
        let mut both = self.0.clone();
        both.intersect(&other.get().0);
        HostSet(both)
    }

    /// The hosts that are not in the other set.
    fn __sub__(&self, other: &Bound<'_, Self>) -> Self {
        let mut rest = self.0.clone();
        rest.subtract(&other.get().0);
        HostSet(rest)
    }

    fn __repr__(&self) -> String {
        format!("<slotwise.HostSet: {} hosts>", self.0.len())
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Recipe<'py, (Bound<'py, PyBytes>,)>> {
        Ok((py.get_type::<Self>().getattr("from_bitmap")?, (self.bitmap(py)?,)))
    }
}

/// A set of hosts: a `HostSet`, or ids.
pub(crate) fn host_set(object: &Bound<'_, PyAny>) -> PyResult<engine::HostSet> {
    match object.cast::<HostSet>() {
        Ok(set) => Ok(set.get().0.clone()),
        Err(_) => HostSet::new(object.py(), Some(object)).map(|set| set.0),
    }
}

/// The bytes of an object with a buffer; only those of `bytes` are not copied.
///
/// The stable interface of Python 3.10 has no other way to a foreign buffer than to make `bytes` of it.
fn buffer(object: &Bound<'_, PyAny>) -> PyResult<PyBackedBytes> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(PyBackedBytes::from(bytes.clone()));
    }
    let view = PyMemoryView::from(object)?;
    Ok(PyBackedBytes::from(view.call_method0("tobytes")?.cast_into::<PyBytes>()?))
}

/// Numbers in the machine's own order as a memoryview of that format.
pub(crate) fn column<'py>(py: Python<'py>, bytes: &[u8], format: &str) -> PyResult<Bound<'py, PyAny>> {
    PyMemoryView::from(&PyBytes::new(py, bytes))?.call_method1("cast", (format,))
}

/// A list of numbers as such a memoryview.
pub(crate) fn numbers<'py>(py: Python<'py>, list: &[f64]) -> PyResult<Bound<'py, PyAny>> {
    let bytes: Vec<u8> = list.iter().copied().flat_map(f64::to_ne_bytes).collect();
    column(py, &bytes, "d")
}

/// Takes `among` out of keyword arguments if it is a `HostSet`, which need not become a list.
pub(crate) fn take_among(fields: Option<Fields<'_, '_>>) -> PyResult<Option<engine::HostSet>> {
    let Some(fields) = fields else { return Ok(None) };
    let Some(among) = fields.get_item("among")? else { return Ok(None) };
    if !among.is_instance_of::<HostSet>() {
        return Ok(None);
    }
    fields.del_item("among")?;
    host_set(&among).map(Some)
}
