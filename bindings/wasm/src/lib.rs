//! The engine as a WebAssembly component: what `wit/engine.wit` describes, and nothing else.
//!
//! Every function here converts, calls the engine, and converts. There is no state beside the resources that the host
//! holds, no import, and no decision. The component runs on one thread and calls nobody back, so a resource is never
//! borrowed twice.

mod fleet;

use std::cell::RefCell;

use serde::Serialize;
use slotwise::json;

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated from wit/engine.wit")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "engine" });

    use super::Engine;
    export!(Engine);
}

use bindings::exports::slotwise::engine::api;

/// The component.
enum Engine {}

struct Specs(slotwise::DeviceSpecs);
struct Aliases(RefCell<slotwise::Aliases>);
struct Workload(slotwise::Workload);
struct Pools(RefCell<slotwise::Pools>);
struct Tracker(RefCell<slotwise::Tracker>);
struct Fleet(RefCell<slotwise::Fleet>);

impl api::Guest for Engine {
    type Specs = Specs;
    type Aliases = Aliases;
    type Workload = Workload;
    type Pools = Pools;
    type Tracker = Tracker;
    type Fleet = Fleet;

    fn version() -> String {
        slotwise::VERSION.to_owned()
    }

    fn parse_config(format: api::ConfigFormat, text: String) -> Result<api::Config, api::Error> {
        let format = match format {
            api::ConfigFormat::NovaConf => slotwise::ConfigFormat::NovaConf,
            api::ConfigFormat::Toml => slotwise::ConfigFormat::Toml,
        };
        let config = slotwise::Config::parse(&text, format).map_err(error)?;
        let warnings = config.warnings();
        Ok(api::Config {
            device_specs: specs(config.device_specs),
            aliases: aliases(config.aliases),
            report_in_placement: config.report_in_placement,
            pci_in_placement: config.pci_in_placement,
            warnings,
        })
    }
}

impl api::GuestSpecs for Specs {
    fn parse(entries: Vec<String>, report_in_placement: bool) -> Result<api::Specs, api::Error> {
        slotwise::DeviceSpecs::parse(&entries, report_in_placement).map(specs).map_err(error)
    }

    fn list(&self) -> String {
        json::to_string(&self.0.list())
    }

    fn warnings(&self) -> Vec<String> {
        self.0.warnings()
    }

    fn explain(&self, device: String) -> Result<String, api::Error> {
        let device = json::parse(&device, "device").map_err(error)?;
        Ok(json::to_string(&self.0.explain(&device)))
    }
}

impl api::GuestAliases for Aliases {
    fn parse(lines: Vec<String>, pci_in_placement: bool) -> Result<api::Aliases, api::Error> {
        slotwise::Aliases::parse(&lines, pci_in_placement).map(aliases).map_err(error)
    }

    fn create(&self, lines: Vec<String>) -> Result<String, api::Error> {
        document(self.0.borrow_mut().create(&lines))
    }

    fn update(&self, lines: Vec<String>) -> Result<String, api::Error> {
        document(self.0.borrow_mut().update(&lines))
    }

    fn delete(&self, name: String) -> Result<String, api::Error> {
        document(self.0.borrow_mut().delete(&name))
    }

    fn list(&self) -> String {
        json::to_string(self.0.borrow().list())
    }

    fn warnings(&self) -> Vec<String> {
        self.0.borrow().warnings()
    }

    fn requests(&self, flavor: String, policy: Option<api::NumaPolicy>) -> Result<String, api::Error> {
        let policy = policy.map(|policy| match policy {
            api::NumaPolicy::Required => slotwise::NumaPolicy::Required,
            api::NumaPolicy::Preferred => slotwise::NumaPolicy::Preferred,
            api::NumaPolicy::Legacy => slotwise::NumaPolicy::Legacy,
            api::NumaPolicy::Socket => slotwise::NumaPolicy::Socket,
        });
        document(self.0.borrow().requests(&flavor, policy))
    }
}

impl api::GuestWorkload for Workload {
    fn parse(workload: String) -> Result<api::Workload, api::Error> {
        let workload = json::parse(&workload, "workload").map_err(error)?;
        Ok(api::Workload::new(Workload(workload)))
    }
}

impl api::GuestPools for Pools {
    fn parse(pools: String, numa_topology: Option<String>) -> Result<api::Pools, api::Error> {
        let topology = optional(numa_topology, "numa_topology")?;
        let pools = slotwise::Pools::from_json(&pools, topology).map_err(error)?;
        Ok(api::Pools::new(Pools(RefCell::new(pools))))
    }

    fn list(&self) -> String {
        json::to_string(self.0.borrow().as_slice())
    }

    fn free(&self) -> u64 {
        self.0.borrow().free()
    }

    fn fit(&self, workload: api::WorkloadBorrow<'_>) -> Result<String, api::Error> {
        document(self.0.borrow().fit(&workload.get::<Workload>().0))
    }

    fn fit_outcome(&self, workload: api::WorkloadBorrow<'_>) -> Result<api::Outcome, api::Error> {
        match self.0.borrow().fit(&workload.get::<Workload>().0).map_err(error)? {
            slotwise::Fit::Fits(_) => Ok(api::Outcome::Fits),
            slotwise::Fit::NoFit(_) => Ok(api::Outcome::NoFit),
            slotwise::Fit::Undecided(_) => Ok(api::Outcome::Undecided),
        }
    }

    fn consume(&self, assignment: String) -> Result<(), api::Error> {
        let assignment = json::parse(&assignment, "assignment").map_err(error)?;
        self.0.borrow_mut().consume(&assignment).map_err(error)
    }

    fn group_by(&self, keys: Vec<String>) -> String {
        json::to_string(&self.0.borrow().group_by(&keys))
    }
}

impl api::GuestTracker for Tracker {
    fn new(specs: api::SpecsBorrow<'_>, options: Option<String>) -> Result<api::Tracker, api::Error> {
        let options: Option<slotwise::TrackerOptions> = optional(options, "options")?;
        tracker(slotwise::Tracker::new(specs.get::<Specs>().0.clone(), options.unwrap_or_default()))
    }

    fn load(
        specs: api::SpecsBorrow<'_>,
        options: Option<String>,
        rows: String,
    ) -> Result<api::Tracker, api::Error> {
        let options: Option<slotwise::TrackerOptions> = optional(options, "options")?;
        let rows = json::parse(&rows, "rows").map_err(error)?;
        tracker(slotwise::Tracker::load(specs.get::<Specs>().0.clone(), options.unwrap_or_default(), rows))
    }

    fn restore(snapshot: Vec<u8>) -> Result<api::Tracker, api::Error> {
        tracker(slotwise::Tracker::from_snapshot(&snapshot))
    }

    fn restore_json(snapshot: String) -> Result<api::Tracker, api::Error> {
        tracker(slotwise::Tracker::from_snapshot_json(&snapshot))
    }

    fn sync(&self, devices: String) -> Result<String, api::Error> {
        let devices = json::parse(&devices, "devices").map_err(error)?;
        document(self.0.borrow_mut().sync(devices))
    }

    fn replace_specs(&self, specs: api::SpecsBorrow<'_>, dry_run: bool) -> Result<String, api::Error> {
        document(self.0.borrow_mut().replace_specs(specs.get::<Specs>().0.clone(), dry_run))
    }

    fn rules(&self) -> api::Specs {
        specs(self.0.borrow().specs().clone())
    }

    fn pools(&self) -> String {
        json::to_string(self.0.borrow().pools().as_slice())
    }

    fn group_by(&self, keys: Vec<String>) -> String {
        json::to_string(&self.0.borrow().group_by(&keys))
    }

    fn devices(&self) -> String {
        json::to_string(&self.0.borrow().devices())
    }

    fn explain(&self, address: String) -> Result<String, api::Error> {
        document(self.0.borrow().explain(self::address(&address)?))
    }

    fn fit(&self, workload: api::WorkloadBorrow<'_>) -> Result<String, api::Error> {
        document(self.0.borrow().fit(&workload.get::<Workload>().0))
    }

    fn claim(&self, owner: String, workload: api::WorkloadBorrow<'_>) -> Result<String, api::Error> {
        document(self.0.borrow_mut().claim(&owner, &workload.get::<Workload>().0))
    }

    fn claim_fit(
        &self,
        owner: String,
        workload: api::WorkloadBorrow<'_>,
        assignment: String,
    ) -> Result<(), api::Error> {
        let assignment = json::parse(&assignment, "assignment").map_err(error)?;
        let workload = &workload.get::<Workload>().0;
        self.0.borrow_mut().claim_fit(&owner, workload, &assignment).map_err(error)
    }

    fn claim_all(&self, claims: String) -> Result<String, api::Error> {
        let claims: Vec<slotwise::Claim> = json::parse(&claims, "claims").map_err(error)?;
        document(self.0.borrow_mut().claim_all(&claims))
    }

    fn allocate(&self, owner: String) -> Result<Vec<String>, api::Error> {
        self.0.borrow_mut().allocate(&owner).map(|list| addresses(&list)).map_err(error)
    }

    fn free(&self, owner: String, scope: api::FreeScope) -> Vec<String> {
        let scope = match scope {
            api::FreeScope::All => slotwise::FreeScope::All,
            api::FreeScope::Claims => slotwise::FreeScope::Claims,
            api::FreeScope::Allocations => slotwise::FreeScope::Allocations,
        };
        addresses(&self.0.borrow_mut().free(&owner, scope))
    }

    fn free_device(&self, owner: String, address: String) -> Result<(), api::Error> {
        let address = self::address(&address)?;
        self.0.borrow_mut().free_device(&owner, address).map_err(error)
    }

    fn retain_owners(&self, owners: Vec<String>) -> Vec<String> {
        addresses(&self.0.borrow_mut().retain_owners(&owners))
    }

    fn bindings(&self, query: String) -> Result<String, api::Error> {
        let query = json::parse(&query, "query").map_err(error)?;
        Ok(json::to_string(&self.0.borrow().bindings(&query)))
    }

    fn changes(&self) -> String {
        json::to_string(&self.0.borrow().changes())
    }

    fn written(&self, changes: String) -> Result<(), api::Error> {
        let changes: Vec<slotwise::Change> = json::parse(&changes, "changes").map_err(error)?;
        self.0.borrow_mut().written(&changes).map_err(error)
    }

    fn version(&self) -> u64 {
        self.0.borrow().version()
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }

    fn snapshot_json(&self) -> String {
        self.0.borrow().snapshot_json()
    }
}

fn specs(specs: slotwise::DeviceSpecs) -> api::Specs {
    api::Specs::new(Specs(specs))
}

fn aliases(aliases: slotwise::Aliases) -> api::Aliases {
    api::Aliases::new(Aliases(RefCell::new(aliases)))
}

fn tracker(tracker: slotwise::Result<slotwise::Tracker>) -> Result<api::Tracker, api::Error> {
    tracker.map(|tracker| api::Tracker::new(Tracker(RefCell::new(tracker)))).map_err(error)
}

fn document<T: Serialize>(answer: slotwise::Result<T>) -> Result<String, api::Error> {
    answer.map(|answer| json::to_string(&answer)).map_err(error)
}

fn optional<T: serde::de::DeserializeOwned>(
    text: Option<String>,
    what: &str,
) -> Result<Option<T>, api::Error> {
    text.map(|text| json::parse(&text, what)).transpose().map_err(error)
}

fn address(text: &str) -> Result<slotwise::PciAddress, api::Error> {
    text.parse().map_err(|wrong: slotwise::Error| error(wrong.inside("address")))
}

fn addresses(list: &[slotwise::PciAddress]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn error(error: slotwise::Error) -> api::Error {
    let place = error.place();
    api::Error {
        kind: kind(error.kind()),
        code: error.kind().code(),
        message: error.message().to_owned(),
        path: place.path.clone(),
        line: place.line,
        column: place.column,
        help: error.help().map(str::to_owned),
    }
}

/// Pairs the engine's error kinds with those of the interface, which have the same names.
macro_rules! kinds {
    ($($kind:ident)+) => {
        const PAIRED: usize = [$(slotwise::ErrorKind::$kind),+].len();

        fn kind(kind: slotwise::ErrorKind) -> api::ErrorKind {
            match kind {
                $(slotwise::ErrorKind::$kind => api::ErrorKind::$kind,)+
                // The engine's enum is open; the assertion below does not let an unpaired kind compile.
                _ => api::ErrorKind::Internal,
            }
        }
    };
}

kinds! {
    InvalidJson InvalidAddress InvalidDevice InvalidSpec InvalidAlias InvalidRequest InvalidConfig InvalidPool
    DuplicateDevice MissingParent ParentCycle InvalidSnapshot UnsupportedVersion InvalidUtf8 InvalidArgument
    UnknownAlias UnknownDevice UnknownOwner AlreadyExists InvalidState WrongOwner LimitExceeded
    Conflict Internal InvalidPolicy PolicyFailed UnknownHost
}

const _: () =
    assert!(PAIRED == slotwise::ErrorKind::ALL.len(), "an error kind is missing here and in wit/engine.wit");
