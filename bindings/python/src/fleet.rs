//! `slotwise.Fleet`, `slotwise.FleetAnswer` and `slotwise.Ranking`.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};
use slotwise as engine;

use crate::call::{Shared, answer, call};
use crate::convert::{self, Fields, JsonText, Recipe};
use crate::fit::Fit;
use crate::host_set::{HostSet, column, host_set, numbers, take_among};
use crate::policy::Policies;
use crate::pools::Pools;
use crate::request::workload;

/// Many hosts' pools in one index, for a scheduler that asks thousands of times a second.
///
/// A host has a name, and a small whole number (its *id*) that stays the same until it is removed. Answers about many
/// hosts are ``HostSet`` objects and columns of numbers (memoryviews; ``numpy.asarray`` copies nothing), so that no object
/// is made per host; ``names`` gives names where they are wanted.
///
/// Each host has a version: the number under which its owner (say, a compute node's tracker) knows its state. A change
/// that does not follow on the version that is there raises ``ConflictError``.
///
/// A fleet may be used by any number of threads: questions run side by side, a change waits until they are answered and
/// holds up the next ones while it is made. The interpreter lock is released meanwhile. A call that raises changes
/// nothing.
///
/// >>> fleet = Fleet()
/// >>> update = fleet.put("compute-1", [{"vendor_id": "10de", "product_id": "2330", "count": 4}])
/// >>> update = fleet.put("compute-2", [])
/// >>> answer = fleet.filter([{"count": 2, "alternatives": [{"product_id": "2330"}]}])
/// >>> fleet.names(answer.hosts)
/// ['compute-1']
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct Fleet(Shared<engine::Fleet>);

impl Fleet {
    fn own(fleet: engine::Fleet) -> Self {
        Fleet(Shared::new(fleet))
    }

    /// Asks the fleet, with policies where there are any.
    ///
    /// Those are asked about the fleet as it is now, without its lock: a policy may take all of its time, and its log lines
    /// run code that may use this same fleet.
    fn ask<R>(
        &self,
        policies: Option<Policies>,
        question: impl FnOnce(&engine::Fleet, &[&dyn engine::policy::Policy]) -> engine::Result<R>,
    ) -> engine::Result<R> {
        match policies {
            None => self.0.read(|fleet| question(fleet, &[])),
            Some(policies) => question(&*self.0.state()?, &policies.as_dyn()),
        }
    }
}

#[pymethods]
impl Fleet {
    #[new]
    fn new() -> Self {
        Fleet::own(engine::Fleet::new())
    }

    /// Inserts a host, or replaces what is known of it; a dict of its ``id``, ``version`` and ``outcome``.
    ///
    /// ``pools`` and ``numa_topology`` are what ``Pools`` takes, or ``pools`` is a ``Pools``. Text that the host was last
    /// read from is recognised and not read again. ``version`` counts on from the one that is there unless given.
    ///
    /// The outcome is ``inserted``, ``updated`` or ``unchanged``. Raises ``ConflictError`` for an older version, and as
    /// ``Pools``.
    #[pyo3(signature = (host, pools, numa_topology=None, version=None))]
    fn put<'py>(
        &self,
        host: &Bound<'py, PyAny>,
        pools: &Bound<'py, PyAny>,
        numa_topology: Option<&Bound<'py, PyAny>>,
        version: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = host.py();
        let name = convert::text(host, "host")?;
        let topology: Option<engine::NumaTopology> =
            numa_topology.map(|object| convert::document(object, "numa_topology")).transpose()?;
        let version: Option<u64> = version.map(|object| convert::document(object, "version")).transpose()?;
        if let Ok(pools) = pools.cast::<Pools>() {
            let pools = pools.get();
            return answer(py, || {
                // Not under the fleet's lock, so that no two locks are ever held at once.
                let pools = pools.0.state()?;
                if topology.is_none() {
                    return self.0.write(|fleet| fleet.put(&name, &pools, version));
                }
                let pools = engine::Pools::in_order(pools.as_slice().to_vec(), topology);
                self.0.write(|fleet| fleet.put(&name, &pools, version))
            });
        }
        let text = match convert::json_text(pools, "pools")? {
            Some(text) => text,
            None => JsonText::Own(convert::to_value(pools, "pools")?.to_string()),
        };
        answer(py, || self.0.write(|fleet| fleet.put_json(&name, &text, topology.as_ref(), version)))
    }

    /// Inserts or replaces many hosts by the JSON texts that Nova keeps for them; a dict that counts the outcomes.
    ///
    /// ``hosts`` is a list of names, ``pools`` one of texts (``str`` or ``bytes``), ``versions`` one of numbers. All hosts
    /// are taken over or none; a fleet that has hosts already is copied for that.
    #[pyo3(signature = (hosts, pools, versions=None))]
    fn put_many<'py>(
        &self,
        hosts: &Bound<'py, PyAny>,
        pools: &Bound<'py, PyAny>,
        versions: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = hosts.py();
        let texts = |list: &Bound<'py, PyAny>, what: &str| -> PyResult<Vec<JsonText>> {
            list.try_iter()?
                .enumerate()
                .map(|(i, text)| convert::ready_text(&text?, &format!("{what}[{i}]")))
                .collect()
        };
        let (names, texts) = (texts(hosts, "hosts")?, texts(pools, "pools")?);
        let versions: Option<Vec<u64>> =
            versions.map(|object| convert::document(object, "versions")).transpose()?;
        for (what, len) in [("pools", Some(texts.len())), ("versions", versions.as_ref().map(Vec::len))] {
            convert::same_length(py, names.len(), len, what)?;
        }
        answer(py, || {
            let version = |i: usize| versions.as_ref().map(|versions| versions[i]);
            let hosts = names.iter().zip(&texts).enumerate();
            let hosts: Vec<(&str, &str, _)> =
                hosts.map(|(i, (name, text))| (&**name, &**text, version(i))).collect();
            self.0.write(|fleet| fleet.put_many(hosts))
        })
    }

    /// Inserts or replaces many hosts, one JSON document per line; a dict that counts the outcomes.
    ///
    /// A line is ``{"host": "compute-1", "pools": […]}``, and where wanted ``numa_topology``, ``version`` and ``tags``.
    /// ``lines`` is ``str`` or ``bytes``. All lines are taken over or none; a fleet that has hosts already is copied for that.
    fn load<'py>(&self, lines: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let text = convert::ready_text(lines, "lines")?;
        answer(lines.py(), || self.0.write(|fleet| fleet.load(&text)))
    }

    /// Applies what changed on a host since the version that the fleet has of it; the same dict as ``put``.
    ///
    /// ``delta`` is ``{"base": 1, "version": 2, "pools": […], "removed": […], "released": […]}``: pools that are new or have
    /// another count, pools that are gone, owners whose reservations it settles. Raises ``ConflictError`` when it does not
    /// follow on what is there.
    fn apply<'py>(&self, host: &Bound<'py, PyAny>, delta: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let name = convert::text(host, "host")?;
        let delta: engine::HostDelta = convert::document(delta, "delta")?;
        answer(host.py(), || self.0.write(|fleet| fleet.apply(&name, &delta)))
    }

    /// Removes a host with all that is reserved on it; raises ``UnknownHostError``.
    fn remove(&self, host: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = convert::text(host, "host")?;
        call(host.py(), || self.0.write(|fleet| fleet.remove(&name)))
    }

    /// Gives a host its tags (rack, zone, …), in place of those it had, and says whether that changed anything.
    fn set_tags(&self, host: &Bound<'_, PyAny>, tags: &Bound<'_, PyAny>) -> PyResult<bool> {
        let name = convert::text(host, "host")?;
        let tags: engine::ExtraInfo = convert::document(tags, "tags")?;
        call(host.py(), || self.0.write(|fleet| fleet.set_tags(&name, &tags)))
    }

    /// The tags of a host.
    fn tags<'py>(&self, host: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let name = convert::text(host, "host")?;
        answer(host.py(), || self.0.read(|fleet| fleet.tags(&name)))
    }

    /// The id of a host; raises ``UnknownHostError``.
    fn id(&self, host: &Bound<'_, PyAny>) -> PyResult<u32> {
        let name = convert::text(host, "host")?;
        call(host.py(), || self.0.read(|fleet| fleet.id(&name)))
    }

    /// The version of a host's state.
    fn version(&self, host: &Bound<'_, PyAny>) -> PyResult<u64> {
        let name = convert::text(host, "host")?;
        call(host.py(), || self.0.read(|fleet| fleet.version(&name)))
    }

    /// The pools of a host less what is reserved on it.
    fn pools(&self, host: &Bound<'_, PyAny>) -> PyResult<Pools> {
        let name = convert::text(host, "host")?;
        call(host.py(), || self.0.read(|fleet| fleet.pools(&name))).map(|pools| Pools(Shared::new(pools)))
    }

    /// The ids of all hosts.
    #[getter]
    fn hosts(&self, py: Python<'_>) -> PyResult<HostSet> {
        call(py, || self.0.read(|fleet| Ok(fleet.hosts().clone()))).map(HostSet)
    }

    /// The names of hosts in the order of their ids, of all or of those in a ``HostSet`` or sequence of ids.
    ///
    /// Ids without a host are passed over.
    #[pyo3(signature = (hosts=None))]
    fn names<'py>(&self, py: Python<'py>, hosts: Option<&Bound<'_, PyAny>>) -> PyResult<Bound<'py, PyList>> {
        let hosts = hosts.map(host_set).transpose()?;
        let names: Vec<String> = call(py, || {
            self.0.read(|fleet| {
                Ok(fleet.names(hosts.as_ref().unwrap_or(fleet.hosts())).map(str::to_owned).collect())
            })
        })?;
        PyList::new(py, names)
    }

    /// The name of the host of that id; None when there is none.
    fn name(&self, py: Python<'_>, id: u32) -> PyResult<Option<String>> {
        call(py, || self.0.read(|fleet| Ok(fleet.name(id).map(str::to_owned))))
    }

    /// Whether and how a workload fits one host, with the reason where it does not.
    #[pyo3(signature = (host, requests, **fields))]
    fn fit(
        &self,
        host: &Bound<'_, PyAny>,
        requests: &Bound<'_, PyAny>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<Fit> {
        let name = convert::text(host, "host")?;
        let workload = workload(requests, fields)?;
        call(host.py(), || self.0.read(|fleet| fleet.fit(&name, &workload))).map(Fit)
    }

    /// Which hosts fit a workload: a ``FleetAnswer``.
    ///
    /// ``requests`` is a ``Workload``, or a list of requests. The options are given by name, or as one document:
    ///
    /// - ``among``: only these hosts: a ``HostSet`` or a list of ids.
    /// - ``hosts``: only these, each with what is particular about it: ``{"host": "compute-1", "numa_cells": [0],
    ///   "mappings": [{…}]}``, the mappings being Placement's allocation candidates.
    /// - ``limit``: stop after so many hosts that fit, in the order of ids.
    /// - ``facts``: what policies are told about the workload beyond itself.
    ///
    /// ``policies`` is a list of ``Policy``, which are asked about the hosts that fit; ``refused`` of the answer has the
    /// reasons of those that they refuse. One that fails and is to fail closed raises ``PolicyFailedError``. Changes of the
    /// fleet do not wait for policies, and do not show in the answer.
    #[pyo3(signature = (requests, options=None, /, *, policies=None, **fields))]
    fn filter(
        &self,
        requests: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyAny>>,
        policies: Option<Policies>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<FleetAnswer> {
        let py = requests.py();
        let workload = workload(requests, None)?;
        let options = filter_options(py, options, fields)?;
        call(py, || self.ask(policies, |fleet, policies| fleet.filter(&workload, &options, policies)))
            .map(FleetAnswer)
    }

    /// Ranks the hosts that fit a workload, the best first: a ``Ranking``.
    ///
    /// The options are given by name, or as one document:
    ///
    /// - ``filter``: what ``filter`` takes, as a dict.
    /// - ``weighers``: ``{"kind": "fewest_free" | "best_fit" | "fragmentation", "multiplier": 1.0}``, any number of them.
    /// - ``policy_multiplier``: the factor of the scores of each policy, 1 unless given.
    /// - ``limit``: how many of the best are wanted.
    ///
    /// ``policies`` as in ``filter``; those that score are weighers too, after the others in ``weights``.
    #[pyo3(signature = (requests, options=None, /, *, policies=None, **fields))]
    fn rank(
        &self,
        requests: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyAny>>,
        policies: Option<Policies>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<Ranking> {
        let py = requests.py();
        let workload = workload(requests, None)?;
        let options: engine::RankOptions = convert::document_or_fields(py, options, fields, "options")?;
        call(py, || self.ask(policies, |fleet, policies| fleet.rank(&workload, &options, policies)))
            .map(Ranking)
    }

    /// Explains a workload over the fleet: how many hosts fit, and what rules out the others; a dict whose ``message`` is
    /// all of it as one sentence. Options and ``policies`` as ``filter``.
    #[pyo3(signature = (requests, options=None, /, *, policies=None, **fields))]
    fn explain<'py>(
        &self,
        requests: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyAny>>,
        policies: Option<Policies>,
        fields: Option<Fields<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = requests.py();
        let workload = workload(requests, None)?;
        let options = filter_options(py, options, fields)?;
        answer(py, || self.ask(policies, |fleet, policies| fleet.explain(&workload, &options, policies)))
    }

    /// Finds a host for each item of a batch; each sees what the others take. Nothing is held: see ``reserve_placed``.
    ///
    /// ``batch`` is ``{"items": [{"owner", "workload"}, …], "rules": [{"items": [0, 1], "distinct": "host"}], "mode":
    /// "joint" | "best_effort", "weighers": […], …}``. Returns ``{"outcome", "items", "impossible", "sequence"}``.
    /// ``policies`` as ``rank``.
    #[pyo3(signature = (batch, *, policies=None))]
    fn place<'py>(
        &self,
        batch: &Bound<'py, PyAny>,
        policies: Option<Policies>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let parsed: engine::Batch = convert::document(batch, "batch")?;
        answer(batch.py(), || self.ask(policies, |fleet, policies| fleet.place(&parsed, policies)))
    }

    /// Reserves on a host what a workload needs, if it fits, until ``expires``, a time in any unit.
    ///
    /// Raises ``AlreadyExistsError`` when the owner has a reservation already.
    #[pyo3(signature = (owner, host, requests, expires, **fields))]
    fn reserve(
        &self,
        owner: &Bound<'_, PyAny>,
        host: &Bound<'_, PyAny>,
        requests: &Bound<'_, PyAny>,
        expires: &Bound<'_, PyAny>,
        fields: Option<Fields<'_, '_>>,
    ) -> PyResult<Fit> {
        let (owner_name, host) = (convert::text(owner, "owner")?, convert::text(host, "host")?);
        let workload = workload(requests, fields)?;
        let expires: u64 = convert::document(expires, "expires")?;
        call(owner.py(), || self.0.write(|fleet| fleet.reserve(&owner_name, &host, &workload, expires)))
            .map(Fit)
    }

    /// Reserves what ``place`` found for a batch, all of it or nothing; policies are not asked again.
    ///
    /// Raises ``ConflictError`` when the fleet changed since, or a host's tags break a rule now, and
    /// ``InvalidArgumentError`` when ``placed`` is no answer to ``batch``.
    fn reserve_placed(
        &self,
        batch: &Bound<'_, PyAny>,
        placed: &Bound<'_, PyAny>,
        expires: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let parsed: engine::Batch = convert::document(batch, "batch")?;
        let placed: engine::Placed = convert::document(placed, "placed")?;
        let expires: u64 = convert::document(expires, "expires")?;
        call(batch.py(), || self.0.write(|fleet| fleet.reserve_placed(&parsed, &placed, expires)))
    }

    /// Ends a reservation and returns it; raises ``UnknownOwnerError``.
    fn release<'py>(&self, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let name = convert::text(owner, "owner")?;
        answer(owner.py(), || self.0.write(|fleet| fleet.release(&name)))
    }

    /// Ends all reservations that expire at ``now`` or before, and returns their owners in order.
    fn expire<'py>(&self, now: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let time: u64 = convert::document(now, "now")?;
        answer(now.py(), || self.0.write(|fleet| Ok(fleet.expire(time))))
    }

    /// The reservations: a dict of owner → ``{"host": id, "expires": time}``.
    #[getter]
    fn reservations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let list = call(py, || {
            self.0.read(|fleet| convert::value_of(&fleet.reservations().collect::<BTreeMap<_, _>>()))
        })?;
        convert::to_python(py, &list)
    }

    /// Says what the fleet will be asked for, a list of ``{"workload": {…}, "weight": 1.0}``, in place of what was declared
    /// before; the weigher ``fragmentation`` looks at it.
    fn declare_demand(&self, demand: &Bound<'_, PyAny>) -> PyResult<()> {
        let list: Vec<engine::Demand> = convert::document(demand, "demand")?;
        call(demand.py(), || self.0.write(|fleet| fleet.declare_demand(list)))
    }

    /// Counts a workload that was asked for into the recent demand, which fades as more is counted.
    #[pyo3(signature = (requests, **fields))]
    fn observe_demand(&self, requests: &Bound<'_, PyAny>, fields: Option<Fields<'_, '_>>) -> PyResult<()> {
        let workload = workload(requests, fields)?;
        call(requests.py(), || self.0.write(|fleet| fleet.observe_demand(&workload)))
    }

    /// What the fleet expects to be asked for: what was declared, then what was asked for lately.
    #[getter]
    fn demand<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let list = call(py, || self.0.read(|fleet| convert::value_of(&fleet.demand().collect::<Vec<_>>())))?;
        convert::to_python(py, &list)
    }

    /// A number that grows with every change of what any host has free.
    #[getter]
    fn sequence(&self, py: Python<'_>) -> PyResult<u64> {
        call(py, || self.0.read(|fleet| Ok(fleet.sequence())))
    }

    /// One past the highest id that any host has had: the length of a column with a place for each host.
    #[getter]
    fn id_bound(&self, py: Python<'_>) -> PyResult<u32> {
        call(py, || self.0.read(|fleet| Ok(fleet.id_bound())))
    }

    /// How many bytes the fleet occupies: a dict by what they are for, with their ``total``.
    #[getter]
    fn memory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || self.0.read(|fleet| Ok(fleet.memory())))
    }

    /// The whole state as versioned, checksummed bytes, reservations and demand included.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = call(py, || self.0.read(|fleet| Ok(fleet.snapshot())))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The state that ``snapshot`` wrote; raises ``InvalidSnapshotError`` or ``UnsupportedVersionError``.
    #[staticmethod]
    fn from_snapshot(snapshot: &Bound<'_, PyBytes>) -> PyResult<Self> {
        let bytes = PyBackedBytes::from(snapshot.clone());
        call(snapshot.py(), || engine::Fleet::from_snapshot(&bytes)).map(Fleet::own)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        call(py, || self.0.read(|fleet| Ok(fleet.len())))
    }

    fn __contains__(&self, host: &Bound<'_, PyAny>) -> PyResult<bool> {
        let name = convert::text(host, "host")?;
        call(host.py(), || self.0.read(|fleet| Ok(fleet.id(&name).is_ok())))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<slotwise.Fleet: {} hosts>", self.__len__(py)?))
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<Self> {
        call(py, || self.0.copy()).map(Fleet)
    }

    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__copy__(memo.py())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Recipe<'py, (Bound<'py, PyBytes>,)>> {
        Ok((py.get_type::<Self>().getattr("from_snapshot")?, (self.snapshot(py)?,)))
    }
}

/// Reads the options of a filter; a `HostSet` at `among` does not become a list on the way.
fn filter_options(
    py: Python<'_>,
    options: Option<&Bound<'_, PyAny>>,
    fields: Option<Fields<'_, '_>>,
) -> PyResult<engine::FilterOptions> {
    if options.is_none() && fields.is_none() {
        return Ok(engine::FilterOptions::default());
    }
    let among = if options.is_none() { take_among(fields)? } else { None };
    let options: engine::FilterOptions = convert::document_or_fields(py, options, fields, "options")?;
    Ok(engine::FilterOptions { among: among.or(options.among), ..options })
}

/// Which hosts fit a workload.
///
/// A host that does not fit is in neither set. It is true when any host fits.
#[pyclass(frozen, module = "slotwise", eq)]
#[derive(PartialEq)]
pub(crate) struct FleetAnswer(engine::FleetAnswer);

#[pymethods]
impl FleetAnswer {
    /// The hosts that fit.
    #[getter]
    fn hosts(&self) -> HostSet {
        HostSet(self.0.hosts.clone())
    }

    /// The hosts for which the search budget ran out.
    #[getter]
    fn undecided(&self) -> HostSet {
        HostSet(self.0.undecided.clone())
    }

    /// How many hosts were asked.
    #[getter]
    fn asked(&self) -> u64 {
        self.0.asked
    }

    /// How many of them fit.
    #[getter]
    fn fits(&self) -> u64 {
        self.0.fits
    }

    /// How many do not.
    #[getter]
    fn no_fit(&self) -> u64 {
        self.0.no_fit
    }

    /// Why policies refused hosts that would fit: a list of ``{"reason", "hosts"}``.
    #[getter]
    fn refused<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(self.0.refused.as_slice()))
    }

    /// For each host that was asked with Placement candidates, which of these can be used: a list of ``{"host", "fits",
    /// "undecided"}`` in the order of ids.
    #[getter]
    fn candidates<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(self.0.candidates.as_slice()))
    }

    /// All of it as a dict, with lists of ids.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(&self.0))
    }

    fn __bool__(&self) -> bool {
        self.0.fits > 0
    }

    fn __repr__(&self) -> String {
        format!("<slotwise.FleetAnswer: {} of {} hosts fit>", self.0.fits, self.0.asked)
    }
}

/// The hosts that fit, the best first; equal ones in the order of ids.
#[pyclass(frozen, module = "slotwise", eq)]
#[derive(PartialEq)]
pub(crate) struct Ranking(engine::Ranking);

#[pymethods]
impl Ranking {
    /// The ids, as a memoryview of 32-bit numbers.
    #[getter]
    fn hosts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bytes: Vec<u8> = self.0.hosts.iter().flat_map(|id| id.to_ne_bytes()).collect();
        column(py, &bytes, "I")
    }

    /// The total of each host, parallel to ``hosts``, as a memoryview of doubles.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        numbers(py, &self.0.scores)
    }

    /// For each weigher, the weight of each host before it is put on the scale from 0 to 1: a list of memoryviews.
    #[getter]
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.0.weights.iter().map(|weights| numbers(py, weights)).collect()
    }

    /// All of it as a dict of lists.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(py, || Ok(&self.0))
    }

    fn __len__(&self) -> usize {
        self.0.hosts.len()
    }

    fn __repr__(&self) -> String {
        format!("<slotwise.Ranking: {} hosts>", self.0.hosts.len())
    }
}
