//! The fleet beside Nova, beside the single-host solver, beside a plain scan and beside the memory's pace, in one run.
//!
//! `compare-fleet [MOST]` grows to MOST hosts (a million if not given). `SLOTWISE_NOVA_PYTHON` names a Python that has
//! Nova 34; the plot goes to `SLOTWISE_PLOT` if that is set.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use slotwise::{FilterOptions, Fleet, Pools, Workload};
use slotwise_benches::fleet::{self, Catalogue, POOLS, Random};
use slotwise_benches::fleet_doors::{self, Through};
use slotwise_benches::plot::{self, Series};
use slotwise_benches::table::{print, show, verdict};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let most = match std::env::args().nth(1) {
        None => 1_000_000,
        Some(text) => text.replace('_', "").parse()?,
    };
    let sizes: Vec<usize> = [1_000, 10_000, 100_000, 1_000_000]
        .into_iter()
        .take_while(|&size| size < most)
        .chain([most])
        .collect();
    println!(
        "Hosts with {POOLS} pools each. Medians, for snapshots the fastest; compare within this run, never with another machine.\n"
    );
    let nova = nova()?;
    let mut runs = Vec::new();
    for &hosts in &sizes {
        eprintln!("{hosts} hosts …");
        runs.push(Run::measure(hosts)?);
    }
    let through = doors(most)?;
    queries(&runs, nova);
    changes(&runs);
    show_doors(&through);
    if let Some(run) = runs.last() {
        goals(run, nova, &through);
    }
    if let Some(path) = std::env::var_os("SLOTWISE_PLOT") {
        std::fs::write(&path, picture(&runs, nova))?;
        println!("\nThe plot is in {}.", path.display());
    }
    Ok(())
}

/// What was measured on a fleet of some size.
struct Run {
    hosts: usize,
    fits: usize,
    rare_fits: usize,
    stream: Duration,
    scan: Duration,
    solver_per_host: Duration,
    first: Duration,
    counts: Duration,
    again: Duration,
    after_change: Duration,
    rare_first: Duration,
    rare_counts: Duration,
    delta: Duration,
    same_text: Duration,
    put: Duration,
    memory: f64,
    resident: Option<f64>,
    snapshot_bytes: usize,
    write: Duration,
    read: Duration,
    copy: Duration,
}

impl Run {
    fn measure(hosts: usize) -> Result<Self> {
        let before = resident();
        let mut fleet = fleet::fleet(hosts)?;
        let resident = before.zip(resident()).map(|(before, after)| (after - before) / hosts as f64);
        let memory = fleet.memory().total as f64 / hosts as f64;
        let ask = |fleet: &Fleet, workload: &Workload| -> Result<usize> {
            Ok(fleet.filter(workload, &FilterOptions::default(), &[])?.fits as usize)
        };

        // A spelling that was never asked is a new question; a count that was not, on the same columns, new counts.
        let mut spelling = 0;
        let mut fits = 0;
        let first = median(7, || {
            spelling += 1;
            fits = ask(&fleet, &fleet::two_requests(2, 1, spelling)?)?;
            Ok(())
        })?;
        let mut turn = 0..;
        let questions = new_counts(spelling)?;
        let counts = median(questions.len(), || ask(&fleet, &questions[turn.next().unwrap_or(0)]).map(drop))?;
        let question = fleet::two_requests(2, 1, spelling)?;
        let again = median(60, || ask(&fleet, &question).map(drop))?;
        let mut rare_fits = 0;
        let rare_first = median(7, || {
            spelling += 1;
            rare_fits = ask(&fleet, &fleet::rare(2, spelling)?)?;
            Ok(())
        })?;
        let questions =
            (1..=60).map(|nics| fleet::rare(nics, spelling)).collect::<slotwise::Result<Vec<_>>>()?;
        let mut turn = 0..;
        let rare_counts =
            median(questions.len(), || ask(&fleet, &questions[turn.next().unwrap_or(0)]).map(drop))?;

        let mut random = Random::new(3);
        let mut deltas = Vec::new();
        for _ in 0..1000.min(hosts / 2) {
            let host = fleet::name(random.below(hosts));
            if !deltas.iter().any(|(known, _)| *known == host) {
                let delta = fleet::delta(&fleet, &host, random.below(POOLS))?;
                deltas.push((host, delta));
            }
        }
        ask(&fleet, &question)?;
        let mut changes = deltas.iter();
        let delta = median(deltas.len(), || {
            let Some((host, delta)) = changes.next() else { return Ok(()) };
            fleet.apply(host, delta)?;
            Ok(())
        })?;
        ask(&fleet, &question)?;
        let mut apart = Vec::new();
        for _ in 0..30 {
            let host = fleet::name(random.below(hosts));
            let delta = fleet::delta(&fleet, &host, random.below(POOLS))?;
            fleet.apply(&host, &delta)?;
            let start = Instant::now();
            ask(&fleet, &question)?;
            apart.push(start.elapsed());
        }
        apart.sort_unstable();

        let catalogue = Catalogue::new()?;
        let names: Vec<String> = (0..500).map(|_| fleet::name(random.below(hosts))).collect();
        let texts: Vec<String> = (0..500).map(|i| fleet::text(&catalogue.host(i, &mut random))).collect();
        for (name, text) in names.iter().zip(&texts) {
            fleet.put_json(name, text, None, None)?;
        }
        let last: std::collections::BTreeMap<&String, &String> = names.iter().zip(&texts).collect();
        let mut texts = last.iter();
        let same_text = median(last.len(), || {
            let Some((name, text)) = texts.next() else { return Ok(()) };
            fleet.put_json(name, text, None, None)?;
            Ok(())
        })?;
        let states: Vec<Pools> = (0..500).map(|i| catalogue.host(i, &mut random)).collect();
        let mut states = names.iter().zip(&states);
        let put = median(names.len(), || {
            let Some((name, state)) = states.next() else { return Ok(()) };
            fleet.put(name, state, None)?;
            Ok(())
        })?;

        let bytes = fleet.snapshot();
        let write = fastest(5, || {
            std::hint::black_box(fleet.snapshot());
            Ok(())
        })?;
        let read = fastest(5, || {
            std::hint::black_box(Fleet::from_snapshot(&bytes)?);
            Ok(())
        })?;
        let copy = fastest(5, || {
            std::hint::black_box(bytes.clone());
            Ok(())
        })?;
        Ok(Run {
            hosts,
            fits,
            rare_fits,
            stream: stream(hosts)?,
            scan: scan(&fleet, &question)?,
            solver_per_host: solver(&fleet, &question)?,
            first,
            counts,
            again,
            after_change: apart[apart.len() / 2],
            rare_first,
            rare_counts,
            delta,
            same_text,
            put,
            memory,
            resident,
            snapshot_bytes: bytes.len(),
            write,
            read,
            copy,
        })
    }
}

/// Questions of one meaning, each with counts that no other has.
fn new_counts(spelling: usize) -> Result<Vec<Workload>> {
    let counts = (0..60).map(|i| (1 + i % 40, 1 + i / 40));
    Ok(counts
        .map(|(nics, gpus)| fleet::two_requests(nics, gpus, spelling))
        .collect::<slotwise::Result<Vec<_>>>()?)
}

/// The most hosts of the fleet that is asked through each door.
const DOORS: usize = 100_000;

/// New counts, and the same question again, through each door.
fn doors(most: usize) -> Result<[Vec<Through>; 2]> {
    let fleet = fleet::fleet(most.min(DOORS))?;
    let counts = fleet_doors::measure(&fleet, &new_counts(0)?, 60)?;
    let again = fleet_doors::measure(&fleet, &[fleet::two_requests(2, 1, 0)?], 300)?;
    Ok([counts, again])
}

fn show_doors([counts, again]: &[Vec<Through>; 2]) {
    println!(
        "One question through each door, at {DOORS} hosts at most; the answer is a set of hosts, in the component's case a bitmap"
    );
    let mut rows = vec![["", "new counts", "over Rust", "again", "over Rust"].map(str::to_owned).to_vec()];
    for (counts_here, again_here) in counts.iter().zip(again) {
        rows.push(vec![
            counts_here.door.to_owned(),
            show(counts_here.time),
            times(counts_here.time, counts[0].time),
            show(again_here.time),
            times(again_here.time, again[0].time),
        ]);
    }
    print(&rows);
    println!();
}

/// The median of some rounds.
fn median(rounds: usize, mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[rounds / 2])
}

/// The fastest of some rounds: what takes long is disturbed by whatever else the machine does.
fn fastest(rounds: usize, mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

/// How long it takes to read the three columns of two requests once, which no answer by counting can be faster than.
fn stream(hosts: usize) -> Result<Duration> {
    let columns: Vec<Vec<u8>> =
        (0..3).map(|salt| (0..hosts).map(|i| (i * 7 + salt) as u8).collect()).collect();
    median(60, || {
        let (mut blocks, mut sum) = ([0_u8; 64], 0_u8);
        for column in &columns {
            let (whole, rest) = std::hint::black_box(column).as_chunks::<64>();
            for block in whole {
                blocks.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
            }
            sum ^= rest.iter().fold(0, |sum, byte| sum ^ byte);
        }
        std::hint::black_box((blocks, sum));
        Ok(())
    })
}

/// The plain way in Rust: host by host, pool by pool, what it is and how many, counted for the three sets of requests.
fn scan(fleet: &Fleet, question: &Workload) -> Result<Duration> {
    let mut classes: Vec<slotwise::Pool> = Vec::new();
    let mut rows: Vec<Vec<(u32, u32)>> = Vec::new();
    let mut ids = std::collections::HashMap::new();
    for host in fleet.names(fleet.hosts()) {
        let pools = fleet.pools(host)?;
        let row = pools.as_slice().iter().map(|pool| {
            let class =
                *ids.entry((std::sync::Arc::as_ptr(&pool.attributes), pool.numa_node)).or_insert_with(|| {
                    classes.push(pool.clone());
                    classes.len() as u32 - 1
                });
            (class, pool.count)
        });
        rows.push(row.collect());
    }
    let mut masks = vec![0_u8; classes.len()];
    for (class, mask) in classes.iter().zip(&mut masks) {
        let alone = Pools::new(vec![slotwise::Pool { count: 1 << 20, ..class.clone() }], None);
        for (bit, request) in question.requests.iter().enumerate() {
            *mask |= u8::from(alone.fit(&Workload::new(vec![request.clone()]))?.fits()) << bit;
        }
    }
    let wanted: Vec<u32> = question.requests.iter().map(|request| request.count).collect();
    median(7, || {
        let mut fits = 0_usize;
        for row in &rows {
            let mut parts = [0_u32; 4];
            for &(class, count) in row {
                parts[masks[class as usize] as usize] += count;
            }
            let [_, one, two, both] = parts;
            fits += usize::from(
                one + both >= wanted[0]
                    && two + both >= wanted[1]
                    && one + two + both >= wanted[0] + wanted[1],
            );
        }
        std::hint::black_box(fits);
        Ok(())
    })
}

/// What [`Pools::fit`] takes for one host.
fn solver(fleet: &Fleet, question: &Workload) -> Result<Duration> {
    let some: Vec<Pools> = fleet
        .names(fleet.hosts())
        .take(1000)
        .map(|host| fleet.pools(host))
        .collect::<slotwise::Result<_>>()?;
    let time = median(7, || {
        for pools in &some {
            let _ = std::hint::black_box(pools.fit(question)?);
        }
        Ok(())
    })?;
    Ok(time / some.len() as u32)
}

/// What Nova's `support_requests` takes for one host, where Nova is.
fn nova() -> Result<Option<Duration>> {
    const HOSTS: usize = 300;
    let Some(python) = std::env::var_os("SLOTWISE_NOVA_PYTHON") else {
        println!(
            "Nova is not measured: {}\n",
            std::env::var("SLOTWISE_NOVA_REASON").unwrap_or_else(|_| "it is not installed".to_owned())
        );
        return Ok(None);
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/doors/fleet_nova.py");
    let mut child = Command::new(python)
        .args(["-W", "ignore", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let fleet = fleet::fleet(HOSTS)?;
    let mut input = child.stdin.take().ok_or("no input")?;
    for host in fleet.names(fleet.hosts()) {
        writeln!(input, "{}", fleet::text(&fleet.pools(host)?))?;
    }
    drop(input);
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(time)), Some(Ok(fits))) = (numbers.next(), numbers.next()) else {
        return Err(format!("the script about Nova failed: {}", output.status).into());
    };
    let own = fleet.filter(&fleet::two_requests(2, 1, 0)?, &FilterOptions::default(), &[])?.fits;
    if own != fits {
        return Err(format!("Nova finds {fits} of {HOSTS} hosts, the fleet {own}").into());
    }
    println!(
        "Nova's support_requests: {} per host ({HOSTS} hosts, {fits} fit on both sides)\n",
        show(Duration::from_nanos(time))
    );
    Ok(Some(Duration::from_nanos(time)))
}

fn times(value: Duration, base: Duration) -> String {
    let ratio = value.as_secs_f64() / base.as_secs_f64();
    if ratio < 10.0 { format!("×{ratio:.2}") } else { format!("×{ratio:.0}") }
}

fn queries(runs: &[Run], nova: Option<Duration>) {
    println!("One question of two requests to the whole fleet");
    let head = ["", "hosts", "fit", "time", "per host", "over streaming"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for run in runs {
        let hosts = run.hosts as u32;
        let mut row = |name: &str, fits: Option<usize>, time: Duration| {
            rows.push(vec![
                name.to_owned(),
                hosts.to_string(),
                fits.map_or_else(String::new, |fits| fits.to_string()),
                show(time),
                format!("{:.3} ns", time.as_secs_f64() * 1e9 / f64::from(hosts)),
                times(time, run.stream),
            ]);
        };
        if let Some(nova) = nova {
            row("Nova, host by host (per host × hosts)", Some(run.fits), nova * hosts);
        }
        row("Pools::fit, host by host (per host × hosts)", Some(run.fits), run.solver_per_host * hosts);
        row("plain row scan in Rust", Some(run.fits), run.scan);
        row("fleet: a question never asked", Some(run.fits), run.first);
        row("fleet: new counts", None, run.counts);
        row("fleet: again, after one host changed", Some(run.fits), run.after_change);
        row("fleet: again", Some(run.fits), run.again);
        row("fleet: rare, never asked", Some(run.rare_fits), run.rare_first);
        row("fleet: rare, new counts", None, run.rare_counts);
        row("streaming three columns once", None, run.stream);
    }
    print(&rows);
    println!();
}

fn changes(runs: &[Run]) {
    println!("Changes, memory, snapshots");
    let head = [
        "hosts",
        "delta",
        "same text",
        "other pools",
        "memory per host",
        "resident per host",
        "snapshot",
        "write",
        "read",
        "copy of it",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for run in runs {
        let pace =
            |time: Duration| format!("{:.2} GB/s", run.snapshot_bytes as f64 / time.as_secs_f64() / 1e9);
        rows.push(vec![
            run.hosts.to_string(),
            show(run.delta),
            show(run.same_text),
            show(run.put),
            format!("{:.0} B", run.memory),
            run.resident.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes:.0} B")),
            format!("{:.1} MB", run.snapshot_bytes as f64 / 1e6),
            pace(run.write),
            pace(run.read),
            pace(run.copy),
        ]);
    }
    print(&rows);
    println!();
}

fn goals(run: &Run, nova: Option<Duration>, [through, _]: &[Vec<Through>; 2]) {
    println!("Goals, at {} hosts", run.hosts);
    let mut rows = vec![["", "goal", "measured", ""].map(str::to_owned).to_vec()];
    let mut row = |name: &str, goal: &str, measured: String, met: bool| {
        rows.push(vec![name.to_owned(), goal.to_owned(), measured, verdict(met).to_owned()]);
    };
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    if let Some(nova) = nova {
        for (name, time) in [("new counts", run.counts), ("again", run.again)] {
            let faster = ratio(nova * run.hosts as u32, time);
            row(
                &format!("faster than Nova per host, {name}"),
                "100000",
                format!("{faster:.0}"),
                faster >= 1e5,
            );
        }
    }
    let over = ratio(run.counts, run.stream);
    row("counting over streaming, new counts", "≤ 3", format!("{over:.2}"), over <= 3.0);
    for (name, rare, full) in [
        ("rare over full, never asked", run.rare_first, run.first),
        ("rare over full, new counts", run.rare_counts, run.counts),
    ] {
        let part = ratio(rare, full);
        row(name, "≤ 3 %", format!("{:.2} %", 100.0 * part), part <= 0.03);
    }
    let over = ratio(run.first, run.scan);
    row("a first question over a row scan", "≤ 1", format!("{over:.2}"), over <= 1.0);
    for (name, most) in [("Python", 1.2), ("component, time metered", 2.0)] {
        if let Some(here) = through.iter().find(|through| through.door == name) {
            let over = ratio(here.time, through[0].time);
            row(
                &format!("through {name}, over Rust"),
                &format!("≤ {most}"),
                format!("{over:.2}"),
                over <= most,
            );
        }
    }
    row("an update", "≤ 2 µs", show(run.delta), run.delta <= Duration::from_micros(2));
    let memory = run.resident.unwrap_or(run.memory).max(run.memory);
    row("memory per host", "≤ 200 B", format!("{memory:.0} B"), memory <= 200.0);
    let pace = |time: Duration| run.snapshot_bytes as f64 / time.as_secs_f64() / 1e9;
    for (name, time) in [("snapshot, write", run.write), ("snapshot, read", run.read)] {
        // "Near the memory's pace" is taken as half of what copying the same bytes reaches.
        let met = pace(time) >= 1.0 || pace(time) >= pace(run.copy) / 2.0;
        row(name, "≥ 1 GB/s or ½ of copying", format!("{:.2} GB/s", pace(time)), met);
    }
    print(&rows);
}

fn picture(runs: &[Run], nova: Option<Duration>) -> String {
    let line = |name: &str, colour, dashed, time: &dyn Fn(&Run) -> Duration| Series {
        name: name.to_owned(),
        colour,
        dashed,
        points: runs.iter().map(|run| (run.hosts as f64, time(run).as_secs_f64() * 1e9)).collect(),
    };
    let mut lines = vec![
        line("Pools::fit, host by host", "#8c564b", true, &|run| run.solver_per_host * run.hosts as u32),
        line("plain row scan in Rust", "#7f7f7f", false, &|run| run.scan),
        line("fleet, never asked", "#1f77b4", false, &|run| run.first),
        line("fleet, new counts", "#2ca02c", false, &|run| run.counts),
        line("fleet, again", "#17becf", false, &|run| run.again),
        line("fleet, rare, never asked", "#9467bd", false, &|run| run.rare_first),
        line("streaming the columns once", "#000000", true, &|run| run.stream),
    ];
    if let Some(nova) = nova {
        lines.insert(0, line("Nova 34, host by host", "#d62728", true, &|run| nova * run.hosts as u32));
    }
    let unit = |power: i32| match power {
        ..3 => format!("{} ns", 10_f64.powi(power)),
        3..6 => format!("{} µs", 10_f64.powi(power - 3)),
        6..9 => format!("{} ms", 10_f64.powi(power - 6)),
        _ => format!("{} s", 10_f64.powi(power - 9)),
    };
    plot::draw("Two requests to every host of a fleet, 16 pools per host", "hosts", &lines, unit)
}

/// How many bytes of memory this process has, where the platform says so.
fn resident() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0)
}
