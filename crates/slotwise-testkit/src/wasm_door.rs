//! The door that runs the engine component under wasmtime.

use serde_json::{Value, json};
use slotwise::{ConfigFormat, Error, FreeScope, NumaPolicy};
use slotwise_sandbox::{
    Aliases, Config, EngineComponent, EngineInstance, Fleet, Pools, Specs, Tracker, Workload,
};

use crate::door::{Door, broken};
use crate::rust_door::{Args, to_hex};

/// The door that runs the engine component under wasmtime, in one instance that [`Door::reset`] replaces.
#[derive(Debug)]
pub struct WasmDoor {
    component: EngineComponent,
    instance: EngineInstance,
    slots: Slots,
}

#[derive(Debug, Default)]
struct Slots {
    specs: Option<Specs>,
    aliases: Option<Aliases>,
    pools: Option<Pools>,
    tracker: Option<Tracker>,
    fleet: Option<Fleet>,
}

impl WasmDoor {
    /// A door with empty slots.
    ///
    /// # Errors
    ///
    /// What stopped the component from starting.
    pub fn new(component: &EngineComponent) -> slotwise_sandbox::Result<Self> {
        Ok(WasmDoor {
            component: component.clone(),
            instance: component.instantiate()?,
            slots: Slots::default(),
        })
    }

    fn run(&mut self, op: &str, args: &Args<'_>) -> Result<Value, Error> {
        let WasmDoor { instance, slots, .. } = self;
        match op {
            "specs.parse" => {
                let (entries, report) = (args.texts("entries")?, args.flag("report_in_placement")?);
                let specs = Specs::parse(instance, &strs(&entries), report).map_err(engine)?;
                let result = json!({"rules": value(specs.list(instance))?, "warnings": plain(specs.warnings(instance))?});
                slots.specs = Some(specs);
                Ok(result)
            }
            "specs.explain" => value(filled(&slots.specs, "specs")?.explain(instance, args.text("device"))),
            "aliases.parse" => {
                let (lines, pci_in_placement) = (args.texts("lines")?, args.flag("pci_in_placement")?);
                let aliases = Aliases::parse(instance, &strs(&lines), pci_in_placement).map_err(engine)?;
                let result = json!({"aliases": value(aliases.list(instance))?});
                slots.aliases = Some(aliases);
                Ok(result)
            }
            "aliases.create" => {
                let lines = args.texts("lines")?;
                value(filled(&slots.aliases, "aliases")?.create(instance, &strs(&lines)))
            }
            "aliases.update" => {
                let lines = args.texts("lines")?;
                value(filled(&slots.aliases, "aliases")?.update(instance, &strs(&lines)))
            }
            "aliases.delete" => value(filled(&slots.aliases, "aliases")?.delete(instance, args.text("name"))),
            "aliases.list" => {
                Ok(json!({"aliases": value(filled(&slots.aliases, "aliases")?.list(instance))?}))
            }
            "aliases.requests" => {
                let policy: Option<NumaPolicy> = args.word("numa_policy")?;
                let aliases = filled(&slots.aliases, "aliases")?;
                Ok(json!({"requests": value(aliases.requests(instance, args.text("flavor"), policy))?}))
            }
            "config.parse" => {
                let format = match args.text("format") {
                    "nova.conf" => ConfigFormat::NovaConf,
                    "toml" => ConfigFormat::Toml,
                    other => return Err(broken(format!("no configuration format {other:?}"))),
                };
                let config = Config::parse(instance, args.text("text"), format).map_err(engine)?;
                let result = json!({
                    "device_specs": value(config.device_specs.list(instance))?,
                    "aliases": value(config.aliases.list(instance))?,
                    "report_in_placement": config.report_in_placement,
                    "pci_in_placement": config.pci_in_placement,
                    "warnings": config.warnings,
                });
                slots.specs = Some(config.device_specs);
                slots.aliases = Some(config.aliases);
                Ok(result)
            }
            "pools.parse" => {
                let pools = Pools::parse(instance, args.text("pools"), given(args, "numa_topology"))
                    .map_err(engine)?;
                let result = value(pools.list(instance))?;
                slots.pools = Some(pools);
                Ok(result)
            }
            "pools.fit" => {
                let workload = Workload::parse(instance, args.text("workload")).map_err(engine)?;
                value(filled(&slots.pools, "pools")?.fit(instance, &workload))
            }
            "pools.consume" => {
                let pools = filled(&slots.pools, "pools")?;
                pools.consume(instance, args.text("assignment")).map_err(engine)?;
                value(pools.list(instance))
            }
            "pools.group_by" => {
                let keys: Vec<String> = args.document("keys")?;
                value(filled(&slots.pools, "pools")?.group_by(instance, &strs(&keys)))
            }
            _ if op.starts_with("fleet.") => self.run_fleet(op, args),
            _ => self.run_tracker(op, args),
        }
    }

    fn run_fleet(&mut self, op: &str, args: &Args<'_>) -> Result<Value, Error> {
        let WasmDoor { instance, slots, .. } = self;
        let made = match op {
            "fleet.new" => Some(Fleet::new(instance)),
            "fleet.restore" => Some(Fleet::restore(instance, &args.bytes("hex")?)),
            _ => None,
        };
        if let Some(made) = made {
            slots.fleet = Some(made.map_err(engine)?);
            return Ok(Value::Null);
        }
        let fleet = filled(&slots.fleet, "fleet")?;
        let (host, owner) = (args.text("host"), args.text("owner"));
        match op {
            "fleet.put" => {
                let (pools, topology) = (args.text("pools"), given(args, "numa_topology"));
                value(fleet.put(instance, host, pools, topology, args.optional("version")?))
            }
            "fleet.load" => value(fleet.load(instance, args.text("lines"))),
            "fleet.apply" => value(fleet.apply(instance, host, args.text("delta"))),
            "fleet.remove" => plain(fleet.remove(instance, host)),
            "fleet.set_tags" => plain(fleet.set_tags(instance, host, args.text("tags"))),
            "fleet.tags" => value(fleet.tags(instance, host)),
            "fleet.id" => plain(fleet.id(instance, host)),
            "fleet.version" => plain(fleet.version(instance, host)),
            "fleet.pools" => {
                let pools = fleet.pools(instance, host).map_err(engine)?;
                value(pools.list(instance))
            }
            "fleet.hosts" => Ok(to_hex(&fleet.hosts(instance).map_err(engine)?).into()),
            "fleet.names" => {
                let hosts = given(args, "bitmap").map(|_| args.bytes("bitmap")).transpose()?;
                plain(fleet.names(instance, hosts.as_deref()))
            }
            "fleet.place" => value(fleet.place(instance, args.text("batch"))),
            "fleet.reserve_placed" => {
                let (batch, placed) = (args.text("batch"), args.text("placed"));
                plain(fleet.reserve_placed(instance, batch, placed, args.document("expires")?))
            }
            "fleet.release" => value(fleet.release(instance, owner)),
            "fleet.expire" => plain(fleet.expire(instance, args.document("now")?)),
            "fleet.reservations" => value(fleet.reservations(instance)),
            "fleet.declare_demand" => plain(fleet.declare_demand(instance, args.text("demand"))),
            "fleet.demand" => value(fleet.demand(instance)),
            "fleet.sequence" => plain(fleet.sequence(instance)),
            "fleet.snapshot" => Ok(to_hex(&fleet.snapshot(instance).map_err(engine)?).into()),
            _ => self.ask_fleet(op, args),
        }
    }

    /// What a workload asks of a fleet.
    fn ask_fleet(&mut self, op: &str, args: &Args<'_>) -> Result<Value, Error> {
        let WasmDoor { instance, slots, .. } = self;
        let fleet = filled(&slots.fleet, "fleet")?;
        let workload = Workload::parse(instance, args.text("workload")).map_err(engine)?;
        let (host, options) = (args.text("host"), given(args, "options"));
        match op {
            "fleet.fit" => value(fleet.fit(instance, host, &workload)),
            "fleet.filter" => {
                let answer = value(fleet.filter(instance, &workload, options))?;
                if options.is_none() {
                    let hosts = fleet.filter_hosts(instance, &workload, None).map_err(engine)?;
                    if json!(slotwise::HostSet::from_bytes(&hosts)?) != answer["hosts"] {
                        return Err(broken("the bitmap differs from the document"));
                    }
                }
                Ok(answer)
            }
            "fleet.rank" => value(fleet.rank(instance, &workload, options)),
            "fleet.explain" => value(fleet.explain(instance, &workload, options)),
            "fleet.reserve" => {
                let expires = args.document("expires")?;
                value(fleet.reserve(instance, args.text("owner"), host, &workload, expires))
            }
            "fleet.observe_demand" => plain(fleet.observe_demand(instance, &workload)),
            _ => Err(broken(format!("no operation {op:?}"))),
        }
    }

    fn run_tracker(&mut self, op: &str, args: &Args<'_>) -> Result<Value, Error> {
        let WasmDoor { instance, slots, .. } = self;
        let made = match op {
            "tracker.new" => {
                Some(Tracker::new(instance, filled(&slots.specs, "specs")?, given(args, "options")))
            }
            "tracker.load" => {
                let specs = filled(&slots.specs, "specs")?;
                Some(Tracker::load(instance, specs, given(args, "options"), args.text("rows")))
            }
            "tracker.restore" => Some(Tracker::restore(instance, &args.bytes("hex")?)),
            "tracker.restore_json" => Some(Tracker::restore_json(instance, args.text("text"))),
            _ => None,
        };
        if let Some(made) = made {
            slots.tracker = Some(made.map_err(engine)?);
            return Ok(Value::Null);
        }
        let tracker = filled(&slots.tracker, "tracker")?;
        match op {
            "tracker.sync" => value(tracker.sync(instance, args.text("devices"))),
            "tracker.replace_specs" => {
                let (entries, report) = (args.texts("entries")?, args.flag("report_in_placement")?);
                let specs = Specs::parse(instance, &strs(&entries), report).map_err(engine)?;
                value(tracker.replace_specs(instance, &specs, args.flag("dry_run")?))
            }
            "tracker.pools" => value(tracker.pools(instance)),
            "tracker.group_by" => {
                let keys: Vec<String> = args.document("keys")?;
                value(tracker.group_by(instance, &strs(&keys)))
            }
            "tracker.devices" => value(tracker.devices(instance)),
            "tracker.explain" => value(tracker.explain(instance, args.text("address"))),
            "tracker.fit" => {
                let workload = Workload::parse(instance, args.text("workload")).map_err(engine)?;
                value(tracker.fit(instance, &workload))
            }
            "tracker.claim" => {
                let workload = Workload::parse(instance, args.text("workload")).map_err(engine)?;
                value(tracker.claim(instance, args.text("owner"), &workload))
            }
            "tracker.claim_fit" => {
                let workload = Workload::parse(instance, args.text("workload")).map_err(engine)?;
                let assignment = args.text("assignment");
                plain(tracker.claim_fit(instance, args.text("owner"), &workload, assignment))
            }
            "tracker.claim_all" => value(tracker.claim_all(instance, args.text("claims"))),
            "tracker.allocate" => plain(tracker.allocate(instance, args.text("owner"))),
            "tracker.free" => {
                let scope: Option<FreeScope> = args.word("scope")?;
                plain(tracker.free(instance, args.text("owner"), scope.unwrap_or_default()))
            }
            "tracker.free_device" => {
                plain(tracker.free_device(instance, args.text("owner"), args.text("address")))
            }
            "tracker.retain_owners" => {
                let owners: Vec<String> = args.document("owners")?;
                plain(tracker.retain_owners(instance, &strs(&owners)))
            }
            "tracker.bindings" => value(tracker.bindings(instance, args.text("query"))),
            "tracker.changes" => value(tracker.changes(instance)),
            "tracker.written" => plain(tracker.written(instance, args.text("changes"))),
            "tracker.version" => plain(tracker.version(instance)),
            "tracker.snapshot" => Ok(to_hex(&tracker.snapshot(instance).map_err(engine)?).into()),
            "tracker.snapshot_json" => value(tracker.snapshot_json(instance)),
            _ => Err(broken(format!("no operation {op:?}"))),
        }
    }
}

impl Door for WasmDoor {
    fn name(&self) -> &str {
        "wasm"
    }

    fn call(&mut self, op: &str, args: &[String]) -> Result<Value, Error> {
        self.run(op, &Args::new(op, args)?)
    }

    fn reset(&mut self) {
        self.slots = Slots::default();
        // Should no instance start any more, the old one answers without its resources, or says why it is gone.
        if let Ok(instance) = self.component.instantiate() {
            self.instance = instance;
        }
    }
}

/// An optional argument, which is empty when it is left out.
fn given<'a>(args: &Args<'a>, name: &str) -> Option<&'a str> {
    Some(args.text(name)).filter(|text| !text.is_empty())
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn filled<'a, T>(slot: &'a Option<T>, name: &str) -> Result<&'a T, Error> {
    slot.as_ref().ok_or_else(|| broken(format!("the slot {name} is empty")))
}

/// The engine's own error; a fault of the host is one of the door.
fn engine(error: slotwise_sandbox::Error) -> Error {
    match error {
        slotwise_sandbox::Error::Input(error) => error,
        fault => broken(fault),
    }
}

/// The document that a call gave as JSON text.
fn value(answer: slotwise_sandbox::Result<String>) -> Result<Value, Error> {
    let text = answer.map_err(engine)?;
    serde_json::from_str(&text)
        .map_err(|error| broken(format!("the component's answer is not JSON: {error}")))
}

/// The document of an answer that is no JSON text.
fn plain<T: serde::Serialize>(answer: slotwise_sandbox::Result<T>) -> Result<Value, Error> {
    serde_json::to_value(answer.map_err(engine)?).map_err(broken)
}
