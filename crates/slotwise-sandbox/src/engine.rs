//! The host of the engine component: what `bindings/wasm/wit/engine.wit` describes, as Rust methods.

mod fleet;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slotwise::{ConfigFormat, ErrorKind, FreeScope, NumaPolicy};
use wasmtime::Store;
use wasmtime::component::{Linker, ResourceAny};

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::meter::Meter;
use crate::runtime::{Allocation, Runtime, read_component, reason};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated from engine.wit")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../bindings/wasm/wit",
        world: "engine",
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}

pub use self::fleet::Fleet;
use bindings::exports::slotwise::engine::api;

/// The name under which the component exports its interface.
pub const ENGINE_INTERFACE: &str = "slotwise:engine/api@0.1.0";

/// The engine as a compiled component, and the limits of its instances.
///
/// Compiling takes about a tenth of a second, an instance some microseconds. Clones share the compiled code; threads
/// may use them at once.
///
/// ```no_run
/// use std::time::Duration;
///
/// use slotwise_sandbox::{EngineComponent, Limits, Specs, Tracker, Workload};
///
/// // `cargo xtask wasm` builds it. It imports nothing: it sees what it is given, and has this much time for each call.
/// let limits = Limits { time: Duration::from_secs(1), memory: 64 << 20, ..Limits::default() };
/// let engine = &mut EngineComponent::load("target/wasm/slotwise.wasm", limits)?.instantiate()?;
///
/// let specs = Specs::parse(engine, &[r#"{"vendor_id": "10de"}"#], false)?;
/// let host = Tracker::new(engine, &specs, None)?;
/// host.sync(engine, r#"[{"address": "0000:17:00.0", "vendor_id": "10de", "product_id": "25b6"}]"#)?;
/// let gpu = Workload::parse(engine, r#"{"requests": [{"alternatives": [{"vendor_id": "10de"}]}]}"#)?;
/// // Answers are documents in JSON, which the engine's own types read.
/// println!("{}", host.claim(engine, "vm-1", &gpu)?);
/// # Ok::<(), slotwise_sandbox::Error>(())
/// ```
#[derive(Clone)]
pub struct EngineComponent {
    runtime: Runtime,
    code: bindings::EnginePre<Meter>,
}

impl EngineComponent {
    /// Reads and compiles the component in a file, such as `target/wasm/slotwise.wasm`.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`], or as [`EngineComponent::from_bytes`].
    pub fn load(path: impl AsRef<Path>, limits: Limits) -> Result<Self> {
        EngineComponent::from_bytes(&read_component(path.as_ref())?, limits)
    }

    /// Compiles a component, and makes one instance to see that it is the engine and fits its limits.
    ///
    /// # Errors
    ///
    /// [`Error::NotAComponent`], [`Error::UnexpectedImport`], [`Error::MissingExport`] or [`Error::WrongType`]; or what
    /// stopped the instance from starting within its limits.
    pub fn from_bytes(bytes: &[u8], limits: Limits) -> Result<Self> {
        let runtime = Runtime::new(limits, Allocation::OnDemand)?;
        let component = runtime.compile(bytes, None, &[])?.component;
        let code = Linker::new(&runtime.engine)
            .instantiate_pre(&component)
            .and_then(bindings::EnginePre::new)
            .map_err(|error| Error::MissingExport(reason(&error)))?;
        let mut store = runtime.store(Meter::new(&runtime.limits));
        let running = runtime.begin(&mut store)?;
        let instance = code.instance_pre().instantiate(&mut store);
        drop(running);
        let instance = instance.map_err(|error| Error::stopped(error, &runtime.limits))?;
        // The names are all there; what this compares are the types.
        bindings::Engine::new(&mut store, &instance).map_err(|error| Error::WrongType(reason(&error)))?;
        Ok(EngineComponent { runtime, code })
    }

    /// Makes a fresh instance, which shares nothing with others but the code.
    ///
    /// # Errors
    ///
    /// What stopped it from starting within its limits.
    pub fn instantiate(&self) -> Result<EngineInstance> {
        let mut store = self.runtime.store(Meter::new(&self.runtime.limits));
        let running = self.runtime.begin(&mut store)?;
        let engine = self.code.instantiate(&mut store);
        drop(running);
        let engine = engine.map_err(|error| Error::stopped(error, &self.runtime.limits))?;
        Ok(EngineInstance {
            runtime: self.runtime.clone(),
            state: State::Live(Box::new(Live { store, engine })),
            dropped: Arc::default(),
        })
    }
}

impl fmt::Debug for EngineComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineComponent").field("limits", &self.runtime.limits).finish_non_exhaustive()
    }
}

/// One live engine, with the rules, pools and trackers that were made in it.
///
/// A call that passes a limit or fails in the guest ends the instance, and what lives in it is lost: every later call
/// gives [`Error::InstanceGone`]. A caller that must survive that keeps the last [`Tracker::snapshot`].
pub struct EngineInstance {
    runtime: Runtime,
    state: State,
    /// The resources that the host no longer holds, until the next call tells the guest.
    dropped: Arc<Dropped>,
}

/// The instance, or why it is no longer there.
enum State {
    Live(Box<Live>),
    Gone(String),
}

struct Live {
    store: Store<Meter>,
    engine: bindings::Engine,
}

type Dropped = Mutex<Vec<ResourceAny>>;

impl EngineInstance {
    /// The version of the engine in the component.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn version(&mut self) -> Result<String> {
        self.ask(|api, store| api.call_version(store))
    }

    /// Whether the instance can still be called.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// Runs a call that may refuse its input.
    fn call<T>(
        &mut self,
        call: impl FnOnce(&api::Guest, &mut Store<Meter>) -> wasmtime::Result<Result<T, api::Error>>,
    ) -> Result<T> {
        self.ask(call)?.map_err(|error| Error::Input(from_guest(error)))
    }

    /// Runs a call within the limits; if it does not return, the instance is thrown away.
    fn ask<T>(
        &mut self,
        call: impl FnOnce(&api::Guest, &mut Store<Meter>) -> wasmtime::Result<T>,
    ) -> Result<T> {
        let Live { store, engine } = match &mut self.state {
            State::Live(live) => &mut **live,
            State::Gone(reason) => return Err(Error::InstanceGone(reason.clone())),
        };
        let running = self.runtime.begin(store)?;
        let dropped = std::mem::take(&mut *lock(&self.dropped));
        let answer = dropped
            .into_iter()
            .try_for_each(|resource| resource.resource_drop(&mut *store))
            .and_then(|()| call(engine.slotwise_engine_api(), store));
        drop(running);
        answer.map_err(|error| {
            let error = Error::stopped(error, &self.runtime.limits);
            self.state = State::Gone(error.to_string());
            error
        })
    }

    fn own(&self, resource: ResourceAny) -> Handle {
        Handle { resource, home: self.dropped.clone() }
    }
}

impl fmt::Debug for EngineInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineInstance").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}

/// A resource in the guest. Dropping it notes that the guest may drop it too.
struct Handle {
    resource: ResourceAny,
    home: Arc<Dropped>,
}

impl Handle {
    /// The resource, if it lives in `instance`: in another one its number could mean something else.
    fn of(&self, instance: &EngineInstance) -> Result<ResourceAny> {
        if Arc::ptr_eq(&self.home, &instance.dropped) {
            Ok(self.resource)
        } else {
            Err(Error::ForeignResource)
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("in an EngineInstance")
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        lock(&self.home).push(self.resource);
    }
}

/// A list of resources is valid at any point, so that a panic elsewhere in the host does not matter to it.
fn lock(dropped: &Dropped) -> MutexGuard<'_, Vec<ResourceAny>> {
    dropped.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a configuration text says about PCI devices.
#[derive(Debug)]
pub struct Config {
    /// `[pci]device_spec`.
    pub device_specs: Specs,
    /// `[pci]alias`.
    pub aliases: Aliases,
    /// `[pci]report_in_placement`.
    pub report_in_placement: bool,
    /// `[filter_scheduler]pci_in_placement`.
    pub pci_in_placement: bool,
    /// What is allowed but probably not meant, one sentence each.
    pub warnings: Vec<String>,
}

/// An ordered set of operator rules, as [`slotwise::DeviceSpecs`], in an [`EngineInstance`].
#[derive(Debug)]
pub struct Specs(Handle);

/// The operator's aliases, as [`slotwise::Aliases`], in an [`EngineInstance`].
#[derive(Debug)]
pub struct Aliases(Handle);

/// What one workload asks of a host, as [`slotwise::Workload`], parsed once in an [`EngineInstance`].
#[derive(Debug)]
pub struct Workload(Handle);

/// The free devices of one host, as [`slotwise::Pools`], in an [`EngineInstance`].
#[derive(Debug)]
pub struct Pools(Handle);

/// One host's truth, as [`slotwise::Tracker`], in an [`EngineInstance`].
#[derive(Debug)]
pub struct Tracker(Handle);

/// The answer to a workload without its reasons.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// All requests can be served together.
    Fits,
    /// They cannot.
    NoFit,
    /// The search budget ran out before either was shown.
    Undecided,
}

impl Config {
    /// Reads a configuration text.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] with line and column in `text`; a limit or a fault, as every call.
    pub fn parse(instance: &mut EngineInstance, text: &str, format: ConfigFormat) -> Result<Self> {
        let format = match format {
            ConfigFormat::NovaConf => api::ConfigFormat::NovaConf,
            ConfigFormat::Toml => api::ConfigFormat::Toml,
        };
        let config = instance.call(|api, store| api.call_parse_config(store, format, text))?;
        Ok(Config {
            device_specs: Specs(instance.own(config.device_specs)),
            aliases: Aliases(instance.own(config.aliases)),
            report_in_placement: config.report_in_placement,
            pci_in_placement: config.pci_in_placement,
            warnings: config.warnings,
        })
    }
}

// Every method below takes the instance that its resource lives in, and gives what the function of the same name in
// engine.wit gives. `call` is for those that may refuse their input, `ask` for those that may not.

impl Specs {
    /// Reads rules, each entry being the JSON text of one rule or of a list of rules.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn parse(instance: &mut EngineInstance, entries: &[&str], report_in_placement: bool) -> Result<Self> {
        let made = instance.call(|api, store| api.specs().call_parse(store, entries, report_in_placement))?;
        Ok(Specs(instance.own(made)))
    }

    /// The rules in canonical form, in order: a JSON array of objects.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn list(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.specs().call_list(store, this))
    }

    /// What is allowed but probably not meant, one sentence each.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn warnings(&self, instance: &mut EngineInstance) -> Result<Vec<String>> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.specs().call_warnings(store, this))
    }

    /// Why a device (`Device` document) is or is not assignable: an `Explanation` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn explain(&self, instance: &mut EngineInstance, device: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.specs().call_explain(store, this, device))
    }
}

impl Aliases {
    /// Reads alias lines, each a JSON text; lines of one name are alternatives.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn parse(instance: &mut EngineInstance, lines: &[&str], pci_in_placement: bool) -> Result<Self> {
        let made = instance.call(|api, store| api.aliases().call_parse(store, lines, pci_in_placement))?;
        Ok(Aliases(instance.own(made)))
    }

    /// Adds the alias that these lines, all of one new name, define: an `Alias` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn create(&self, instance: &mut EngineInstance, lines: &[&str]) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.aliases().call_create(store, this, lines))
    }

    /// Replaces the alias of the name in these lines: an `Alias` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn update(&self, instance: &mut EngineInstance, lines: &[&str]) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.aliases().call_update(store, this, lines))
    }

    /// Removes the alias of that name: an `Alias` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn delete(&self, instance: &mut EngineInstance, name: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.aliases().call_delete(store, this, name))
    }

    /// All aliases in the order they were defined: a JSON array of `Alias` documents.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn list(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.aliases().call_list(store, this))
    }

    /// What is allowed but probably not meant, one sentence each.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn warnings(&self, instance: &mut EngineInstance) -> Result<Vec<String>> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.aliases().call_warnings(store, this))
    }

    /// Turns a flavor's `name:count,name:count` into requests: a JSON array of `Request` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn requests(
        &self,
        instance: &mut EngineInstance,
        flavor: &str,
        policy: Option<NumaPolicy>,
    ) -> Result<String> {
        let this = self.0.of(instance)?;
        let policy = policy.map(numa_policy);
        instance.call(|api, store| api.aliases().call_requests(store, this, flavor, policy))
    }
}

impl Workload {
    /// Reads a `Workload` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn parse(instance: &mut EngineInstance, workload: &str) -> Result<Self> {
        let made = instance.call(|api, store| api.workload().call_parse(store, workload))?;
        Ok(Workload(instance.own(made)))
    }
}

impl Pools {
    /// Reads the pools of a host, a JSON array of `Pool` documents, and its `NumaTopology` document if known.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn parse(instance: &mut EngineInstance, pools: &str, numa_topology: Option<&str>) -> Result<Self> {
        let made = instance.call(|api, store| api.pools().call_parse(store, pools, numa_topology))?;
        Ok(Pools(instance.own(made)))
    }

    /// The pools in their stable order: a JSON array of `Pool` documents.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn list(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.pools().call_list(store, this))
    }

    /// How many free devices there are in all.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn free(&self, instance: &mut EngineInstance) -> Result<u64> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.pools().call_free(store, this))
    }

    /// Whether and how the workload fits, without taking anything: a `Fit` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn fit(&self, instance: &mut EngineInstance, workload: &Workload) -> Result<String> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.pools().call_fit(store, this, workload))
    }

    /// The outcome of [`Pools::fit`] alone: the call for a scheduler that asks many hosts.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn fit_outcome(&self, instance: &mut EngineInstance, workload: &Workload) -> Result<Outcome> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.pools().call_fit_outcome(store, this, workload)).map(outcome)
    }

    /// Takes what an `Assignment` document uses, so that the next workload sees what is left.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn consume(&self, instance: &mut EngineInstance, assignment: &str) -> Result<()> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.pools().call_consume(store, this, assignment))
    }

    /// Groups and counts the free devices by the values of these keys: a JSON array of `Group` documents.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn group_by(&self, instance: &mut EngineInstance, keys: &[&str]) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.pools().call_group_by(store, this, keys))
    }
}

impl Tracker {
    /// A tracker without devices, with a copy of the rules; `options` is a `TrackerOptions` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn new(instance: &mut EngineInstance, specs: &Specs, options: Option<&str>) -> Result<Self> {
        let specs = specs.0.of(instance)?;
        let made = instance.call(|api, store| api.tracker().call_new(store, specs, options))?;
        Ok(Tracker(instance.own(made)))
    }

    /// A tracker that takes up from the rows of a database, a JSON array of `TrackedDevice` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn load(
        instance: &mut EngineInstance,
        specs: &Specs,
        options: Option<&str>,
        rows: &str,
    ) -> Result<Self> {
        let specs = specs.0.of(instance)?;
        let made = instance.call(|api, store| api.tracker().call_load(store, specs, options, rows))?;
        Ok(Tracker(instance.own(made)))
    }

    /// The state that [`Tracker::snapshot`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn restore(instance: &mut EngineInstance, snapshot: &[u8]) -> Result<Self> {
        let made = instance.call(|api, store| api.tracker().call_restore(store, snapshot))?;
        Ok(Tracker(instance.own(made)))
    }

    /// The state that [`Tracker::snapshot_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn restore_json(instance: &mut EngineInstance, snapshot: &str) -> Result<Self> {
        let made = instance.call(|api, store| api.tracker().call_restore_json(store, snapshot))?;
        Ok(Tracker(instance.own(made)))
    }

    /// Takes over what the host has now, a JSON array of `Device` documents: a `SyncReport` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn sync(&self, instance: &mut EngineInstance, devices: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_sync(store, this, devices))
    }

    /// Replaces the rules, or with `dry_run` only says what that would change: a `SpecsDiff` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn replace_specs(
        &self,
        instance: &mut EngineInstance,
        specs: &Specs,
        dry_run: bool,
    ) -> Result<String> {
        let this = self.0.of(instance)?;
        let specs = specs.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_replace_specs(store, this, specs, dry_run))
    }

    /// A copy of the rules.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn rules(&self, instance: &mut EngineInstance) -> Result<Specs> {
        let this = self.0.of(instance)?;
        let made = instance.ask(|api, store| api.tracker().call_rules(store, this))?;
        Ok(Specs(instance.own(made)))
    }

    /// The free devices, pooled: a JSON array of `Pool` documents.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn pools(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.tracker().call_pools(store, this))
    }

    /// Groups and counts the assignable devices, free or held: a JSON array of `Group` documents.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn group_by(&self, instance: &mut EngineInstance, keys: &[&str]) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.tracker().call_group_by(store, this, keys))
    }

    /// The assignable devices, ordered by address: a JSON array of `TrackedDevice` documents.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn devices(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.tracker().call_devices(store, this))
    }

    /// Why the device of that address is or is not assignable: an `Explanation` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn explain(&self, instance: &mut EngineInstance, address: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_explain(store, this, address))
    }

    /// Whether and how the workload fits, without claiming anything: a `Fit` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn fit(&self, instance: &mut EngineInstance, workload: &Workload) -> Result<String> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_fit(store, this, workload))
    }

    /// Claims devices for `owner`, all that the workload asks for or none: a `Fit` document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn claim(&self, instance: &mut EngineInstance, owner: &str, workload: &Workload) -> Result<String> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_claim(store, this, owner, workload))
    }

    /// Claims exactly the devices that a fit found earlier; `assignment` is its document.
    ///
    /// # Errors
    ///
    /// [`Error::Input`], of kind `conflict` when the assignment no longer holds; a limit or a fault, as every call.
    pub fn claim_fit(
        &self,
        instance: &mut EngineInstance,
        owner: &str,
        workload: &Workload,
        assignment: &str,
    ) -> Result<()> {
        let this = self.0.of(instance)?;
        let workload = workload.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_claim_fit(store, this, owner, workload, assignment))
    }

    /// Claims devices for several workloads together: `claims` and the answer are JSON documents.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn claim_all(&self, instance: &mut EngineInstance, claims: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_claim_all(store, this, claims))
    }

    /// Turns the owner's claims into allocations: the addresses, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn allocate(&self, instance: &mut EngineInstance, owner: &str) -> Result<Vec<String>> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_allocate(store, this, owner))
    }

    /// Frees the owner's devices: their addresses, in order; none if it holds none.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn free(&self, instance: &mut EngineInstance, owner: &str, scope: FreeScope) -> Result<Vec<String>> {
        let this = self.0.of(instance)?;
        let scope = free_scope(scope);
        instance.ask(|api, store| api.tracker().call_free(store, this, owner, scope))
    }

    /// Frees one device of the owner.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn free_device(&self, instance: &mut EngineInstance, owner: &str, address: &str) -> Result<()> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_free_device(store, this, owner, address))
    }

    /// Frees the devices of all owners that are not among `owners`: their addresses, in order.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn retain_owners(&self, instance: &mut EngineInstance, owners: &[&str]) -> Result<Vec<String>> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.tracker().call_retain_owners(store, this, owners))
    }

    /// The held devices that a `BindingQuery` document selects: a JSON array of `Binding` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn bindings(&self, instance: &mut EngineInstance, query: &str) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_bindings(store, this, query))
    }

    /// What must be written to the caller's database now: a JSON array of `Change` documents.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn changes(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.tracker().call_changes(store, this))
    }

    /// Notes that these changes, a JSON array of `Change` documents, have been written.
    ///
    /// # Errors
    ///
    /// [`Error::Input`]; a limit or a fault, as every call.
    pub fn written(&self, instance: &mut EngineInstance, changes: &str) -> Result<()> {
        let this = self.0.of(instance)?;
        instance.call(|api, store| api.tracker().call_written(store, this, changes))
    }

    /// A number that grows with every call that changed anything.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn version(&self, instance: &mut EngineInstance) -> Result<u64> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.tracker().call_version(store, this))
    }

    /// The whole state as versioned, checksummed bytes.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn snapshot(&self, instance: &mut EngineInstance) -> Result<Vec<u8>> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.tracker().call_snapshot(store, this))
    }

    /// The whole state as a JSON document.
    ///
    /// # Errors
    ///
    /// A limit or a fault, as every call.
    pub fn snapshot_json(&self, instance: &mut EngineInstance) -> Result<String> {
        let this = self.0.of(instance)?;
        instance.ask(|api, store| api.tracker().call_snapshot_json(store, this))
    }
}

fn numa_policy(policy: NumaPolicy) -> api::NumaPolicy {
    match policy {
        NumaPolicy::Required => api::NumaPolicy::Required,
        NumaPolicy::Preferred => api::NumaPolicy::Preferred,
        NumaPolicy::Legacy => api::NumaPolicy::Legacy,
        NumaPolicy::Socket => api::NumaPolicy::Socket,
    }
}

fn free_scope(scope: FreeScope) -> api::FreeScope {
    match scope {
        FreeScope::All => api::FreeScope::All,
        FreeScope::Claims => api::FreeScope::Claims,
        FreeScope::Allocations => api::FreeScope::Allocations,
    }
}

fn outcome(outcome: api::Outcome) -> Outcome {
    match outcome {
        api::Outcome::Fits => Outcome::Fits,
        api::Outcome::NoFit => Outcome::NoFit,
        api::Outcome::Undecided => Outcome::Undecided,
    }
}

/// The engine's error out of the guest's record; the two have the same fields.
fn from_guest(error: api::Error) -> slotwise::Error {
    // The interface lists the kinds in the order of their codes.
    let kind = ErrorKind::ALL.get(error.kind as usize).copied().unwrap_or(ErrorKind::Internal);
    let mut made = slotwise::Error::new(kind, error.message);
    if !error.path.is_empty() {
        made = made.inside(error.path);
    }
    if let (Some(line), Some(column)) = (error.line, error.column) {
        made = made.at(line as usize, column as usize);
    }
    if let Some(help) = error.help {
        made = made.with_help(help);
    }
    made
}
