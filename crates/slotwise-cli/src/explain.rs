//! `slotwise explain`: why a device is or is not assignable, why a workload does or does not fit.

use std::path::Path;

use slotwise::{
    ErrorKind, FilterOptions, Fit, Fleet, FleetExplanation, NoFit, RequestReport, Step, Tracker, Workload,
};

use crate::answer::Answer;
use crate::args::{Explain, ExplainDevice, ExplainRequest, ExplainWorkload, Hosts, Output};
use crate::exit::Exit;
use crate::failure::{BOLD, Failure, GREEN, RED, Result, YELLOW};
use crate::text::{Layout, counted, info_pairs, plain, table};
use crate::{input, machine};

/// Runs the command.
pub(crate) fn run(args: Explain) -> Result<Answer> {
    match args {
        Explain::Device(args) => device(&args),
        Explain::Request(args) => request(args),
        Explain::Workload(args) => workload(&args),
    }
}

fn device(args: &ExplainDevice) -> Result<Answer> {
    let config = input::config(&args.rules.config)?;
    let tracker = machine::tracker(&config, &args.machine)?;
    let found = tracker.explain(args.address).map_err(|error| match error.kind() {
        ErrorKind::UnknownDevice => {
            let help = "\"slotwise discover\" lists the functions of this machine";
            Failure::new(error.kind(), format!("there is no function {}", args.address), help)
        }
        _ => error.into(),
    })?;
    let exit = if found.assignable { Exit::Yes } else { Exit::No };
    if args.output.json {
        return Answer::json(exit, &found);
    }
    let mut out = format!("{BOLD}{}{BOLD:#} is ", args.address);
    match found.rule {
        Some(rule) => {
            out += &format!("{GREEN}assignable{GREEN:#} by rule {rule}");
            out += &info_pairs(&found.tags)
                .map_or(" and gets no tags\n".into(), |tags| format!(": {}\n", plain(&tags)));
        }
        None if found.rules.is_empty() => {
            out += &format!("{RED}not assignable{RED:#}: the configuration has no device_spec rule\n");
        }
        None => out += &format!("{RED}not assignable{RED:#}: no rule matches it\n"),
    }
    let specs = tracker.specs().list();
    let rows: Vec<_> = found
        .rules
        .iter()
        .map(|verdict| {
            vec![
                Some(verdict.rule.to_string()),
                Some(if verdict.matches { "matches".into() } else { "no".into() }),
                verdict.reason.clone(),
                specs.get(verdict.rule).map(crate::check::spec_text),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let columns = [
            ("RULE", Layout::Number),
            ("VERDICT", Layout::Whole),
            ("REASON", Layout::Flow),
            ("SPEC", Layout::Flow),
        ];
        out += &format!("\n{}", table(&columns, &rows));
    }
    if found.rule.is_some_and(|rule| rule + 1 < specs.len()) {
        out += "\nThe rules after it were not tried: the first that matches decides.\n";
    }
    Answer::text(exit, out)
}

fn request(args: ExplainRequest) -> Result<Answer> {
    let config = input::config(&args.rules.config)?;
    let requests = config.aliases.requests(&args.flavor, args.numa_policy.map(Into::into))?;
    let strategy = args.strategy.into();
    let workload = Workload { numa_cells: args.numa_cells, strategy, ..Workload::new(requests) };
    if !args.hosts.fleet.is_empty() {
        return fleet_answer(&args.hosts, &workload, args.output);
    }
    let tracker = machine::tracker(&config, &args.machine)?;
    answer(&tracker, &workload, args.output)
}

fn workload(args: &ExplainWorkload) -> Result<Answer> {
    let files =
        [Some(&args.file), args.machine.devices.as_ref()].into_iter().flatten().chain(&args.hosts.fleet);
    if files.filter(|file| *file == Path::new("-")).count() > 1 {
        return Err(Failure::new(
            ErrorKind::InvalidArgument,
            "two of the files cannot both come from standard input",
            "give one of them as a file",
        ));
    }
    // Without a configuration there is a fleet.
    let config = args.config.as_deref().map(input::config).transpose()?;
    let workload: Workload = input::document(&args.file, "workload")?;
    match config {
        Some(config) => answer(&machine::tracker(&config, &args.machine)?, &workload, args.output),
        None => fleet_answer(&args.hosts, &workload, args.output),
    }
}

fn fleet_answer(hosts: &Hosts, workload: &Workload, output: Output) -> Result<Answer> {
    let mut fleet = Fleet::new();
    for file in &hosts.fleet {
        input::hosts(file, &mut fleet)?;
    }
    let found = fleet.explain(workload, &FilterOptions::default(), &[])?;
    let exit = match (found.fits, found.undecided) {
        (0, 0) => Exit::No,
        (0, _) => Exit::Undecided,
        _ => Exit::Yes,
    };
    if output.json {
        return Answer::json(exit, &found);
    }
    Answer::text(exit, fleet_text(workload, &found))
}

fn fleet_text(workload: &Workload, found: &FleetExplanation) -> String {
    let mut out = format!("{}\n", plain(&found.message));
    let row = |hosts: u64, outcome: String, request: Option<usize>| {
        vec![Some(hosts.to_string()), Some(outcome), request.map(|request| request_name(workload, request))]
    };
    let mut rows = vec![row(found.fits, if found.fits == 1 { "fits" } else { "fit" }.into(), None)];
    if found.undecided > 0 {
        rows.push(row(found.undecided, "undecided: the search budget ran out".into(), None));
    }
    let reasons = found.reasons.iter();
    rows.extend(reasons.map(|count| row(count.hosts, count.reason.phrase(count.hosts), count.request)));
    let columns = [("HOSTS", Layout::Number), ("OUTCOME", Layout::Flow), ("REQUEST", Layout::Flow)];
    out += &format!("\n{}", table(&columns, &rows));
    for request in &found.requests {
        let steps = request.steps.iter().map(|step| (step.step, step.dropped, step.left));
        out += &format!("\n{}", request_text(workload, request.request, request.free, steps, ""));
    }
    out
}

fn answer(tracker: &Tracker, workload: &Workload, output: Output) -> Result<Answer> {
    let fit = tracker.fit(workload)?;
    let exit = match &fit {
        Fit::Fits(_) => Exit::Yes,
        Fit::NoFit(_) => Exit::No,
        Fit::Undecided(_) => Exit::Undecided,
    };
    if output.json {
        return Answer::json(exit, &fit);
    }
    let out = match &fit {
        Fit::Fits(assignment) => {
            let devices: usize = assignment.requests.iter().map(|request| request.devices.len()).sum();
            // Named only where they were to be chosen.
            let cells =
                assignment.numa_cells.as_ref().map(|cells| format!(", guest on NUMA cells {cells:?}"));
            let cut_short = match assignment.cut_short {
                true => "; the search budget ran out before anything better was ruled out",
                false => "",
            };
            format!(
                "{GREEN}fits{GREEN:#}: {} for {}{}{cut_short}\n\n{}",
                counted(devices, "device"),
                counted(workload.requests.len(), "request"),
                cells.unwrap_or_default(),
                assignment_table(tracker, workload, assignment)
            )
        }
        Fit::NoFit(no) => no_fit_text(workload, no),
        Fit::Undecided(undecided) => {
            let reason = undecided.message.strip_prefix("undecided: ").unwrap_or(&undecided.message);
            format!("{YELLOW}undecided{YELLOW:#}: {}\n", plain(reason))
        }
    };
    Answer::text(exit, out)
}

fn assignment_table(tracker: &Tracker, workload: &Workload, assignment: &slotwise::Assignment) -> String {
    let devices = tracker.devices();
    let mut rows = Vec::new();
    for (i, served) in assignment.requests.iter().enumerate() {
        // A request is named once, in front of its first device.
        let name = match served.option {
            0 => request_name(workload, i),
            fallback => format!("{} (fallback {fallback})", request_name(workload, i)),
        };
        let companions = served.companions.iter().map(|address| ("  along with its group", address));
        let asked_for =
            served.devices.iter().enumerate().map(|(n, address)| (if n == 0 { &*name } else { "" }, address));
        for (label, address) in asked_for.chain(companions) {
            let tracked = devices.binary_search_by_key(address, |tracked| tracked.device.address).ok();
            let device = tracked.map(|index| &devices[index].device);
            rows.push(vec![
                Some(label.to_owned()),
                Some(address.to_string()),
                device.map(|d| format!("{}:{}", d.vendor_id, d.product_id)),
                device.map(|d| crate::discover::type_word(d.dev_type).to_owned()),
                device.and_then(|d| d.numa_node).map(|node| node.to_string()),
                device.and_then(|d| tracker.specs().matching(d)).and_then(|(_, tags)| info_pairs(tags)),
            ]);
        }
    }
    let columns = [
        ("REQUEST", Layout::Flow),
        ("ADDRESS", Layout::Whole),
        ("ID", Layout::Whole),
        ("TYPE", Layout::Whole),
        ("NUMA", Layout::Number),
        ("TAGS", Layout::Flow),
    ];
    table(&columns, &rows)
}

fn no_fit_text(workload: &Workload, no: &NoFit) -> String {
    // The engine's paragraph starts with the verdict, which is set off here.
    let reason = no.message.strip_prefix("does not fit: ").unwrap_or(&no.message);
    let mut out = format!("{RED}does not fit{RED:#}: {}\n", plain(reason));
    for report in &no.requests {
        out.push('\n');
        out += &report_text(workload, report, no.conflict.contains(&report.request));
    }
    out
}

fn report_text(workload: &Workload, report: &RequestReport, in_conflict: bool) -> String {
    let steps = report.steps.iter().map(|step| (step.step, step.dropped.into(), step.left.into()));
    let note = if in_conflict { "" } else { " (not part of the conflict)" };
    request_text(workload, report.request, report.free.into(), steps, note)
}

/// What a request wants, and what each step of the filter chain dropped and left of the free devices.
fn request_text(
    workload: &Workload,
    request: usize,
    free: u64,
    steps: impl Iterator<Item = (Step, u64, u64)>,
    note: &str,
) -> String {
    let (wanted, wants) = workload.requests.get(request).map_or((0, String::new()), |request| {
        let alternatives: Vec<_> = request.alternatives.iter().filter_map(info_pairs).collect();
        let wants = if alternatives.is_empty() { "any device".into() } else { alternatives.join(" or ") };
        (request.count, wants)
    });
    let name = request_name(workload, request);
    let mut out = format!("{BOLD}{}{BOLD:#}: {wanted} of {}{note}\n", plain(&name), plain(&wants));
    let row = |step: String, dropped: Option<u64>, left: u64, why: Option<&str>| {
        vec![Some(step), dropped.map(|n| n.to_string()), Some(left.to_string()), why.map(str::to_owned)]
    };
    let first = row("free".into(), None, free, None);
    let steps = steps.map(|(step, dropped, left)| {
        row(step_word(step), Some(dropped), left, (dropped > 0).then(|| step.reason()))
    });
    let rows: Vec<_> = std::iter::once(first).chain(steps).collect();
    let columns = [
        ("STEP", Layout::Whole),
        ("DROPPED", Layout::Number),
        ("LEFT", Layout::Number),
        ("WHY", Layout::Flow),
    ];
    out += &table(&columns, &rows);
    out
}

/// What a person calls a request: its alias, else its id, else its index.
fn request_name(workload: &Workload, index: usize) -> String {
    let request = workload.requests.get(index);
    let name = request.and_then(|request| request.alias_name.clone().or_else(|| request.request_id.clone()));
    name.unwrap_or_else(|| format!("request {index}"))
}

/// The step's name in JSON, with spaces.
fn step_word(step: Step) -> String {
    let name = serde_json::to_value(step).ok();
    name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().replace('_', " ")
}
