//! The solver against the oracle over many random instances, and the search for the hardest ones.
//!
//! `oracle [CASES [SEED]]` compares; `oracle hardest [FAMILY…] [CASES [SEED]]` lists the instances of each family that take
//! most search steps, and fails when one is undecided.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use slotwise::Workload;
use slotwise_testkit::hard::{self, Family};
use slotwise_testkit::joint;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let hardest = arguments.first().is_some_and(|first| first == "hardest");
    if hardest {
        arguments.remove(0);
    }
    let named = |text: &String| Family::ALL.iter().copied().find(|family| family.to_string() == *text);
    let families: Vec<Family> = arguments.iter().take_while(|_| hardest).map_while(named).collect();
    arguments.drain(..families.len());
    let numbers: Option<Vec<u64>> = arguments.iter().map(|text| text.replace('_', "").parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() <= 2) else {
        eprintln!("usage: oracle [hardest [FAMILY…]] [CASES [SEED]]");
        return ExitCode::from(2);
    };
    let cases = numbers.first().copied().unwrap_or(if hardest { 2_000 } else { 1_000_000 });
    let first = numbers.get(1).copied().unwrap_or(1);
    if hardest { look_for_hardest(&families, first, cases) } else { compare(first, cases) }
}

/// Runs `work` on every seed, on all cores, with a line of progress.
fn on_all_cores<T: Send>(first: u64, cases: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = |seed: u64| {
        let done = seed - first + 1;
        if done.is_multiple_of((cases / 200).max(1)) && std::io::stderr().is_terminal() {
            eprint!("\r{done} of {cases} ({}%)", done * 100 / cases);
            let _ = std::io::stderr().flush();
        } else if done.is_multiple_of((cases / 10).max(1)) {
            eprintln!("{done} of {cases}");
        }
    };
    let run = || {
        let mut found = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + cases {
                return found;
            }
            found.push(work(seed));
            progress(seed);
        }
    };
    let found = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    found
}

fn compare(first: u64, cases: u64) -> ExitCode {
    let answers = on_all_cores(first, cases, |seed| {
        let answer = std::panic::catch_unwind(|| {
            // Several owners take the oracle far longer.
            if seed.is_multiple_of(8) {
                let _ = joint::check_claims(seed);
            }
            joint::check(seed)
        });
        if answer.is_err() {
            eprintln!("seed {seed} disagrees: see it again with `cargo xtask oracle 1 {seed}`");
        }
        answer.ok()
    });
    let count = |wanted: Option<Option<bool>>| answers.iter().filter(|answer| **answer == wanted).count();
    let failed = cases - answers.iter().flatten().count() as u64;
    println!(
        "{cases} instances from seed {first}: {} fit, {} do not, {} contradict themselves, {failed} disagree, none undecided",
        count(Some(Some(true))),
        count(Some(Some(false))),
        count(Some(None)),
    );
    ExitCode::from(u8::from(failed > 0))
}

fn look_for_hardest(families: &[Family], first: u64, cases: u64) -> ExitCode {
    let mut undecided = false;
    println!("family, seed, steps, fits");
    for &family in if families.is_empty() { Family::ALL } else { families } {
        eprintln!("{family}");
        let mut found: Vec<(u64, u64, bool)> = on_all_cores(first, cases, |seed| {
            let (tracker, workload) = hard::instance(family, seed);
            let (steps, fits) = joint::steps(&tracker, &workload, Workload::DEFAULT_BUDGET, true)?;
            Some((steps, seed, fits))
        })
        .into_iter()
        .flatten()
        .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        // Exactly only for these: halving takes longer than doubling.
        for &(_, seed, _) in found.iter().take(5) {
            let (tracker, workload) = hard::instance(family, seed);
            if let Some((steps, fits)) = joint::steps(&tracker, &workload, Workload::DEFAULT_BUDGET, false) {
                println!("{family}, {seed}, {steps}, {fits}");
            }
        }
        let fitting = found.iter().filter(|(.., fits)| *fits).count();
        println!("{family}: {} of {} fit", fitting, found.len());
        undecided |= found.first().is_some_and(|(steps, ..)| *steps > Workload::DEFAULT_BUDGET);
    }
    ExitCode::from(u8::from(undecided))
}
