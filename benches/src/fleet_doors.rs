//! Questions to the same fleet through Rust, Python and the component, in turn, so that all see the same machine.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use slotwise::{FilterOptions, Fleet, HostSet, Workload, json};
use slotwise_sandbox::{EngineComponent, EngineInstance, Limits};

use crate::doors::{Process, Result};

/// What a question took through a door: the median over rounds, for one question.
#[derive(Debug)]
pub struct Through {
    /// The door's name.
    pub door: &'static str,
    /// How long one question took.
    pub time: Duration,
}

/// One door: asks every workload so many times, and says how long that took and how many hosts fit the last.
type Ask = Box<dyn FnMut(u32) -> Result<(Duration, usize)>>;

/// Asks all workloads in turn through every door that is there (`SLOTWISE_PYTHON`, `SLOTWISE_WASM`), Rust first.
///
/// # Errors
///
/// When a door that is named cannot be opened, or gives another answer than Rust.
pub fn measure(fleet: &Fleet, workloads: &[Workload], rounds: usize) -> Result<Vec<Through>> {
    let mut doors: Vec<(&str, Ask)> = vec![("Rust", rust(fleet.clone(), workloads.to_vec()))];
    let folder = std::env::temp_dir().join(format!("slotwise-fleet-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    if let Some(python) = std::env::var_os("SLOTWISE_PYTHON") {
        doors.push(("Python", self::python(Path::new(&python), fleet, workloads, &folder)?));
    }
    if let Some(component) = std::env::var_os("SLOTWISE_WASM") {
        let limits = Limits::default();
        let fuel = Limits { fuel: Some(u64::MAX / 2), ..Limits::default() };
        for (name, limits) in [("component, time metered", limits), ("component, fuel metered too", fuel)] {
            doors.push((name, self::component(Path::new(&component), limits, fleet, workloads)?));
        }
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); doors.len()];
    for round in 0..=rounds {
        let mut expected = None;
        for ((name, ask), times) in doors.iter_mut().zip(&mut times) {
            let (time, fits) = ask(1)?;
            if *expected.get_or_insert(fits) != fits {
                return Err(format!("{name} finds {fits} hosts, Rust {expected:?}").into());
            }
            // The first round builds what is kept.
            if round > 0 {
                times.push(time / workloads.len() as u32);
            }
        }
    }
    std::fs::remove_dir_all(&folder)?;
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    Ok(doors
        .iter()
        .zip(&mut times)
        .map(|(&(door, _), times)| Through { door, time: median(times) })
        .collect())
}

fn rust(fleet: Fleet, workloads: Vec<Workload>) -> Ask {
    Box::new(move |times| {
        let mut hosts = HostSet::new();
        let start = Instant::now();
        for _ in 0..times {
            for workload in &workloads {
                hosts = std::hint::black_box(fleet.filter(workload, &FilterOptions::default(), &[])?.hosts);
            }
        }
        Ok((start.elapsed(), hosts.len()))
    })
}

fn component(path: &Path, limits: Limits, fleet: &Fleet, workloads: &[Workload]) -> Result<Ask> {
    let mut instance: EngineInstance = EngineComponent::load(path, limits)?.instantiate()?;
    let fleet = slotwise_sandbox::Fleet::restore(&mut instance, &fleet.snapshot())?;
    let workloads = workloads
        .iter()
        .map(|workload| slotwise_sandbox::Workload::parse(&mut instance, &json::to_string(workload)))
        .collect::<slotwise_sandbox::Result<Vec<_>>>()?;
    Ok(Box::new(move |times| {
        let mut bitmap = Vec::new();
        let start = Instant::now();
        for _ in 0..times {
            for workload in &workloads {
                bitmap = std::hint::black_box(fleet.filter_hosts(&mut instance, workload, None)?);
            }
        }
        Ok((start.elapsed(), HostSet::from_bytes(&bitmap)?.len()))
    }))
}

fn python(python: &Path, fleet: &Fleet, workloads: &[Workload], folder: &Path) -> Result<Ask> {
    let [snapshot, documents] = ["fleet.bin", "workloads.json"].map(|name| folder.join(name));
    std::fs::write(&snapshot, fleet.snapshot())?;
    std::fs::write(&documents, json::to_string(workloads))?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/doors/fleet.py");
    let mut command = Command::new(python);
    let mut program = Process::start("Python", command.arg(script).args([snapshot, documents]))?;
    Ok(Box::new(move |times| match program.ask(&times.to_string())? {
        (time, Some(fits)) => Ok((time, fits as usize)),
        (_, None) => Err("Python did not say how many hosts fit".into()),
    }))
}
