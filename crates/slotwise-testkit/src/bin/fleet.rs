//! A fleet beside a naive model of it, over many operations: `fleet [STEPS [HOSTS [SEED]]]`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use slotwise_testkit::fleet;

fn main() -> ExitCode {
    let numbers: Option<Vec<u64>> =
        std::env::args().skip(1).map(|text| text.replace('_', "").parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() <= 3) else {
        eprintln!("usage: fleet [STEPS [HOSTS [SEED]]]");
        return ExitCode::from(2);
    };
    let number = |at: usize, default: u64| numbers.get(at).copied().unwrap_or(default);
    let (steps, hosts, seed) = (number(0, 1_000_000), number(1, 2_000).max(1), number(2, 1));
    let counts = fleet::run(seed, steps, hosts as usize, 997, |step| {
        if step.is_multiple_of((steps / 200).max(1)) && std::io::stderr().is_terminal() {
            eprint!("\r{step} of {steps} ({}%)", step * 100 / steps);
            let _ = std::io::stderr().flush();
        } else if step.is_multiple_of((steps / 10).max(1)) {
            eprintln!("{step} of {steps}");
        }
    });
    println!("{steps} operations from seed {seed}, up to {hosts} hosts, no disagreement: {counts:?}");
    ExitCode::SUCCESS
}
