//! The door that calls the engine directly.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use slotwise::{
    Aliases, Assignment, Batch, BindingQuery, Change, Claim, Config, ConfigFormat, Demand, Device,
    DeviceSpecs, Error, ExtraInfo, FilterOptions, Fleet, FreeScope, HostDelta, HostSet, NumaPolicy,
    NumaTopology, PciAddress, Placed, Pools, RankOptions, TrackedDevice, Tracker, TrackerOptions, Workload,
};

use crate::door::{Door, broken};
use crate::ops;

/// The door that calls the engine directly.
#[derive(Debug, Default)]
pub struct RustDoor {
    specs: Option<DeviceSpecs>,
    aliases: Option<Aliases>,
    pools: Option<Pools>,
    tracker: Option<Tracker>,
    fleet: Option<Fleet>,
}

impl RustDoor {
    /// A door with empty slots.
    #[must_use]
    pub fn new() -> Self {
        RustDoor::default()
    }

    /// The tracker in its slot, for tests that look deeper than the operations do.
    #[must_use]
    pub fn tracker(&self) -> Option<&Tracker> {
        self.tracker.as_ref()
    }

    fn run(&mut self, op: &str, args: &Args<'_>) -> Result<Value, Error> {
        match op {
            "specs.parse" => {
                let specs = DeviceSpecs::parse(&args.texts("entries")?, args.flag("report_in_placement")?)?;
                let result = json!({"rules": specs.list(), "warnings": specs.warnings()});
                self.specs = Some(specs);
                Ok(result)
            }
            "specs.explain" => {
                let device: Device = args.document("device")?;
                Ok(value(&filled(&self.specs, "specs")?.explain(&device)))
            }
            "aliases.parse" => {
                let aliases = Aliases::parse(&args.texts("lines")?, args.flag("pci_in_placement")?)?;
                let result = json!({"aliases": aliases.list()});
                self.aliases = Some(aliases);
                Ok(result)
            }
            "aliases.create" => {
                let lines = args.texts("lines")?;
                Ok(value(filled_mut(&mut self.aliases, "aliases")?.create(&lines)?))
            }
            "aliases.update" => {
                let lines = args.texts("lines")?;
                Ok(value(filled_mut(&mut self.aliases, "aliases")?.update(&lines)?))
            }
            "aliases.delete" => {
                Ok(value(&filled_mut(&mut self.aliases, "aliases")?.delete(args.text("name"))?))
            }
            "aliases.list" => Ok(json!({"aliases": filled(&self.aliases, "aliases")?.list()})),
            "aliases.requests" => {
                let policy: Option<NumaPolicy> = args.word("numa_policy")?;
                let requests = filled(&self.aliases, "aliases")?.requests(args.text("flavor"), policy)?;
                Ok(json!({"requests": requests}))
            }
            "config.parse" => {
                let format = match args.text("format") {
                    "nova.conf" => ConfigFormat::NovaConf,
                    "toml" => ConfigFormat::Toml,
                    other => return Err(broken(format!("no configuration format {other:?}"))),
                };
                let config = Config::parse(args.text("text"), format)?;
                let result = json!({
                    "device_specs": config.device_specs.list(),
                    "aliases": config.aliases.list(),
                    "report_in_placement": config.report_in_placement,
                    "pci_in_placement": config.pci_in_placement,
                    "warnings": config.warnings(),
                });
                self.specs = Some(config.device_specs);
                self.aliases = Some(config.aliases);
                Ok(result)
            }
            "pools.parse" => {
                let topology: Option<NumaTopology> = args.optional("numa_topology")?;
                let pools = Pools::from_json(args.text("pools"), topology)?;
                let result = value(pools.as_slice());
                self.pools = Some(pools);
                Ok(result)
            }
            "pools.fit" => {
                let workload: Workload = args.document("workload")?;
                Ok(value(&filled(&self.pools, "pools")?.fit(&workload)?))
            }
            "pools.consume" => {
                let assignment: Assignment = args.document("assignment")?;
                let pools = filled_mut(&mut self.pools, "pools")?;
                pools.consume(&assignment)?;
                Ok(value(pools.as_slice()))
            }
            "pools.group_by" => {
                let keys: Vec<String> = args.document("keys")?;
                Ok(value(&filled(&self.pools, "pools")?.group_by(&keys)))
            }
            _ if op.starts_with("fleet.") => self.run_fleet(op, args),
            _ => self.run_tracker(op, args),
        }
    }

    fn run_fleet(&mut self, op: &str, args: &Args<'_>) -> Result<Value, Error> {
        match op {
            "fleet.new" => {
                self.fleet = Some(Fleet::new());
                return Ok(Value::Null);
            }
            "fleet.restore" => {
                self.fleet = Some(Fleet::from_snapshot(&args.bytes("hex")?)?);
                return Ok(Value::Null);
            }
            _ => {}
        }
        let fleet = filled_mut(&mut self.fleet, "fleet")?;
        let host = args.text("host");
        match op {
            "fleet.put" => {
                let topology: Option<NumaTopology> = args.optional("numa_topology")?;
                let version = args.optional("version")?;
                Ok(value(&fleet.put_json(host, args.text("pools"), topology.as_ref(), version)?))
            }
            "fleet.load" => Ok(value(&fleet.load(args.text("lines"))?)),
            "fleet.apply" => {
                let delta: HostDelta = args.document("delta")?;
                Ok(value(&fleet.apply(host, &delta)?))
            }
            "fleet.remove" => {
                fleet.remove(host)?;
                Ok(Value::Null)
            }
            "fleet.set_tags" => {
                let tags: ExtraInfo = args.document("tags")?;
                Ok(fleet.set_tags(host, &tags)?.into())
            }
            "fleet.tags" => Ok(value(&fleet.tags(host)?)),
            "fleet.id" => Ok(fleet.id(host)?.into()),
            "fleet.version" => Ok(fleet.version(host)?.into()),
            "fleet.pools" => Ok(value(fleet.pools(host)?.as_slice())),
            "fleet.hosts" => Ok(to_hex(&fleet.hosts().to_bytes()).into()),
            "fleet.names" => {
                let hosts = match args.text("bitmap") {
                    "" => fleet.hosts().clone(),
                    _ => HostSet::from_bytes(&args.bytes("bitmap")?)?,
                };
                Ok(value(&fleet.names(&hosts).collect::<Vec<_>>()))
            }
            "fleet.place" => {
                let batch: Batch = args.document("batch")?;
                Ok(value(&fleet.place(&batch, &[])?))
            }
            "fleet.reserve_placed" => {
                let (batch, placed): (Batch, Placed) = (args.document("batch")?, args.document("placed")?);
                fleet.reserve_placed(&batch, &placed, args.document("expires")?)?;
                Ok(Value::Null)
            }
            "fleet.release" => Ok(value(&fleet.release(args.text("owner"))?)),
            "fleet.expire" => Ok(value(&fleet.expire(args.document("now")?))),
            "fleet.reservations" => Ok(value(&fleet.reservations().collect::<BTreeMap<_, _>>())),
            "fleet.declare_demand" => {
                let demand: Vec<Demand> = args.document("demand")?;
                fleet.declare_demand(demand)?;
                Ok(Value::Null)
            }
            "fleet.demand" => Ok(value(&fleet.demand().collect::<Vec<_>>())),
            "fleet.sequence" => Ok(fleet.sequence().into()),
            "fleet.snapshot" => Ok(to_hex(&fleet.snapshot()).into()),
            _ => ask_fleet(fleet, op, args),
        }
    }

    fn run_tracker(&mut self, op: &str, args: &Args<'_>) -> Result<Value, Error> {
        match op {
            "tracker.new" => {
                let options: Option<TrackerOptions> = args.optional("options")?;
                let specs = filled(&self.specs, "specs")?.clone();
                self.tracker = Some(Tracker::new(specs, options.unwrap_or_default())?);
                return Ok(Value::Null);
            }
            "tracker.load" => {
                let options: Option<TrackerOptions> = args.optional("options")?;
                let rows: Vec<TrackedDevice> = args.document("rows")?;
                let specs = filled(&self.specs, "specs")?.clone();
                self.tracker = Some(Tracker::load(specs, options.unwrap_or_default(), rows)?);
                return Ok(Value::Null);
            }
            "tracker.restore" => {
                self.tracker = Some(Tracker::from_snapshot(&args.bytes("hex")?)?);
                return Ok(Value::Null);
            }
            "tracker.restore_json" => {
                self.tracker = Some(Tracker::from_snapshot_json(args.text("text"))?);
                return Ok(Value::Null);
            }
            _ => {}
        }
        let tracker = filled_mut(&mut self.tracker, "tracker")?;
        match op {
            "tracker.sync" => {
                let devices: Vec<Device> = args.document("devices")?;
                Ok(value(&tracker.sync(devices)?))
            }
            "tracker.replace_specs" => {
                let specs = DeviceSpecs::parse(&args.texts("entries")?, args.flag("report_in_placement")?)?;
                Ok(value(&tracker.replace_specs(specs, args.flag("dry_run")?)?))
            }
            "tracker.pools" => Ok(value(tracker.pools().as_slice())),
            "tracker.group_by" => {
                let keys: Vec<String> = args.document("keys")?;
                Ok(value(&tracker.group_by(&keys)))
            }
            "tracker.devices" => Ok(value(&tracker.devices())),
            "tracker.explain" => Ok(value(&tracker.explain(args.address("address")?)?)),
            "tracker.fit" => {
                let workload: Workload = args.document("workload")?;
                Ok(value(&tracker.fit(&workload)?))
            }
            "tracker.claim" => {
                let workload: Workload = args.document("workload")?;
                Ok(value(&tracker.claim(args.text("owner"), &workload)?))
            }
            "tracker.claim_fit" => {
                let workload: Workload = args.document("workload")?;
                let assignment: Assignment = args.document("assignment")?;
                tracker.claim_fit(args.text("owner"), &workload, &assignment)?;
                Ok(Value::Null)
            }
            "tracker.claim_all" => {
                let claims: Vec<Claim> = args.document("claims")?;
                Ok(value(&tracker.claim_all(&claims)?))
            }
            "tracker.allocate" => Ok(value(&tracker.allocate(args.text("owner"))?)),
            "tracker.free" => {
                let scope: Option<FreeScope> = args.word("scope")?;
                Ok(value(&tracker.free(args.text("owner"), scope.unwrap_or_default())))
            }
            "tracker.free_device" => {
                tracker.free_device(args.text("owner"), args.address("address")?)?;
                Ok(Value::Null)
            }
            "tracker.retain_owners" => {
                let owners: Vec<String> = args.document("owners")?;
                Ok(value(&tracker.retain_owners(&owners)))
            }
            "tracker.bindings" => {
                let query: BindingQuery = args.document("query")?;
                Ok(value(&tracker.bindings(&query)))
            }
            "tracker.changes" => Ok(value(&tracker.changes())),
            "tracker.written" => {
                let changes: Vec<Change> = args.document("changes")?;
                tracker.written(&changes)?;
                Ok(Value::Null)
            }
            "tracker.version" => Ok(tracker.version().into()),
            "tracker.snapshot" => Ok(to_hex(&tracker.snapshot()).into()),
            "tracker.snapshot_json" => serde_json::from_str(&tracker.snapshot_json())
                .map_err(|error| broken(format!("the JSON snapshot is not JSON: {error}"))),
            _ => Err(broken(format!("no operation {op:?}"))),
        }
    }
}

/// What a workload asks of a fleet.
fn ask_fleet(fleet: &mut Fleet, op: &str, args: &Args<'_>) -> Result<Value, Error> {
    let workload: Workload = args.document("workload")?;
    match op {
        "fleet.fit" => Ok(value(&fleet.fit(args.text("host"), &workload)?)),
        "fleet.filter" => {
            let options: Option<FilterOptions> = args.optional("options")?;
            Ok(value(&fleet.filter(&workload, &options.unwrap_or_default(), &[])?))
        }
        "fleet.rank" => {
            let options: Option<RankOptions> = args.optional("options")?;
            Ok(value(&fleet.rank(&workload, &options.unwrap_or_default(), &[])?))
        }
        "fleet.explain" => {
            let options: Option<FilterOptions> = args.optional("options")?;
            Ok(value(&fleet.explain(&workload, &options.unwrap_or_default(), &[])?))
        }
        "fleet.reserve" => {
            let expires = args.document("expires")?;
            Ok(value(&fleet.reserve(args.text("owner"), args.text("host"), &workload, expires)?))
        }
        "fleet.observe_demand" => {
            fleet.observe_demand(&workload)?;
            Ok(Value::Null)
        }
        _ => Err(broken(format!("no operation {op:?}"))),
    }
}

impl Door for RustDoor {
    fn name(&self) -> &str {
        "rust"
    }

    fn call(&mut self, op: &str, args: &[String]) -> Result<Value, Error> {
        let args = Args::new(op, args)?;
        // The engine must not panic on any input; if it does, the report should name the case.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run(op, &args)))
            .unwrap_or_else(|_| Err(broken(format!("the engine panicked in {op}"))))
    }

    fn reset(&mut self) {
        *self = RustDoor::new();
    }
}

/// The arguments of one call, by name.
pub(crate) struct Args<'a> {
    op: &'static ops::Op,
    values: &'a [String],
}

impl<'a> Args<'a> {
    pub(crate) fn new(op: &str, values: &'a [String]) -> Result<Self, Error> {
        let known = ops::find(op).ok_or_else(|| broken(format!("no operation {op:?}")))?;
        if known.args.len() != values.len() {
            return Err(broken(format!("{op} takes {} arguments, not {}", known.args.len(), values.len())));
        }
        Ok(Args { op: known, values })
    }

    pub(crate) fn text(&self, name: &str) -> &'a str {
        let index = self.op.args.iter().position(|arg| arg.name == name);
        index.map_or("", |index| &self.values[index])
    }

    pub(crate) fn document<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Error> {
        slotwise::json::parse(self.text(name), name)
    }

    /// The bytes that an argument gives as hexadecimal digits.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        from_hex(self.text(name)).ok_or_else(|| broken(format!("{name} is not hexadecimal")))
    }

    pub(crate) fn optional<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Error> {
        if self.text(name).is_empty() { Ok(None) } else { self.document(name).map(Some) }
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Error> {
        Ok(self.optional(name)?.unwrap_or(false))
    }

    /// A word out of a fixed set, such as a NUMA policy.
    pub(crate) fn word<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Error> {
        match self.text(name) {
            "" => Ok(None),
            word => slotwise::json::from_value(&Value::from(word), name).map(Some),
        }
    }

    fn address(&self, name: &'static str) -> Result<PciAddress, Error> {
        self.text(name).parse().map_err(|error: Error| error.inside(name))
    }

    /// The entries of a configuration list: texts as they are, anything else as the JSON text that it would be there.
    pub(crate) fn texts(&self, name: &'static str) -> Result<Vec<String>, Error> {
        let entries: Vec<Value> = self.document(name)?;
        Ok(entries
            .into_iter()
            .map(|entry| match entry {
                Value::String(text) => text,
                other => other.to_string(),
            })
            .collect())
    }
}

fn filled<'a, T>(slot: &'a Option<T>, name: &str) -> Result<&'a T, Error> {
    slot.as_ref().ok_or_else(|| broken(format!("the slot {name} is empty")))
}

fn filled_mut<'a, T>(slot: &'a mut Option<T>, name: &str) -> Result<&'a mut T, Error> {
    slot.as_mut().ok_or_else(|| broken(format!("the slot {name} is empty")))
}

fn value<T: Serialize + ?Sized>(document: &T) -> Value {
    serde_json::to_value(document).unwrap_or_else(|error| panic!("slotwise types are JSON: {error}"))
}

/// The bytes as lowercase hexadecimal text.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that a hexadecimal text stands for.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
