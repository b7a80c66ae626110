//! The command "policy".

use std::path::PathBuf;

use clap::{Args, Subcommand};
use slotwise_sandbox::OnFailure;

use super::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what a policy component imports, exports and needs, and whether it would be loaded.
    ///
    /// Exits with 1 when it would not. With --json: {"accepted", "error", "imports", "exports", "bytes",
    /// "compiled_bytes", "initial_memory", "initial_table", "scope"}.
    #[command(after_long_help = INSPECT_EXAMPLE)]
    Inspect(Inspect),

    /// Ask a policy about hosts, or about the devices of one host, and show what it says.
    ///
    /// Exits with 1 when no host passes, and with 5 when the policy fails. With --json: {"hosts": [{"name", "passes",
    /// "reason", "score"}]} or {"devices": [{"address", "preference"}]}. A policy without a filter passes every host, and one
    /// that only prefers devices cannot be asked about hosts.
    #[command(after_long_help = RUN_EXAMPLE)]
    Run(Run),

    /// Measure what a policy costs: compiling, loading from a cache, and a call in a fresh and in a kept instance.
    ///
    /// Times are the median of many calls; compare them with each other, not with those of another machine. With --json:
    /// {"hosts", "devices", "calls", "code": {"compiled_ns", "cached_ns"}, "load": {…}, "filter": {"fresh_ns", "kept_ns"} |
    /// null, "score": …, "prefer": …}.
    #[command(after_long_help = BENCH_EXAMPLE)]
    Bench(Bench),
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) policy: File,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) policy: File,

    /// The hosts: a JSON list of {"name", "attributes", "pools"}; "-" reads standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "devices", conflicts_with = "devices")]
    pub(crate) hosts: Option<PathBuf>,

    /// The free devices of one host: a JSON list, such as "slotwise discover --json" prints.
    #[arg(long, value_name = "FILE")]
    pub(crate) devices: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) query: Query,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) policy: File,

    /// The hosts that "filter" and "score" are asked about, as for "slotwise policy run".
    #[arg(long, value_name = "FILE", required_unless_present = "devices")]
    pub(crate) hosts: Option<PathBuf>,

    /// The devices that "prefer" is asked about, as for "slotwise policy run".
    #[arg(long, value_name = "FILE")]
    pub(crate) devices: Option<PathBuf>,

    /// How many calls are measured.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) calls: u32,

    #[command(flatten)]
    pub(crate) query: Query,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// What the policy is asked for.
#[derive(Args, Debug)]
pub(crate) struct Query {
    /// The workload to be placed, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) workload: Option<PathBuf>,

    /// What is known about the workload beyond that, such as project_id=payroll.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) fact: Vec<String>,
}

/// A policy, its configuration and its limits.
#[derive(Args, Debug)]
pub(crate) struct File {
    /// The component.
    #[arg(value_name = "POLICY.wasm")]
    pub(crate) file: PathBuf,

    /// The file that the policy gets as its configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// How many milliseconds a call may run [default: 200].
    #[arg(long, value_name = "MS")]
    pub(crate) time: Option<u64>,

    /// How many units of fuel (about one per instruction) a call may use [default: not counted].
    #[arg(long, value_name = "UNITS")]
    pub(crate) fuel: Option<u64>,

    /// How many bytes of memory an instance may have [default: 64 MiB].
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<usize>,

    /// How many entries the tables of an instance may have [default: 20000].
    #[arg(long, value_name = "ENTRIES")]
    pub(crate) table: Option<usize>,

    /// How many bytes of stack a call may use [default: 512 KiB].
    #[arg(long, value_name = "BYTES")]
    pub(crate) stack: Option<usize>,

    /// How many bytes a call may hand back [default: 16 MiB].
    #[arg(long, value_name = "BYTES")]
    pub(crate) result: Option<usize>,

    /// How many instances may live at once [default: 8].
    #[arg(long, value_name = "N")]
    pub(crate) instances: Option<u32>,

    /// What a failing call gives: "closed" an error, "open" no say for the policy, "drop-after=N" an error until it has
    /// failed so many times.
    #[arg(long, value_name = "WHAT", default_value = "closed", value_parser = on_failure)]
    pub(crate) on_failure: OnFailure,

    /// A private directory for compiled code.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

fn on_failure(text: &str) -> Result<OnFailure, &'static str> {
    match (text, text.strip_prefix("drop-after=").map(str::parse)) {
        ("closed", _) => Ok(OnFailure::Closed),
        ("open", _) => Ok(OnFailure::Open),
        (_, Some(Ok(count))) => Ok(OnFailure::DropAfter(count)),
        _ => Err("write closed, open or drop-after=N, with N at least 1"),
    }
}

pub(crate) const EXAMPLE: &str = "\
Example: would this policy be loaded, and what does it import?
  slotwise policy inspect policy.wasm";

const INSPECT_EXAMPLE: &str = "\
Example: with its configuration, which it may refuse
  slotwise policy inspect separate-tenants.wasm --settings switches.txt";

const RUN_EXAMPLE: &str = "\
Example: which hosts may take a workload of this project?
  echo '[{\"name\": \"node-1\", \"attributes\": {\"switch\": \"leaf-1\"}}]' |
    slotwise policy run separate-tenants.wasm --settings switches.txt --hosts - --fact project_id=payroll

Example: which devices of this machine would be given away first?
  slotwise discover --json > devices.json
  slotwise policy run old-firmware-last.wasm --devices devices.json";

const BENCH_EXAMPLE: &str = "\
Example: what a call costs for these hosts
  slotwise policy bench avoid-hot-racks.wasm --hosts hosts.json --calls 1000";
