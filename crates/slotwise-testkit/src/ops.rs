//! The one table of the operations that every door knows.

/// How an argument is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Plain text, handed over as it is.
    Text,
    /// The text of a JSON document.
    Document,
}

/// One argument of an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arg {
    /// Its name in a case file; for a document also what errors call the document.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// Whether it may be left out, which a door sees as an empty text.
    pub optional: bool,
}

/// One operation: its name and its arguments in positional order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Op {
    /// Its name, such as `tracker.claim`.
    pub name: &'static str,
    /// Its arguments, in the order in which a door gets them.
    pub args: &'static [Arg],
}

const fn text(name: &'static str) -> Arg {
    Arg { name, kind: Kind::Text, optional: false }
}

const fn document(name: &'static str) -> Arg {
    Arg { name, kind: Kind::Document, optional: false }
}

const fn optional(arg: Arg) -> Arg {
    Arg { optional: true, ..arg }
}

macro_rules! ops {
    ($($name:literal ($($arg:expr),*)),+ $(,)?) => {
        /// Every operation.
        pub const OPS: &[Op] = &[$(Op { name: $name, args: &[$($arg),*] }),+];
    };
}

ops! {
    "specs.parse" (document("entries"), optional(document("report_in_placement"))),
    "specs.explain" (document("device")),
    "aliases.parse" (document("lines"), optional(document("pci_in_placement"))),
    "aliases.create" (document("lines")),
    "aliases.update" (document("lines")),
    "aliases.delete" (text("name")),
    "aliases.list" (),
    "aliases.requests" (text("flavor"), optional(text("numa_policy"))),
    "config.parse" (text("format"), text("text")),
    "tracker.new" (optional(document("options"))),
    "tracker.load" (optional(document("options")), document("rows")),
    "tracker.sync" (document("devices")),
    "tracker.replace_specs" (
        document("entries"), optional(document("report_in_placement")), optional(document("dry_run"))
    ),
    "tracker.pools" (),
    "tracker.group_by" (document("keys")),
    "tracker.devices" (),
    "tracker.explain" (text("address")),
    "tracker.fit" (document("workload")),
    "tracker.claim" (text("owner"), document("workload")),
    "tracker.claim_fit" (text("owner"), document("workload"), document("assignment")),
    "tracker.claim_all" (document("claims")),
    "tracker.allocate" (text("owner")),
    "tracker.free" (text("owner"), optional(text("scope"))),
    "tracker.free_device" (text("owner"), text("address")),
    "tracker.retain_owners" (document("owners")),
    "tracker.bindings" (document("query")),
    "tracker.changes" (),
    "tracker.written" (document("changes")),
    "tracker.version" (),
    "tracker.snapshot" (),
    "tracker.restore" (text("hex")),
    "tracker.snapshot_json" (),
    "tracker.restore_json" (text("text")),
    "pools.parse" (document("pools"), optional(document("numa_topology"))),
    "pools.fit" (document("workload")),
    "pools.consume" (document("assignment")),
    "pools.group_by" (document("keys")),
    "fleet.new" (),
    "fleet.put" (
        text("host"), document("pools"), optional(document("numa_topology")), optional(document("version"))
    ),
    "fleet.load" (text("lines")),
    "fleet.apply" (text("host"), document("delta")),
    "fleet.remove" (text("host")),
    "fleet.set_tags" (text("host"), document("tags")),
    "fleet.tags" (text("host")),
    "fleet.id" (text("host")),
    "fleet.version" (text("host")),
    "fleet.pools" (text("host")),
    "fleet.hosts" (),
    "fleet.names" (optional(text("bitmap"))),
    "fleet.fit" (text("host"), document("workload")),
    "fleet.filter" (document("workload"), optional(document("options"))),
    "fleet.rank" (document("workload"), optional(document("options"))),
    "fleet.explain" (document("workload"), optional(document("options"))),
    "fleet.place" (document("batch")),
    "fleet.reserve" (text("owner"), text("host"), document("workload"), document("expires")),
    "fleet.reserve_placed" (document("batch"), document("placed"), document("expires")),
    "fleet.release" (text("owner")),
    "fleet.expire" (document("now")),
    "fleet.reservations" (),
    "fleet.declare_demand" (document("demand")),
    "fleet.observe_demand" (document("workload")),
    "fleet.demand" (),
    "fleet.sequence" (),
    "fleet.snapshot" (),
    "fleet.restore" (text("hex")),
}

/// The operation of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Op> {
    OPS.iter().find(|op| op.name == name)
}
