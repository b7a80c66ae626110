//! `slotwise.Tracker`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use serde::Serialize;
use slotwise as engine;
use slotwise::log;

use crate::call::{Shared, answer, ask, call};
use crate::convert::{self, Fields, Recipe};
use crate::fit::{Fit, assignment};
use crate::policy::Policies;
use crate::pools::Pools;
use crate::request::{Workload, workload};
use crate::specs::{DeviceSpecs, specs_or_rules};

/// One host's truth: its devices, claims and pools, and what is not yet written to the caller's database.
///
/// ``specs`` is a ``DeviceSpecs`` or its rules. The options are given by name, or as one document, and may be left out:
///
/// - ``numa_topology``: ``{"cells": [{"id": 0, "socket": 0}, …]}``; the policy ``socket`` needs it.
/// - ``pool_keys``: more keys that split pools, beside Nova's: any extra-info key.
/// - ``allow_missing_parents``: accept VFs and vDPA devices whose physical function is not listed, as Nova does.
/// - ``device_groups``: ``[{"name": "gpu-0", "devices": ["0000:17:00.0", "0000:17:00.1"]}, …]``: devices that are handed out
///   together or not at all, beside those that rules put together by the tag ``device_group``.
///
/// All or nothing: a call that raises leaves the tracker exactly as it was. A tracker may be used by any number of
/// threads; each call sees and leaves a whole state.
///
/// >>> tracker = Tracker([{"vendor_id": "8086"}])
/// >>> report = tracker.sync([{"address": "0000:81:00.0", "vendor_id": "8086", "product_id": "1572"}])
/// >>> tracker.claim("vm-1", [{"alternatives": [{"product_id": "1572"}]}]).devices
/// ['0000:81:00.0']
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct Tracker(Shared<engine::Tracker>);

impl Tracker {
    fn own(tracker: engine::Tracker) -> Self {
        Tracker(Shared::new(tracker))
    }
}

/// As [`answer`], for a call that changes the tracker and has a line in the log.
fn logged<'py, T: Serialize + Send + Sync>(
    py: Python<'py>,
    work: impl FnOnce() -> engine::Result<T> + Send,
    line: impl FnOnce(&T) -> log::Line,
) -> PyResult<Bound<'py, PyAny>> {
    let done = call(py, work)?;
    crate::log::write(py, || line(&done));
    answer(py, || Ok(&done))
}

#[pymethods]
impl Tracker {
    #[new]
    #[pyo3(signature = (specs, options=None, /, **fields))]
    fn new(
        specs: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyAny>>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<Self> {
        let py = specs.py();
        let options = convert::document_or_fields(py, options, fields, "options")?;
        let specs = specs_or_rules(specs, None)?;
        call(py, || engine::Tracker::new(specs, options)).map(Tracker::own)
    }

    /// A tracker that takes up from the rows of the caller's database, which count as written.
    ///
    /// A row is a device with ``status``, ``owner``, ``request_id`` and ``requester_id``, as ``devices`` gives them. The options
    /// are those of the class.
    #[staticmethod]
    #[pyo3(signature = (specs, rows, options=None, /, **fields))]
    fn load(
        specs: &Bound<'_, PyAny>,
        rows: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyAny>>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<Self> {
        let py = specs.py();
        let options = convert::document_or_fields(py, options, fields, "options")?;
        let rows = convert::document(rows, "rows")?;
        let specs = specs_or_rules(specs, None)?;
        call(py, || engine::Tracker::load(specs, options, rows)).map(Tracker::own)
    }

    /// Takes over what the host has now: all its functions, assignable or not, as ``discover`` lists them.
    ///
    /// Returns which devices were added, updated and removed, and which held ones wait until they are freed.
    fn sync<'py>(&self, devices: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let listed = convert::document(devices, "devices")?;
        logged(devices.py(), || self.0.write(|tracker| tracker.sync(listed)), log::synced)
    }

    /// Replaces the rule set; with ``dry_run`` only says what that would change.
    ///
    /// ``specs`` is a ``DeviceSpecs``, or rules that are read with ``report_in_placement`` as that class reads them.
    #[pyo3(signature = (specs, dry_run=None, *, report_in_placement=None))]
    fn replace_specs<'py>(
        &self,
        specs: &Bound<'py, PyAny>,
        dry_run: Option<&Bound<'py, PyAny>>,
        report_in_placement: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = specs.py();
        let specs = specs_or_rules(specs, report_in_placement)?;
        let dry_run = convert::flag(dry_run, "dry_run")?;
        let replace = || self.0.write(|tracker| tracker.replace_specs(specs, dry_run));
        if dry_run { answer(py, replace) } else { logged(py, replace, log::respecified) }
    }

    /// The rule set.
    #[getter]
    fn specs(&self, py: Python<'_>) -> PyResult<DeviceSpecs> {
        call(py, || self.0.read(|tracker| Ok(tracker.specs().clone()))).map(DeviceSpecs)
    }

    /// The options, as the class takes them.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || self.0.read(|tracker| Ok(tracker.options().clone())))
    }

    /// The free devices, pooled, as they are now; a copy that later calls do not change.
    #[getter]
    fn pools(&self, py: Python<'_>) -> PyResult<Pools> {
        call(py, || self.0.read(|tracker| Ok(tracker.pools().clone()))).map(|pools| Pools(Shared::new(pools)))
    }

    /// Groups and counts the assignable devices, free or held, by any field, tag or extra info.
    fn group_by<'py>(&self, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let names: Vec<String> = convert::value(keys, "keys")?;
        answer(keys.py(), || self.0.read(|tracker| Ok(tracker.group_by(&names))))
    }

    /// The assignable devices and those that are held, ordered by address.
    #[getter]
    fn devices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || self.0.read(|tracker| Ok(tracker.devices())))
    }

    /// The device of that address if it is assignable or held, else None.
    fn device<'py>(&self, address: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let parsed = convert::address(address, "address")?;
        answer(address.py(), || self.0.read(|tracker| Ok(tracker.device(parsed))))
    }

    /// Why the device of that address is or is not assignable; raises ``UnknownDeviceError``.
    fn explain<'py>(&self, address: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let parsed = convert::address(address, "address")?;
        answer(address.py(), || self.0.read(|tracker| tracker.explain(parsed)))
    }

    /// Whether and how a workload fits, without claiming anything; takes a ``Workload``, or its fields.
    #[pyo3(signature = (requests, **fields))]
    fn fit(&self, requests: &Bound<'_, PyAny>, fields: Option<Fields<'_, '_>>) -> PyResult<Fit> {
        let workload = workload(requests, fields)?;
        let short = |tracker: &engine::Tracker, steps| tracker.fit_within(&workload, steps);
        ask(requests.py(), &self.0, short, |tracker| tracker.fit(&workload)).map(Fit)
    }

    /// Asks policies in which order they would give the free devices away, and returns the workload with that order as its
    /// ``prefer_devices``, for ``fit`` and every kind of claim.
    ///
    /// Takes a ``Workload``, or its fields. ``policies`` is a list of ``Policy``: what the first that prefers finds equal is
    /// ordered by the next; if none prefers, the workload stays as it is. ``facts`` is what they are told about it beyond
    /// itself. Changes of the tracker do not wait for them. Raises ``PolicyFailedError`` for a policy that fails and is to
    /// fail closed.
    #[pyo3(signature = (requests, *, policies, facts=None, **fields))]
    fn prefer(
        &self,
        requests: &Bound<'_, PyAny>,
        policies: Policies,
        facts: Option<&Bound<'_, PyAny>>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<Workload> {
        let workload = workload(requests, fields)?;
        let facts = facts.map(|facts| convert::document(facts, "facts")).transpose()?.unwrap_or_default();
        call(requests.py(), move || self.0.state()?.prefer(&workload, &facts, &policies.as_dyn()))
            .map(|workload| Workload(Arc::new(workload)))
    }

    /// Claims devices for ``owner``: all that the workload asks for, or none.
    ///
    /// Takes a ``Workload``, or its fields. A workload that does not fit is an answer, not an exception.
    #[pyo3(signature = (owner, requests, **fields))]
    fn claim(
        &self,
        owner: &Bound<'_, PyAny>,
        requests: &Bound<'_, PyAny>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<Fit> {
        let owner = convert::text(owner, "owner")?;
        let workload = workload(requests, fields)?;
        let fit = call(requests.py(), || self.0.write(|tracker| tracker.claim(&owner, &workload)))?;
        crate::log::write(requests.py(), || log::claimed(&owner, &fit));
        Ok(Fit(fit))
    }

    /// Claims exactly the devices that a ``Fit`` of this tracker named earlier, if they can still be had.
    ///
    /// Takes the fit (or its ``assignment``), and the workload or its fields. Raises ``ConflictError`` when the assignment
    /// no longer holds: fit again.
    #[pyo3(signature = (owner, fit, requests, **fields))]
    fn claim_fit(
        &self,
        owner: &Bound<'_, PyAny>,
        fit: &Bound<'_, PyAny>,
        requests: &Bound<'_, PyAny>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<()> {
        let owner = convert::text(owner, "owner")?;
        let workload = workload(requests, fields)?;
        let assignment = assignment(fit)?;
        call(requests.py(), || self.0.write(|tracker| tracker.claim_fit(&owner, &workload, &assignment)))?;
        let fit = engine::Fit::Fits(assignment);
        crate::log::write(requests.py(), || log::claimed(&owner, &fit));
        Ok(())
    }

    /// Claims devices for several workloads together: for all of them, or for none.
    ///
    /// ``claims`` is a list of dicts with ``owner`` and ``workload``. The fit spans the requests of all workloads, in order.
    ///
    /// If one of several workloads has strategy ``nova``, they are only served one after the other, and a *no* is about the
    /// first for which those before it left too little: it names that claim, and counts the requests of it alone.
    fn claim_all(&self, claims: &Bound<'_, PyAny>) -> PyResult<Fit> {
        let parsed: Vec<engine::Claim> = convert::document(claims, "claims")?;
        let fit = call(claims.py(), || self.0.write(|tracker| tracker.claim_all(&parsed)))?;
        crate::log::write(claims.py(), || log::claimed_all(&parsed, &fit));
        Ok(Fit(fit))
    }

    /// Turns the owner's claims into allocations and returns the addresses, in order.
    ///
    /// Raises ``UnknownOwnerError`` when the owner has none.
    fn allocate<'py>(&self, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let name = convert::text(owner, "owner")?;
        let allocate = || self.0.write(|tracker| tracker.allocate(&name));
        logged(owner.py(), allocate, |devices| log::allocated(&name, devices))
    }

    /// Frees the owner's devices and returns their addresses, in order; empty if it holds none.
    ///
    /// ``scope`` is ``all``, ``claims`` or ``allocations``.
    #[pyo3(signature = (owner, scope=None))]
    fn free<'py>(
        &self,
        owner: &Bound<'py, PyAny>,
        scope: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let name = convert::text(owner, "owner")?;
        let scope: Option<engine::FreeScope> =
            scope.map(|scope| convert::value(scope, "scope")).transpose()?;
        let free = || self.0.write(|tracker| Ok(tracker.free(&name, scope.unwrap_or_default())));
        logged(owner.py(), free, |devices| log::freed(&name, devices))
    }

    /// Frees one device of the owner; raises ``UnknownDeviceError`` or ``WrongOwnerError``.
    fn free_device(&self, owner: &Bound<'_, PyAny>, address: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = convert::text(owner, "owner")?;
        let address = convert::address(address, "address")?;
        call(owner.py(), || self.0.write(|tracker| tracker.free_device(&name, address)))?;
        crate::log::write(owner.py(), || log::freed(&name, &[address]));
        Ok(())
    }

    /// Frees the devices of all owners that are not among ``owners``, and returns their addresses, in order.
    fn retain_owners<'py>(&self, owners: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let names: Vec<String> = convert::value(owners, "owners")?;
        let retain = || self.0.write(|tracker| Ok(tracker.retain_owners(&names)));
        logged(owners.py(), retain, |devices| log::retained(devices))
    }

    /// The held devices that ``owner``, ``request_id`` and ``requester_id`` select, in the order in which they were
    /// claimed, with the facts by which a network service configures them.
    ///
    /// The three are given by name, or as one document, and may be left out; those given must all match.
    #[pyo3(signature = (query=None, /, **fields))]
    fn bindings<'py>(
        &self,
        py: Python<'py>,
        query: Option<&Bound<'py, PyAny>>,
        fields: Option<Fields<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let query: engine::BindingQuery = convert::document_or_fields(py, query, fields, "query")?;
        answer(py, || self.0.read(|tracker| Ok(tracker.bindings(&query))))
    }

    /// What must be written to the caller's database now, ordered by address.
    fn changes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || self.0.read(|tracker| Ok(tracker.changes())))
    }

    /// Notes that these changes have been written; None means all that there are now.
    #[pyo3(signature = (changes=None))]
    fn written(&self, py: Python<'_>, changes: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let given: Option<Vec<engine::Change>> =
            changes.map(|changes| convert::document(changes, "changes")).transpose()?;
        call(py, || {
            self.0.write(|tracker| {
                let changes = given.unwrap_or_else(|| tracker.changes());
                tracker.written(&changes)
            })
        })
    }

    /// A number that grows with every call that changed devices, claims or rules.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        call(py, || self.0.read(|tracker| Ok(tracker.version())))
    }

    /// The whole state as versioned, checksummed bytes.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = call(py, || self.0.read(|tracker| Ok(tracker.snapshot())))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The whole state as JSON text.
    fn snapshot_json(&self, py: Python<'_>) -> PyResult<String> {
        call(py, || self.0.read(|tracker| Ok(tracker.snapshot_json())))
    }

    /// The state that ``snapshot`` wrote; raises ``InvalidSnapshotError`` or ``UnsupportedVersionError``.
    #[staticmethod]
    fn from_snapshot(snapshot: &Bound<'_, PyBytes>) -> PyResult<Self> {
        let bytes = PyBackedBytes::from(snapshot.clone());
        call(snapshot.py(), || engine::Tracker::from_snapshot(&bytes)).map(Tracker::own)
    }

    /// The state that ``snapshot_json`` wrote; raises ``InvalidSnapshotError`` or ``UnsupportedVersionError``.
    #[staticmethod]
    fn from_snapshot_json(text: &Bound<'_, PyAny>) -> PyResult<Self> {
        let json = convert::text(text, "text")?;
        call(text.py(), || engine::Tracker::from_snapshot_json(&json)).map(Tracker::own)
    }

    fn __eq__(&self, other: &Bound<'_, Self>) -> PyResult<bool> {
        let that = other.get();
        call(other.py(), || self.0.equals(&that.0, |this, that| this.snapshot() == that.snapshot()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (devices, free, version) = call(py, || {
            self.0.read(|tracker| Ok((tracker.devices().len(), tracker.pools().free(), tracker.version())))
        })?;
        Ok(format!("<slotwise.Tracker: {devices} devices, {free} free, version {version}>"))
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<Self> {
        call(py, || self.0.copy()).map(Tracker)
    }

    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__copy__(memo.py())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Recipe<'py, (Bound<'py, PyBytes>,)>> {
        Ok((py.get_type::<Self>().getattr("from_snapshot")?, (self.snapshot(py)?,)))
    }
}
