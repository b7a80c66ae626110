//! The fleet of the engine component: it lives in the guest and takes deltas.

use super::{EngineInstance, Handle, Pools, Workload};
#[allow(unused_imports, reason = "named in the documentation")]
use crate::error::Error;
use crate::error::Result;

/// Many hosts' pools in one index, as [`slotwise::Fleet`], in an [`EngineInstance`].
#[derive(Debug)]
pub struct Fleet(Handle);

impl Fleet {
    /// A fleet without hosts.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn new(instance: &mut EngineInstance) -> Result<Self> {
        let made = instance.ask(|api, store| api.fleet().call_new(store))?;
        Ok(Fleet(instance.own(made)))
    }

    /// The state that [`Fleet::snapshot`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn restore(instance: &mut EngineInstance, snapshot: &[u8]) -> Result<Self> {
        let made = instance.call(|api, store| api.fleet().call_restore(store, snapshot))?;
        Ok(Fleet(instance.own(made)))
    }

    /// Inserts a host, or replaces what is known of it: a `HostUpdate` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn put(
        &self,
        instance: &mut EngineInstance,
        host: &str,
        pools: &str,
        numa_topology: Option<&str>,
        version: Option<u64>,
    ) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_put(store, this, host, pools, numa_topology, version))
    }

    /// Inserts or replaces many hosts, all or none, one JSON document per line: a `FleetLoad` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn load(&self, instance: &mut EngineInstance, lines: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_load(store, this, lines))
    }

    /// Applies what changed on a host, a `HostDelta` document: a `HostUpdate` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn apply(&self, instance: &mut EngineInstance, host: &str, delta: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_apply(store, this, host, delta))
    }

    /// Removes a host with all that is reserved on it.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn remove(&self, instance: &mut EngineInstance, host: &str) -> Result<()> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_remove(store, this, host))
    }

    /// Gives a host its tags, a JSON object of texts, and says whether that changed anything.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn set_tags(&self, instance: &mut EngineInstance, host: &str, tags: &str) -> Result<bool> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_set_tags(store, this, host, tags))
    }

    /// The tags of a host: a JSON object.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn tags(&self, instance: &mut EngineInstance, host: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_tags(store, this, host))
    }

    /// The id of a host.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn id(&self, instance: &mut EngineInstance, host: &str) -> Result<u32> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_id(store, this, host))
    }

    /// The version of a host's state.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn version(&self, instance: &mut EngineInstance, host: &str) -> Result<u64> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_version(store, this, host))
    }

    /// The pools of a host less what is reserved on it.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn pools(&self, instance: &mut EngineInstance, host: &str) -> Result<Pools> {
        let this = self.0.of(instance)?;
        let made = instance.call(|api, store| api.fleet().call_pools(store, this, host))?;
        Ok(Pools(instance.own(made)))
    }

    /// The ids of all hosts, as a bitmap ([`slotwise::HostSet::from_bytes`]).
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn hosts(&self, instance: &mut EngineInstance) -> Result<Vec<u8>> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.fleet().call_hosts(store, this))
    }

    /// The names of the hosts of a bitmap, or of all, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn names(&self, instance: &mut EngineInstance, hosts: Option<&[u8]>) -> Result<Vec<String>> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_names(store, this, hosts))
    }

    /// Whether and how the workload fits one host: a `Fit` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn fit(&self, instance: &mut EngineInstance, host: &str, workload: &Workload) -> Result<String> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_fit(store, this, host, workload))
    }

    /// Which hosts fit the workload: a `FleetAnswer` document; `options` is a `FilterOptions` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn filter(
        &self,
        instance: &mut EngineInstance,
        workload: &Workload,
        options: Option<&str>,
    ) -> Result<String> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_filter(store, this, workload, options))
    }

    /// The hosts that fit alone, as a bitmap, of those in another or of all: for a scheduler that asks often.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn filter_hosts(
        &self,
        instance: &mut EngineInstance,
        workload: &Workload,
        among: Option<&[u8]>,
    ) -> Result<Vec<u8>> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_filter_hosts(store, this, workload, among))
    }

    /// The hosts that fit, the best first: a `Ranking` document; `options` is a `RankOptions` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn rank(
        &self,
        instance: &mut EngineInstance,
        workload: &Workload,
        options: Option<&str>,
    ) -> Result<String> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_rank(store, this, workload, options))
    }

    /// How many hosts fit, and what rules out the others: a `FleetExplanation` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn explain(
        &self,
        instance: &mut EngineInstance,
        workload: &Workload,
        options: Option<&str>,
    ) -> Result<String> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_explain(store, this, workload, options))
    }

    /// Finds a host for each item of a `Batch` document: a `Placed` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn place(&self, instance: &mut EngineInstance, batch: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_place(store, this, batch))
    }

    /// Reserves on a host what the workload needs, if it fits: a `Fit` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn reserve(
        &self,
        instance: &mut EngineInstance,
        owner: &str,
        host: &str,
        workload: &Workload,
        expires: u64,
    ) -> Result<String> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_reserve(store, this, owner, host, workload, expires))
    }

    /// Reserves what [`Fleet::place`] found for a batch, all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn reserve_placed(
        &self,
        instance: &mut EngineInstance,
        batch: &str,
        placed: &str,
        expires: u64,
    ) -> Result<()> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_reserve_placed(store, this, batch, placed, expires))
    }

    /// Ends a reservation: a `Reservation` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn release(&self, instance: &mut EngineInstance, owner: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_release(store, this, owner))
    }

    /// Ends all reservations that expire at `now` or before: their owners in order.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn expire(&self, instance: &mut EngineInstance, now: u64) -> Result<Vec<String>> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.fleet().call_expire(store, this, now))
    }

    /// The reservations: a JSON object of owner and `Reservation` document.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn reservations(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.fleet().call_reservations(store, this))
    }

    /// Says what the fleet will be asked for, a JSON array of `Demand` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn declare_demand(&self, instance: &mut EngineInstance, demand: &str) -> Result<()> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_declare_demand(store, this, demand))
    }

    /// Counts a workload that was asked for into the recent demand.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn observe_demand(&self, instance: &mut EngineInstance, workload: &Workload) -> Result<()> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.fleet().call_observe_demand(store, this, workload))
    }

    /// What the fleet expects to be asked for: a JSON array of `Demand` documents.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn demand(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.fleet().call_demand(store, this))
    }

    /// A number that grows with every change of what any host has free.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn sequence(&self, instance: &mut EngineInstance) -> Result<u64> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.fleet().call_sequence(store, this))
    }

    /// How many bytes the fleet occupies in the guest: a `FleetMemory` document.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn memory(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.fleet().call_memory(store, this))
    }

    /// The whole state as versioned, checksummed bytes.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn snapshot(&self, instance: &mut EngineInstance) -> Result<Vec<u8>> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.fleet().call_snapshot(store, this))
    }
}
