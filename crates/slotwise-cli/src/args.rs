//! The command line: what may be typed, and what the help says.

#[cfg(feature = "policies")]
pub(crate) mod policy;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use slotwise::{NumaPolicy, PciAddress, Strategy};
use slotwise_sysfs::Attributes;

use crate::{discover_tree, exit};

/// Decide which PCI device goes to which workload.
///
/// slotwise reads the PCI functions of a machine from sysfs and an operator's rules from a nova.conf or TOML file, and
/// shows what follows from them. It only reads: neither the machine nor the configuration is ever changed.
#[derive(Debug, Parser)]
#[command(name = "slotwise", version, after_long_help = exit::HELP, after_help = "See --help for the exit codes.")]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the PCI functions of this machine.
    ///
    /// What the machine does not say is shown as "-"; what it says but cannot be read or understood is warned about
    /// on stderr. Columns with nothing in them are left out. With --config, the column RULE gives the index of the
    /// device_spec rule that makes a function assignable.
    ///
    /// With --json: a list of device documents, exactly as every door of slotwise takes them. With --watch --json: one
    /// line {"change": "added" | "changed" | "removed", "address", "device"} for each change ("device" is not there
    /// when it is removed), those that are there at the start first.
    #[command(after_long_help = DISCOVER_EXAMPLE)]
    Discover(Discover),

    /// Validate a configuration, and show which devices its rules match.
    ///
    /// Prints the device_spec rules, the aliases, and what is allowed but probably not meant. A mistake in the file is
    /// shown with its line and a caret under the place.
    ///
    /// With --json: {"valid", "rules": [{"rule", "spec", "devices", "shadowed"}], "aliases", "warnings",
    /// "report_in_placement", "pci_in_placement"}, where "devices" are those that the rule decides, "shadowed" those
    /// that it matches but an earlier rule decides, both null when no devices could be read; an invalid configuration
    /// gives {"valid": false, "error"}.
    #[command(after_long_help = CHECK_EXAMPLE)]
    Check(Check),

    /// Show the assignable devices, pooled as a scheduler sees them.
    ///
    /// Devices of one pool are interchangeable: the same kind, card, NUMA node and tags. With --by they are grouped by
    /// the values of any field (vendor_id, product_id, dev_type, numa_node, parent_addr, class), tag or extra info.
    ///
    /// With --json: a list of pools in the form that Nova keeps in its database, or with --by a list of groups.
    #[command(after_long_help = POOLS_EXAMPLE)]
    Pools(PoolsArgs),

    /// Say why a device is or is not assignable, or why a workload does or does not fit.
    #[command(subcommand, after_long_help = EXPLAIN_EXAMPLE)]
    Explain(Explain),

    /// Look into a placement policy, ask it about hosts, or measure it.
    #[cfg(feature = "policies")]
    #[command(subcommand, after_long_help = policy::EXAMPLE)]
    Policy(policy::Command),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Explain {
    /// Say rule by rule why a device is or is not assignable.
    ///
    /// With --json: {"assignable", "rule", "tags", "rules": [{"rule", "matches", "reason"}]}, up to the first rule that
    /// matches.
    #[command(after_long_help = EXPLAIN_DEVICE_EXAMPLE)]
    Device(ExplainDevice),

    /// Say whether what a flavor asks for fits on this machine, with which devices, or why not.
    ///
    /// All devices of the machine count as free. With --json: the answer of the engine, {"outcome": "fits" | "no_fit" |
    /// "undecided", …}.
    ///
    /// With --fleet, how many of many hosts fit, and what rules out the others: exits with 1 if none fits, and with 3 if
    /// none is known to. With --json then: {"message", "asked", "fits", "undecided", "reasons": [{"request", "why",
    /// "hosts", …}], "requests": […]}.
    #[command(after_long_help = EXPLAIN_REQUEST_EXAMPLE)]
    Request(ExplainRequest),

    /// The same for a workload document, which can say all that the engine understands.
    ///
    /// The document is {"requests": [{"count", "alternatives", "numa_policy", "request_id", …}], "numa_cells",
    /// "constraints", "provider_mapping", "strategy", "budget", …}. With --json: as "explain request".
    #[command(after_long_help = EXPLAIN_WORKLOAD_EXAMPLE)]
    Workload(ExplainWorkload),
}

#[derive(Args, Debug)]
pub(crate) struct Discover {
    /// Show which rule of this nova.conf or TOML file makes a function assignable.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) sysfs: Sysfs,

    /// Exit with 1 when anything about a function could not be read.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Read these attributes and no others; "default" and "all" stand for some and all of them.
    ///
    /// docs/discovery.md has their names and sources.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = attributes)]
    pub(crate) attributes: Vec<Attributes>,

    /// Merge the operator's facts of this TOML, JSON or CSV file into the devices, by address, serial or netdev.
    #[arg(long, value_name = "FILE")]
    pub(crate) facts: Vec<PathBuf>,

    /// Show the names of vendors and products, from the system's pci.ids or from FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) names: Option<Option<PathBuf>>,

    /// What to print.
    #[arg(long, value_name = "FORMAT", group = "form")]
    pub(crate) format: Option<Format>,

    /// The same as --format json.
    #[arg(long, group = "form")]
    pub(crate) json: bool,

    /// The same as --format tree.
    #[arg(long, group = "form")]
    pub(crate) tree: bool,

    /// Go on, and print each function that comes, changes or goes, until interrupted.
    #[arg(long, conflicts_with_all = ["config", "strict"])]
    pub(crate) watch: bool,
}

/// The set of attributes of that name.
fn attributes(name: &str) -> Result<Attributes, String> {
    let set = match name {
        "all" => Some(Attributes::ALL),
        "default" => Some(Attributes::default()),
        name => Attributes::named(name),
    };
    set.ok_or_else(|| {
        let names: Vec<_> = Attributes::ALL.iter().map(|row| row.name).collect();
        format!("the attributes are default, all, {}", names.join(", "))
    })
}

impl Discover {
    /// What to read of each function.
    pub(crate) fn attributes(&self) -> Attributes {
        let named = self.attributes.iter().copied().reduce(Attributes::union);
        let named = named.unwrap_or_default();
        match self.format() {
            Format::Nova => named | Attributes::default(),
            Format::Tree => named | discover_tree::ATTRIBUTES,
            Format::Table | Format::Json => named,
        }
    }

    /// What to print, by whichever option says so.
    pub(crate) fn format(&self) -> Format {
        match self.format {
            Some(format) => format,
            None if self.json => Format::Json,
            None if self.tree => Format::Tree,
            None => Format::Table,
        }
    }
}

/// The forms of a list of functions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// A line for each function.
    Table,
    /// A list of device documents.
    Json,
    /// The JSON that Nova's tracker expects of its virt driver, as pci_passthrough_devices.
    Nova,
    /// Host bridges, root ports, switches, and physical functions with the ranges of their VFs.
    Tree,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) rules: Rules,

    #[command(flatten)]
    pub(crate) machine: Machine,

    /// Exit with 1 when there is a warning.
    #[arg(long)]
    pub(crate) strict: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct PoolsArgs {
    #[command(flatten)]
    pub(crate) rules: Rules,

    #[command(flatten)]
    pub(crate) machine: Machine,

    /// Group by the values of these fields, tags or extra info instead.
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    pub(crate) by: Vec<String>,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainDevice {
    /// The function's address, such as 0000:3b:00.1.
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: PciAddress,

    #[command(flatten)]
    pub(crate) rules: Rules,

    #[command(flatten)]
    pub(crate) machine: Machine,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainRequest {
    /// Aliases and counts, as in a flavor's pci_passthrough:alias, such as "gpu:2,nic:1".
    #[arg(value_name = "ALIAS:COUNT,...")]
    pub(crate) flavor: String,

    /// The host's NUMA cells that the guest runs on.
    #[arg(long, value_name = "CELL,...", value_delimiter = ',')]
    pub(crate) numa_cells: Option<Vec<u32>>,

    /// Overrides the aliases' own NUMA policy.
    #[arg(long, value_name = "POLICY")]
    pub(crate) numa_policy: Option<Policy>,

    /// All requests together, or one after the other with Nova's wrong answers.
    #[arg(long, value_name = "STRATEGY", default_value = "exact")]
    pub(crate) strategy: Strategic,

    #[command(flatten)]
    pub(crate) rules: Rules,

    #[command(flatten)]
    pub(crate) machine: Machine,

    #[command(flatten)]
    pub(crate) hosts: Hosts,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainWorkload {
    /// A file with the workload as JSON; "-" reads standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// A nova.conf, or the same options as TOML: the rules for the devices of the machine.
    #[arg(long, value_name = "FILE", required_unless_present = "fleet", conflicts_with = "fleet")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) machine: Machine,

    #[command(flatten)]
    pub(crate) hosts: Hosts,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// Where the rules come from.
#[derive(Args, Debug)]
pub(crate) struct Rules {
    /// A nova.conf, or the same options as TOML; told apart by the extension (.conf, .toml), else by the content.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Where the devices come from.
#[derive(Args, Debug)]
pub(crate) struct Machine {
    #[command(flatten)]
    pub(crate) sysfs: Sysfs,

    /// Take the devices from a JSON list, such as "slotwise discover --json" prints; "-" reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub(crate) devices: Option<PathBuf>,
}

/// Many hosts in the place of the machine.
#[derive(Args, Debug)]
pub(crate) struct Hosts {
    /// Ask about the hosts of these files instead, each line {"host": "compute-1", "pools": [...]}; "-" reads standard
    /// input.
    ///
    /// The pools are as Nova keeps them in compute_nodes.pci_stats. "numa_topology", "version" and "tags" may stand beside
    /// them; of two lines for a host the later one counts.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["root", "devices"])]
    pub(crate) fleet: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Sysfs {
    /// Where the machine's sysfs is mounted, or copied to [default: /sys].
    #[arg(id = "root", long = "sysfs-root", value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Print one JSON document and nothing else on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// [`NumaPolicy`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Policy {
    /// On one of the guest's cells.
    Required,
    /// On one of the guest's cells if that is possible.
    Preferred,
    /// On one of the guest's cells, or where the NUMA node is unknown.
    Legacy,
    /// On the socket of one of the guest's cells.
    Socket,
}

impl From<Policy> for NumaPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Required => NumaPolicy::Required,
            Policy::Preferred => NumaPolicy::Preferred,
            Policy::Legacy => NumaPolicy::Legacy,
            Policy::Socket => NumaPolicy::Socket,
        }
    }
}

/// [`Strategy`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Strategic {
    /// All requests together: "does not fit" means that no assignment exists.
    Exact,
    /// One request after the other, as OpenStack Nova 34 does, with its wrong answers.
    Nova,
}

impl From<Strategic> for Strategy {
    fn from(strategy: Strategic) -> Self {
        match strategy {
            Strategic::Exact => Strategy::Exact,
            Strategic::Nova => Strategy::Nova,
        }
    }
}

const DISCOVER_EXAMPLE: &str = "\
Example: keep the devices of this machine, to try rules on them elsewhere
  slotwise discover --json > host1.json

Example: with the rack and the switch ports that the operator knows
  slotwise discover --json --facts racks.toml --facts ports.csv

Example: what the default leaves out, because it changes or takes time to read
  slotwise discover --attributes default,link_state,rdma_devices

Example: follow VFs as they come and go
  slotwise discover --watch --json";

const CHECK_EXAMPLE: &str = "\
Example: check a configuration in CI against a host's devices
  slotwise check --strict --config nova.conf --devices host1.json";

const POOLS_EXAMPLE: &str = "\
Example: free devices per physical network and NUMA node
  slotwise pools --config /etc/nova/nova.conf --by physical_network,numa_node";

const EXPLAIN_EXAMPLE: &str = "\
Example: two VFs of the alias \"nic\" for a guest on NUMA node 0
  slotwise explain request nic:2 --numa-cells 0 --config /etc/nova/nova.conf";

const EXPLAIN_DEVICE_EXAMPLE: &str = "\
Example:
  slotwise explain device 0000:3b:00.1 --config /etc/nova/nova.conf";

const EXPLAIN_REQUEST_EXAMPLE: &str = "\
Example: two GPUs and a NIC for a guest on the NUMA nodes 0 and 1
  slotwise explain request gpu:2,nic:1 --numa-cells 0,1 --config /etc/nova/nova.conf

Example: which of many hosts could take it, and what the others lack
  slotwise explain request gpu:2,nic:1 --config /etc/nova/nova.conf --fleet hosts.jsonl";

const EXPLAIN_WORKLOAD_EXAMPLE: &str = "\
Example: any Ethernet VF of one network
  echo '{\"requests\": [{\"alternatives\": [{\"dev_type\": \"type-VF\", \"physical_network\": \"blue\"}]}]}' |
    slotwise explain workload - --config /etc/nova/nova.conf";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_an_example() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        fn children(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
            command.get_subcommands().filter(|child| child.get_name() != "help")
        }
        let commands: Vec<_> =
            children(&cli).flat_map(|command| std::iter::once(command).chain(children(command))).collect();
        assert_eq!(commands.len(), 11);
        for command in commands {
            let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                after.contains("Example") && after.contains("  slotwise "),
                "{}: {after}",
                command.get_name()
            );
        }
    }
}
