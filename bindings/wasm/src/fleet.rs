//! The fleet of the component.

use std::cell::RefCell;
use std::collections::BTreeMap;

use slotwise::{Batch, Demand, FilterOptions, HostDelta, HostSet, NumaTopology, Placed, RankOptions, json};

use crate::bindings::exports::slotwise::engine::api;
use crate::{Fleet, Pools, Workload, document, error, optional};

impl api::GuestFleet for Fleet {
    fn new() -> api::Fleet {
        fleet(slotwise::Fleet::new())
    }

    fn restore(snapshot: Vec<u8>) -> Result<api::Fleet, api::Error> {
        slotwise::Fleet::from_snapshot(&snapshot).map(fleet).map_err(error)
    }

    fn put(
        &self,
        host: String,
        pools: String,
        numa_topology: Option<String>,
        version: Option<u64>,
    ) -> Result<String, api::Error> {
        let topology: Option<NumaTopology> = optional(numa_topology, "numa_topology")?;
        document(self.0.borrow_mut().put_json(&host, &pools, topology.as_ref(), version))
    }

    fn load(&self, lines: String) -> Result<String, api::Error> {
        document(self.0.borrow_mut().load(&lines))
    }

    fn apply(&self, host: String, delta: String) -> Result<String, api::Error> {
        let delta: HostDelta = json::parse(&delta, "delta").map_err(error)?;
        document(self.0.borrow_mut().apply(&host, &delta))
    }

    fn remove(&self, host: String) -> Result<(), api::Error> {
        self.0.borrow_mut().remove(&host).map_err(error)
    }

    fn set_tags(&self, host: String, tags: String) -> Result<bool, api::Error> {
        let tags = json::parse(&tags, "tags").map_err(error)?;
        self.0.borrow_mut().set_tags(&host, &tags).map_err(error)
    }

    fn tags(&self, host: String) -> Result<String, api::Error> {
        document(self.0.borrow().tags(&host))
    }

    fn id(&self, host: String) -> Result<u32, api::Error> {
        self.0.borrow().id(&host).map_err(error)
    }

    fn version(&self, host: String) -> Result<u64, api::Error> {
        self.0.borrow().version(&host).map_err(error)
    }

    fn pools(&self, host: String) -> Result<api::Pools, api::Error> {
        let pools = self.0.borrow().pools(&host).map_err(error)?;
        Ok(api::Pools::new(Pools(RefCell::new(pools))))
    }

    fn hosts(&self) -> Vec<u8> {
        self.0.borrow().hosts().to_bytes()
    }

    fn names(&self, hosts: Option<Vec<u8>>) -> Result<Vec<String>, api::Error> {
        let hosts = host_set(hosts, "hosts")?;
        let fleet = self.0.borrow();
        let hosts = hosts.as_ref().unwrap_or(fleet.hosts());
        Ok(fleet.names(hosts).map(str::to_owned).collect())
    }

    fn fit(&self, host: String, workload: api::WorkloadBorrow<'_>) -> Result<String, api::Error> {
        document(self.0.borrow().fit(&host, &workload.get::<Workload>().0))
    }

    fn filter(
        &self,
        workload: api::WorkloadBorrow<'_>,
        options: Option<String>,
    ) -> Result<String, api::Error> {
        let options: Option<FilterOptions> = optional(options, "options")?;
        let workload = &workload.get::<Workload>().0;
        document(self.0.borrow().filter(workload, &options.unwrap_or_default(), &[]))
    }

    fn filter_hosts(
        &self,
        workload: api::WorkloadBorrow<'_>,
        among: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, api::Error> {
        let options = FilterOptions { among: host_set(among, "among")?, ..FilterOptions::default() };
        let answer = self.0.borrow().filter(&workload.get::<Workload>().0, &options, &[]).map_err(error)?;
        Ok(answer.hosts.to_bytes())
    }

    fn rank(&self, workload: api::WorkloadBorrow<'_>, options: Option<String>) -> Result<String, api::Error> {
        let options: Option<RankOptions> = optional(options, "options")?;
        let workload = &workload.get::<Workload>().0;
        document(self.0.borrow().rank(workload, &options.unwrap_or_default(), &[]))
    }

    fn explain(
        &self,
        workload: api::WorkloadBorrow<'_>,
        options: Option<String>,
    ) -> Result<String, api::Error> {
        let options: Option<FilterOptions> = optional(options, "options")?;
        let workload = &workload.get::<Workload>().0;
        document(self.0.borrow().explain(workload, &options.unwrap_or_default(), &[]))
    }

    fn place(&self, batch: String) -> Result<String, api::Error> {
        let batch: Batch = json::parse(&batch, "batch").map_err(error)?;
        document(self.0.borrow().place(&batch, &[]))
    }

    fn reserve(
        &self,
        owner: String,
        host: String,
        workload: api::WorkloadBorrow<'_>,
        expires: u64,
    ) -> Result<String, api::Error> {
        document(self.0.borrow_mut().reserve(&owner, &host, &workload.get::<Workload>().0, expires))
    }

    fn reserve_placed(&self, batch: String, placed: String, expires: u64) -> Result<(), api::Error> {
        let batch: Batch = json::parse(&batch, "batch").map_err(error)?;
        let placed: Placed = json::parse(&placed, "placed").map_err(error)?;
        self.0.borrow_mut().reserve_placed(&batch, &placed, expires).map_err(error)
    }

    fn release(&self, owner: String) -> Result<String, api::Error> {
        document(self.0.borrow_mut().release(&owner))
    }

    fn expire(&self, now: u64) -> Vec<String> {
        self.0.borrow_mut().expire(now)
    }

    fn reservations(&self) -> String {
        json::to_string(&self.0.borrow().reservations().collect::<BTreeMap<_, _>>())
    }

    fn declare_demand(&self, demand: String) -> Result<(), api::Error> {
        let demand: Vec<Demand> = json::parse(&demand, "demand").map_err(error)?;
        self.0.borrow_mut().declare_demand(demand).map_err(error)
    }

    fn observe_demand(&self, workload: api::WorkloadBorrow<'_>) -> Result<(), api::Error> {
        self.0.borrow_mut().observe_demand(&workload.get::<Workload>().0).map_err(error)
    }

    fn demand(&self) -> String {
        json::to_string(&self.0.borrow().demand().collect::<Vec<_>>())
    }

    fn sequence(&self) -> u64 {
        self.0.borrow().sequence()
    }

    fn memory(&self) -> String {
        json::to_string(&self.0.borrow().memory())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }
}

fn fleet(fleet: slotwise::Fleet) -> api::Fleet {
    api::Fleet::new(Fleet(RefCell::new(fleet)))
}

fn host_set(bitmap: Option<Vec<u8>>, what: &str) -> Result<Option<HostSet>, api::Error> {
    let read = |bitmap: Vec<u8>| HostSet::from_bytes(&bitmap).map_err(|wrong| error(wrong.inside(what)));
    bitmap.map(read).transpose()
}
