//! The functions that read this machine, and the one that asks many hosts at once.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use slotwise_sysfs::Sysfs;

use crate::call::{answer, call};
use crate::convert::{self, Fields};
use crate::fit::Fit;
use crate::pools::Pools;
use crate::request::workload;

/// Lists the PCI functions of a machine, as ``Tracker.sync`` takes them.
///
/// ``sysfs_root`` is where its sysfs is mounted, or a copy of one. What the machine does not say is left out. What
/// cannot be read or understood is left out too, with a warning to the logger ``slotwise``; with ``strict`` it is an
/// error.
///
/// Raises ``InvalidArgumentError`` when the root is no sysfs, ``InvalidDeviceError`` when a strict reading fails.
#[pyfunction]
#[pyo3(signature = (sysfs_root=PathBuf::from("/sys"), strict=false), text_signature = "(sysfs_root='/sys', strict=False)")]
pub(crate) fn discover(py: Python<'_>, sysfs_root: PathBuf, strict: bool) -> PyResult<Bound<'_, PyAny>> {
    let sysfs = Sysfs::new(sysfs_root).strict(strict);
    let (devices, warnings) = call(py, || {
        let discovery = sysfs.discover()?;
        Ok((convert::value_of(&discovery.devices())?, discovery.warnings))
    })?;
    if !warnings.is_empty() {
        let logger = py.import("logging")?.call_method1("getLogger", ("slotwise",))?;
        for warning in warnings {
            logger.call_method1("warning", ("%s", warning.to_string()))?;
        }
    }
    convert::to_python(py, &devices)
}

/// The NUMA nodes of a machine with their sockets, as ``Tracker`` takes them; None when the machine does not tell.
#[pyfunction]
#[pyo3(signature = (sysfs_root=PathBuf::from("/sys")), text_signature = "(sysfs_root='/sys')")]
pub(crate) fn numa_topology(py: Python<'_>, sysfs_root: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    answer(py, || Ok(Sysfs::new(sysfs_root).numa_topology()))
}

/// Asks each host whether and how a workload fits it; a dict of the same names with a ``Fit`` each.
///
/// ``hosts`` is a dict: name → ``Pools``. The rest is a ``Workload``, or its fields.
#[pyfunction]
#[pyo3(signature = (hosts, requests, **fields))]
pub(crate) fn filter_hosts<'py>(
    hosts: &Bound<'py, PyDict>,
    requests: &Bound<'_, PyAny>,
    fields: Option<Fields<'_, '_>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = hosts.py();
    let workload = workload(requests, fields)?;
    let mut names = Vec::new();
    let mut pools: Vec<Py<Pools>> = Vec::new();
    for item in hosts.items() {
        let (name, host) = item.extract::<(Bound<'_, PyAny>, Bound<'_, Pools>)>()?;
        names.push(name);
        pools.push(host.unbind());
    }
    let fits = call(py, || {
        pools
            .iter()
            .map(|host| host.get().0.read(|pools| pools.fit(&workload)))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let answers = PyDict::new(py);
    for (name, fit) in names.into_iter().zip(fits) {
        answers.set_item(name, Fit(fit).into_pyobject(py)?)?;
    }
    Ok(answers)
}
