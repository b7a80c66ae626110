//! The fleet beside the single-host solver: the same answers, host by host, whatever happened to the hosts before.

use std::collections::{BTreeMap, BTreeSet};

use slotwise::policy::{HostTable, Policy, Query, Scope, Verdicts};
use slotwise::{
    AffinityRule, Batch, BatchItem, BatchMode, BatchOutcome, Demand, DeviceSpecs, ErrorKind, ExtraInfo,
    FilterOptions, Fit, Fleet, FleetReason, HostDelta, HostOutcome, HostQuestion, HostSet, Pools,
    RankOptions, Relation, Request, Strategy, Tracker, TrackerOptions, Weigher, WeigherKind, Workload, json,
};
use slotwise_testkit::generate::{self, Host, Rng, Size};

const HOSTS: usize = 12;

fn tracker(host: &Host) -> Tracker {
    let specs = DeviceSpecs::parse(&host.specs(), false).expect("generated rules are valid");
    let options = TrackerOptions { numa_topology: host.topology.clone(), ..TrackerOptions::default() };
    let mut tracker = Tracker::new(specs, options).expect("generated options are valid");
    tracker.sync(host.devices.clone()).expect("a generated host is valid");
    tracker
}

/// Pools as a fleet gives them: without devices.
fn counted(pools: &Pools) -> Pools {
    let list = pools.as_slice().iter().cloned().map(|mut pool| {
        pool.devices.clear();
        pool
    });
    Pools::new(list.collect(), pools.topology().cloned())
}

fn name(i: usize) -> String {
    format!("host-{i}")
}

fn filter(fleet: &Fleet, workload: &Workload) -> HostSet {
    fleet.filter(workload, &FilterOptions::default(), &[]).expect("a valid workload").hosts
}

/// Asks every host alone, and compares.
fn check(fleet: &Fleet, workload: &Workload, context: &str) -> usize {
    let answer = fleet.filter(workload, &FilterOptions::default(), &[]).expect("a valid workload");
    for id in fleet.hosts().iter() {
        let host = fleet.name(id).expect("a live host");
        let fit = fleet.fit(host, workload).expect("a valid workload");
        match fit {
            Fit::Undecided(_) => {}
            fit => {
                assert!(!answer.undecided.contains(id), "{context}: {host} is undecided\n{workload:#?}");
                assert_eq!(
                    answer.hosts.contains(id),
                    fit.fits(),
                    "{context}: {host} {:#?}\n{workload:#?}",
                    fleet.pools(host)
                );
            }
        }
    }
    assert_eq!(answer.asked, fleet.len() as u64);
    assert_eq!(answer.fits + answer.no_fit + answer.undecided.len() as u64, answer.asked);
    answer.hosts.len()
}

/// Workloads of every kind: plain and constrained ones, both strategies, with and without NUMA cells and Placement.
fn workloads(rng: &mut Rng, host: &Host) -> Vec<Workload> {
    let plain = generate::workload(rng, Size::SMALL, host);
    let nova = Workload { strategy: Strategy::Nova, ..plain.clone() };
    let unmapped = Workload { provider_mapping: None, numa_cells: None, ..plain.clone() };
    let several = Workload { provider_mapping: None, ..generate::workload(rng, Size::SMALL, host) };
    vec![plain, nova, unmapped, several, generate::constrained_workload(rng, generate::CONSTRAINED, host)]
}

#[test]
fn answers_are_those_of_the_single_host_solver() {
    let cases: u64 = std::env::var("SLOTWISE_FLEET_CASES").map_or(60, |text| text.parse().expect("a number"));
    let mut fitting = 0;
    for seed in 0..cases {
        let mut rng = Rng::new(seed);
        let mut fleet = Fleet::new();
        let hosts: Vec<Host> = (0..HOSTS).map(|_| generate::grouped_host(&mut rng, Size::SMALL)).collect();
        let mut trackers: Vec<Tracker> = hosts.iter().map(tracker).collect();
        for (i, tracker) in trackers.iter().enumerate() {
            fleet.put(&name(i), tracker.pools(), Some(tracker.version())).expect("a valid host");
        }
        let mut asked = Vec::new();
        for round in 0..3 {
            for host in &hosts[..4] {
                asked.extend(workloads(&mut rng, host));
            }
            // The same questions again after changes: what was kept of earlier answers is repaired.
            for workload in &asked {
                fitting += check(&fleet, workload, &format!("seed {seed}, round {round}"));
            }
            change(&mut rng, &hosts, &mut trackers, &mut fleet);
        }
    }
    assert!(fitting > 500, "hardly anything fits: {fitting}");
}

/// Claims, frees, replaces and removes on some of the hosts, and tells the fleet.
fn change(rng: &mut Rng, hosts: &[Host], trackers: &mut [Tracker], fleet: &mut Fleet) {
    for (i, tracker) in trackers.iter_mut().enumerate() {
        let (before, base) = (tracker.pools().clone(), tracker.version());
        let workload = generate::workload(rng, Size::SMALL, &hosts[i]);
        match rng.below(5) {
            0 => {
                let _ =
                    fleet.reserve(&format!("owner-{}", rng.bits()), &name(i), &workload, rng.below(9) as u64);
            }
            1 => {
                let _ = tracker.claim("a", &workload);
                let delta = HostDelta::between(base, &before, tracker.version(), tracker.pools());
                if tracker.version() > base {
                    fleet.apply(&name(i), &delta.expect("no pools are alike")).expect("it follows");
                }
            }
            2 => {
                let _ = tracker.free("a", slotwise::FreeScope::All);
                fleet.put(&name(i), tracker.pools(), Some(tracker.version())).expect("not older");
            }
            3 => {
                fleet.remove(&name(i)).expect("it is there");
                fleet.put(&name(i), tracker.pools(), Some(tracker.version())).expect("it is new");
            }
            _ => {
                fleet.expire(rng.below(9) as u64);
            }
        }
    }
    let bytes = fleet.snapshot();
    assert!(Fleet::from_snapshot(&bytes).expect("its own bytes").snapshot() == bytes);
}

#[test]
fn a_host_reads_back_and_deltas_lead_to_the_same_pools() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let host = generate::host(&mut rng, Size { devices: 20, ..Size::SMALL });
        let mut tracker = tracker(&host);
        let mut fleet = Fleet::new();
        fleet.put("h", tracker.pools(), Some(tracker.version())).expect("a valid host");
        for step in 0..30 {
            let (before, base) = (tracker.pools().clone(), tracker.version());
            match rng.below(3) {
                0 => drop(tracker.free("a", slotwise::FreeScope::All)),
                1 => {
                    let mut devices = host.devices.clone();
                    devices.retain(|device| device.parent_addr.is_none() || rng.chance(80));
                    drop(tracker.sync(devices));
                }
                _ => drop(tracker.claim("a", &generate::workload(&mut rng, Size::SMALL, &host))),
            }
            if tracker.version() == base {
                continue;
            }
            let delta =
                HostDelta::between(base, &before, tracker.version(), tracker.pools()).expect("distinct");
            let text = json::to_string(&delta);
            let delta: HostDelta = json::parse(&text, "delta").expect("its own form");
            let update = fleet.apply("h", &delta).expect("it follows");
            assert_eq!(update.version, tracker.version());
            assert_eq!(
                fleet.pools("h").expect("it is there"),
                counted(tracker.pools()),
                "seed {seed} step {step}"
            );
            let stale = fleet.apply("h", &delta).expect_err("it does not follow any more");
            assert_eq!(stale.kind(), ErrorKind::Conflict);
        }
    }
}

const POOLS: &str = r#"[{"vendor_id": "10de", "product_id": "2330", "numa_node": 0, "count": 4, "tags": {"dev_type": "type-PCI"}},
    {"vendor_id": "15b3", "product_id": "101e", "numa_node": 1, "count": 300, "tags": {"dev_type": "type-VF"}}]"#;

fn workload(count: u32, product: &str) -> Workload {
    let alternative = ExtraInfo::try_from([("product_id", product)]).expect("a short text");
    Workload::new(vec![Request::new(count, alternative).expect("a valid count")])
}

#[test]
fn the_same_content_changes_nothing_and_stale_states_are_refused() {
    let mut fleet = Fleet::new();
    let outcome = |fleet: &mut Fleet, text: &str, version| {
        fleet.put_json("a", text, None, version).map(|update| (update.outcome, update.version))
    };
    assert_eq!(outcome(&mut fleet, POOLS, None), Ok((HostOutcome::Inserted, 1)));
    let sequence = fleet.sequence();
    assert_eq!(outcome(&mut fleet, POOLS, None), Ok((HostOutcome::Unchanged, 1)));
    assert_eq!(outcome(&mut fleet, POOLS, Some(5)), Ok((HostOutcome::Unchanged, 5)));
    // Another text with the same meaning.
    assert_eq!(outcome(&mut fleet, &POOLS.replace("}, ", "},  "), None), Ok((HostOutcome::Unchanged, 5)));
    assert_eq!(fleet.sequence(), sequence);
    let other = POOLS.replace("300", "3");
    let stale = outcome(&mut fleet, &other, Some(4)).expect_err("an older version");
    assert_eq!((stale.kind(), stale.place().path.as_str()), (ErrorKind::Conflict, "version"));
    let same = outcome(&mut fleet, &other, Some(5)).expect_err("another state under the same version");
    assert_eq!(same.kind(), ErrorKind::Conflict);
    assert_eq!(fleet.sequence(), sequence);
    assert_eq!(outcome(&mut fleet, &other, Some(6)), Ok((HostOutcome::Updated, 6)));
    let broken = outcome(&mut fleet, "[{\"count\": 1}]", Some(7)).expect_err("no ids");
    assert_eq!((broken.kind(), broken.place().path.as_str()), (ErrorKind::InvalidPool, "pools[0].vendor_id"));
    assert_eq!(fleet.version("a"), Ok(6));
    assert_eq!(
        fleet.put("", &Pools::default(), None).expect_err("no name").kind(),
        ErrorKind::InvalidArgument
    );
    assert_eq!(fleet.remove("b").expect_err("unknown").kind(), ErrorKind::UnknownHost);
}

#[test]
fn ids_are_given_out_again_and_limits_stop() {
    let mut fleet = Fleet::new();
    for i in 0..200 {
        assert_eq!(fleet.put_json(&name(i), POOLS, None, None).expect("valid").id, i as u32);
    }
    fleet.remove("host-7").expect("it is there");
    fleet.remove("host-3").expect("it is there");
    assert_eq!((fleet.len(), fleet.id_bound(), fleet.name(3)), (198, 200, None));
    let options = FilterOptions { limit: Some(4), ..FilterOptions::default() };
    let answer = fleet.filter(&workload(4, "2330"), &options, &[]).expect("valid");
    assert_eq!((answer.hosts.ids(), answer.asked, answer.fits), (vec![0, 1, 2, 4], 4, 4));
    let options = FilterOptions { among: Some([3, 5, 900].into_iter().collect()), ..options };
    let answer = fleet.filter(&workload(300, "101e"), &options, &[]).expect("valid");
    assert_eq!((answer.hosts.ids(), answer.asked), (vec![5], 1));
    assert_eq!(filter(&fleet, &workload(301, "101e")).len(), 0);
    assert_eq!(fleet.put_json("new", POOLS, None, None).expect("valid").id, 3);
    assert_eq!(fleet.name(3), Some("new"));
    assert_eq!(fleet.version("new"), Ok(1));
}

#[test]
fn candidates_and_cells_of_single_hosts() {
    let mut fleet = Fleet::new();
    let pools = r#"[{"vendor_id": "1", "product_id": "2", "count": 1, "numa_node": 0, "tags": {"rp_uuid": "p0"}},
        {"vendor_id": "1", "product_id": "2", "count": 1, "numa_node": 1, "tags": {"rp_uuid": "p1"}}]"#;
    fleet.put_json("a", pools, None, None).expect("valid");
    fleet.put_json("b", pools, None, None).expect("valid");
    let asked: Workload = json::parse(
        r#"{"requests": [{"request_id": "r", "numa_policy": "required", "alternatives": [{"vendor_id": "1"}]}]}"#,
        "workload",
    )
    .expect("valid");
    let mapping = |provider: &str| BTreeMap::from([("r-0".to_owned(), vec![provider.to_owned()])]);
    let question = |host: &str, cells: Option<Vec<u32>>, mappings: &[&str]| HostQuestion {
        host: host.to_owned(),
        numa_cells: cells,
        mappings: mappings.iter().map(|provider| mapping(provider)).collect(),
    };
    let ask = |hosts: Vec<HostQuestion>| {
        fleet.filter(&asked, &FilterOptions { hosts: Some(hosts), ..FilterOptions::default() }, &[])
    };
    let answer = ask(vec![
        question("b", Some(vec![1]), &["p0", "p1", "gone", "p1"]),
        question("a", Some(vec![0]), &["p1"]),
    ])
    .expect("valid");
    assert_eq!((answer.hosts.ids(), answer.asked, answer.no_fit), (vec![1], 2, 1));
    let candidates: Vec<(u32, &[u32])> =
        answer.candidates.iter().map(|c| (c.host, c.fits.as_slice())).collect();
    assert_eq!(candidates, [(0, &[][..]), (1, &[1, 3][..])]);
    let twice = ask(vec![question("a", None, &[]), question("a", None, &[])]).expect_err("twice");
    assert_eq!((twice.kind(), twice.place().path.as_str()), (ErrorKind::InvalidArgument, "hosts[1].host"));
    let unknown = ask(vec![question("c", None, &[])]).expect_err("unknown");
    assert_eq!((unknown.kind(), unknown.place().path.as_str()), (ErrorKind::UnknownHost, "hosts[0].host"));
}

#[test]
fn reservations_keep_the_last_device_from_being_given_twice() {
    let mut fleet = Fleet::new();
    let pools = r#"[{"vendor_id": "1", "product_id": "pf", "count": 1, "tags": {"dev_type": "type-PF", "address": "0000:01:00.0"}},
        {"vendor_id": "1", "product_id": "vf", "count": 4, "tags": {"dev_type": "type-VF", "address": "0000:01:00.0"}}]"#;
    fleet.put_json("a", pools, None, Some(1)).expect("valid");
    let pf: Workload =
        json::parse(r#"{"requests": [{"alternatives": [{"dev_type": "type-PF"}]}]}"#, "workload")
            .expect("valid");
    let vf = workload(1, "vf");
    assert!(fleet.reserve("first", "a", &vf, 100).expect("valid").fits());
    assert!(!fleet.reserve("second", "a", &pf, 100).expect("valid").fits(), "a VF of the card is reserved");
    assert_eq!(fleet.reserve("first", "a", &vf, 1).expect_err("twice").kind(), ErrorKind::AlreadyExists);
    assert!(fleet.reserve("third", "a", &workload(3, "vf"), 50).expect("valid").fits());
    assert_eq!(fleet.pools("a").expect("there").free(), 0);
    assert_eq!(fleet.expire(49), Vec::<String>::new());
    assert_eq!(fleet.expire(50), ["third"]);
    assert_eq!(fleet.pools("a").expect("there").free(), 3);
    // The claim of the first arrives, and settles its reservation.
    let delta: HostDelta = json::parse(
        r#"{"base": 1, "version": 2, "released": ["first", "unknown"], "pools": [
            {"vendor_id": "1", "product_id": "vf", "count": 3, "tags": {"dev_type": "type-VF", "address": "0000:01:00.0"}},
            {"vendor_id": "1", "product_id": "pf", "count": 0, "tags": {"dev_type": "type-PF", "address": "0000:01:00.0"}}]}"#,
        "delta",
    )
    .expect("valid");
    fleet.apply("a", &delta).expect("it follows");
    assert_eq!(fleet.pools("a").expect("there").free(), 3);
    assert_eq!(fleet.release("first").expect_err("settled").kind(), ErrorKind::UnknownOwner);
    assert_eq!(fleet.reservations().len(), 0);
}

#[test]
fn ranking_by_each_weigher() {
    let mut fleet = Fleet::new();
    let pool = |product: &str, count: u32| {
        format!(
            r#"{{"vendor_id": "1", "product_id": "{product}", "count": {count}, "tags": {{"dev_type": "type-PCI"}}}}"#
        )
    };
    // Host 0 has most, host 1 fits best, host 2 would lose a group of four.
    for (i, counts) in
        [(0, [(8, "gpu"), (9, "nic")]), (1, [(1, "gpu"), (5, "nic")]), (2, [(4, "gpu"), (0, "nic")])]
    {
        let text: Vec<String> = counts.iter().map(|&(count, product)| pool(product, count)).collect();
        fleet.put_json(&name(i), &format!("[{}]", text.join(",")), None, None).expect("valid");
    }
    fleet.declare_demand(vec![Demand { workload: workload(4, "gpu"), weight: 1.0 }]).expect("valid");
    let order = |kind, multiplier| {
        let options = RankOptions { weighers: vec![Weigher { kind, multiplier }], ..RankOptions::default() };
        fleet.rank(&workload(1, "gpu"), &options, &[]).expect("valid")
    };
    let free = order(WeigherKind::FewestFree, 1.0);
    assert_eq!((free.hosts, free.weights), (vec![2, 1, 0], vec![vec![96.0, 94.0, 83.0]]));
    assert_eq!(order(WeigherKind::BestFit, 1.0).hosts, [1, 2, 0]);
    assert_eq!(order(WeigherKind::BestFit, -1.0).hosts, [0, 2, 1]);
    // 8 hold two groups and 7 one; 4 hold one and 3 none; 1 holds none before and after.
    assert_eq!(order(WeigherKind::Fragmentation, 1.0).weights, [[0.0, -1.0, -1.0]]);
    let wrong = RankOptions { policy_multiplier: f64::NAN, ..RankOptions::default() };
    let error = fleet.rank(&workload(1, "gpu"), &wrong, &[]).expect_err("not a number");
    assert_eq!(
        (error.kind(), error.place().path.as_str()),
        (ErrorKind::InvalidArgument, "policy_multiplier")
    );
}

#[test]
fn an_explanation_counts_every_host_once() {
    let mut fleet = Fleet::new();
    for i in 0..40 {
        let text = match i % 4 {
            0 => POOLS.to_owned(),
            1 => POOLS.replace("2330", "26b9"),
            2 => POOLS.replace("\"count\": 4", "\"count\": 1"),
            _ => "[]".to_owned(),
        };
        fleet.put_json(&name(i), &text, None, None).expect("valid");
    }
    let two: Workload = json::parse(
        r#"{"requests": [{"count": 2, "alias_name": "gpu", "alternatives": [{"vendor_id": "10de", "product_id": "2330"}]}]}"#,
        "workload",
    )
    .expect("valid");
    let explanation = fleet.explain(&two, &FilterOptions::default(), &[]).expect("valid");
    assert_eq!(
        explanation.message,
        "40 hosts: 10 fit, 10 lack product_id for request 0 (alias \"gpu\"), 10 lack vendor_id for request 0 (alias \
         \"gpu\"), 10 lack free devices for request 0 (alias \"gpu\")."
    );
    let total: u64 = explanation.reasons.iter().map(|reason| reason.hosts).sum();
    assert_eq!(total + explanation.fits, explanation.asked);
    assert_eq!(explanation.reasons[2].reason, FleetReason::LacksFreeDevices);
    let drops = &explanation.requests[0];
    assert_eq!((drops.free, drops.steps[0].left), (10 * (304 + 304 + 301), 10 * 5));
    let round: slotwise::FleetExplanation =
        json::parse(&json::to_string(&explanation), "explanation").expect("its own form");
    assert_eq!(round, explanation);
}

/// Tries every host for every item.
fn brute_force(fleet: &Fleet, batch: &Batch, places: &mut Vec<u32>) -> bool {
    if places.len() == batch.items.len() {
        let spot = |rule: &AffinityRule, id: u32| match rule.key.as_str() {
            "host" => Some(id.to_string()),
            key => fleet.tags(fleet.name(id)?).ok()?.text(key).map(str::to_owned),
        };
        return batch.rules.iter().all(|rule| {
            let own: Vec<_> = rule.items.iter().map(|&item| spot(rule, places[item])).collect();
            let set: BTreeSet<_> = own.iter().flatten().collect();
            own.iter().all(Option::is_some)
                && match rule.relation {
                    Relation::Same => set.len() <= 1,
                    Relation::Distinct => set.len() == own.len(),
                }
        });
    }
    for id in fleet.hosts().iter() {
        let here = |(item, _): &(usize, &u32)| &batch.items[*item].workload;
        let mut together: Vec<Request> = Vec::new();
        for (item, host) in places.iter().enumerate() {
            if *host == id {
                together.extend(here(&(item, host)).requests.iter().cloned());
            }
        }
        together.extend(batch.items[places.len()].workload.requests.iter().cloned());
        let pools = fleet.pools(fleet.name(id).expect("live")).expect("live");
        if pools.fit(&Workload::new(together)).expect("valid").fits() {
            places.push(id);
            if brute_force(fleet, batch, places) {
                return true;
            }
            places.pop();
        }
    }
    false
}

#[test]
fn a_batch_is_placed_if_it_can_be() {
    let (mut placed, mut refused) = (0, 0);
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut fleet = Fleet::new();
        for i in 0..3 {
            let host = generate::host(&mut rng, Size { devices: 4, ..Size::SMALL });
            fleet.put(&name(i), tracker(&host).pools(), None).expect("valid");
            let rack = *rng.pick(&["x", "y"]);
            if rng.chance(80) {
                fleet
                    .set_tags(&name(i), &ExtraInfo::try_from([("rack", rack)]).expect("short"))
                    .expect("there");
            }
        }
        let host = generate::host(&mut rng, Size { devices: 4, ..Size::SMALL });
        let mut item = |i: usize| {
            let size = Size { requests: 1, count: 2, ..Size::SMALL };
            let mut workload = generate::workload(&mut rng, size, &host);
            workload.numa_cells = None;
            workload.provider_mapping = None;
            BatchItem { owner: format!("vm-{i}"), workload }
        };
        let items: Vec<BatchItem> = (0..3).map(&mut item).collect();
        let mut rules = Vec::new();
        for key in ["host", "rack"] {
            if rng.chance(40) {
                let relation = *rng.pick(&[Relation::Same, Relation::Distinct]);
                let items = if rng.chance(50) { vec![0, 2] } else { vec![0, 1, 2] };
                rules.push(AffinityRule { items, relation, key: key.to_owned(), hosts: Vec::new() });
            }
        }
        let mut batch = Batch { items, rules, ..Batch::default() };
        let answer = fleet.place(&batch, &[]).expect("valid");
        let possible = brute_force(&fleet, &batch, &mut Vec::new());
        assert_eq!(answer.outcome == BatchOutcome::Placed, possible, "seed {seed}: {answer:?} {batch:#?}");
        if possible {
            placed += 1;
            let free =
                |fleet: &Fleet| -> u64 { (0..3).map(|i| fleet.pools(&name(i)).expect("there").free()).sum() };
            let before = free(&fleet);
            fleet.reserve_placed(&batch, &answer, 10).expect("nothing changed since");
            let wanted: u32 = batch.items.iter().flat_map(|i| &i.workload.requests).map(|r| r.count).sum();
            assert!(free(&fleet) + u64::from(wanted) <= before, "what is placed is held");
            assert_eq!(
                fleet.reserve_placed(&batch, &answer, 10).expect_err("held").kind(),
                ErrorKind::Conflict
            );
        } else {
            refused += 1;
            batch.mode = BatchMode::BestEffort;
            let some = fleet.place(&batch, &[]).expect("valid");
            assert_ne!(some.outcome, BatchOutcome::Placed, "seed {seed}");
        }
    }
    assert!(placed > 30 && refused > 30, "{placed} placed, {refused} refused");
}

#[test]
fn altered_snapshots_are_refused_or_sound() {
    let mut rng = Rng::new(3);
    let mut fleet = Fleet::new();
    for i in 0..4 {
        let host = generate::host(&mut rng, Size::SMALL);
        fleet.put(&name(i), tracker(&host).pools(), None).expect("valid");
    }
    fleet.put_json("big", POOLS, None, None).expect("valid");
    fleet.set_tags("big", &ExtraInfo::try_from([("rack", "x")]).expect("short")).expect("there");
    fleet.observe_demand(&workload(1, "2330")).expect("valid");
    assert!(fleet.reserve("o", "big", &workload(2, "101e"), 5).expect("valid").fits());
    fleet.remove("host-1").expect("there");
    let good = fleet.snapshot();
    let read = Fleet::from_snapshot(&good).expect("its own bytes");
    assert!(read.snapshot() == good);
    assert_eq!(read.pools("big"), fleet.pools("big"));
    assert_eq!(Tracker::from_snapshot(&good).expect_err("another kind").kind(), ErrorKind::InvalidSnapshot);
    let mut sound = 0;
    for _ in 0..4000 {
        let mut bytes = good.clone();
        for _ in 0..=rng.below(3) {
            let at = 24 + rng.below(bytes.len() - 24);
            bytes[at] = *rng.pick(&[0, 1, 2, 7, 255, rng.clone().bits() as u8]);
        }
        // The checksum is put right, as someone who forges a snapshot would.
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[..20]);
        hasher.update(&bytes[24..]);
        let checksum = hasher.finalize().to_le_bytes();
        bytes[20..24].copy_from_slice(&checksum);
        if let Ok(mut fleet) = Fleet::from_snapshot(&bytes) {
            sound += 1;
            check(&fleet, &workload(1, "101e"), "forged");
            fleet.expire(u64::MAX);
            let names: Vec<String> = fleet.names(fleet.hosts()).map(str::to_owned).collect();
            for name in names {
                fleet.put(&name, &Pools::default(), None).expect("a sound fleet");
                fleet.remove(&name).expect("a sound fleet");
            }
            assert!(fleet.is_empty());
        }
    }
    assert!(sound > 50, "hardly any forged snapshot is read: {sound}");
}

/// `cargo xtask fleet` runs a million.
#[test]
fn a_long_run_beside_the_model() {
    let counts = slotwise_testkit::fleet::run(5, 6_000, 300, 53, |_| {});
    assert!(
        counts.deltas > 1000 && counts.reserved > 50 && counts.questions > 20 && counts.fits > 100,
        "{counts:?}"
    );
}

/// Placement's providers are not heeded for a request that comes from a port, nor counted by.
#[test]
fn a_port_that_names_providers() {
    let mut fleet = Fleet::new();
    fleet.put_json("a", POOLS, None, None).expect("valid");
    let text = r#"{"strategy": "nova", "requests": [{"source": "neutron_port",
        "alternatives": [{"product_id": "2330", "rp_uuids": "c8f2d3be-2028-0432-b72c-273550cf6d5b"}]}]}"#;
    let asked: Workload = json::parse(text, "workload").expect("valid");
    assert!(fleet.fit("a", &asked).expect("valid").fits());
    assert_eq!(filter(&fleet, &asked).len(), 1);
    let mut exact = asked;
    exact.strategy = Strategy::Exact;
    assert_eq!(check(&fleet, &exact, "exact"), 1);
}

/// A question that few hosts can serve is kept as a list of these, which others join and leave.
#[test]
fn few_hosts_among_many_come_and_go() {
    let mut rng = Rng::new(11);
    let mut fleet = Fleet::new();
    let pools = |rare: u32| {
        let rare = if rare > 0 {
            format!(r#"{{"product_id": "rare", "vendor_id": "10ee", "count": {rare}}},"#)
        } else {
            String::new()
        };
        format!(r#"[{rare}{{"product_id": "nic", "vendor_id": "15b3", "count": 4}}]"#)
    };
    for i in 0..2000 {
        fleet.put_json(&name(i), &pools(u32::from(i % 150 == 7)), None, None).expect("valid");
    }
    let both = |count| {
        let mut both = workload(count, "rare");
        both.requests.extend(workload(2, "nic").requests);
        both
    };
    for step in 0..300 {
        if step % 3 > 0 {
            let (host, rare) = (rng.below(2000), rng.below(4) as u32);
            fleet.put_json(&name(host), &pools(rare), None, None).expect("valid");
        }
        let some = both(1 + rng.below(3) as u32);
        // A copy has nothing to repair.
        assert_eq!(filter(&fleet, &some), filter(&fleet.clone(), &some), "step {step}");
        if step % 40 == 0 {
            check(&fleet, &some, "few");
        }
    }
    assert!(filter(&fleet, &both(1)).len() > 60);
}

#[test]
fn a_fleet_is_shared_by_threads_and_hostile_ids_are_refused() {
    fn shared<T: Send + Sync>(_: &T) {}
    let mut fleet = Fleet::new();
    fleet.put_json("a", POOLS, None, None).expect("valid");
    shared(&fleet);
    std::thread::scope(|scope| {
        for count in 1..5 {
            let fleet = &fleet;
            scope.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(filter(fleet, &workload(count, "2330")).len(), 1);
                }
            });
        }
    });
    let far = json::parse::<HostSet>("[3, 4294967295]", "hosts").expect_err("no such host");
    assert_eq!(far.kind(), ErrorKind::InvalidArgument);
}

/// Refuses every other host and scores it by its number, and abstains where it is asked about a host from `bound` on.
struct Abstains {
    bound: usize,
}

impl Policy for Abstains {
    fn name(&self) -> &str {
        "abstains"
    }

    fn scope(&self) -> Scope {
        Scope { filter: true, score: true, names: true, ..Scope::NOTHING }
    }

    fn filter(&self, _: &Query<'_>, hosts: &HostTable) -> slotwise::Result<Option<Verdicts>> {
        let numbers = numbers(hosts);
        if numbers.iter().any(|&number| number >= self.bound) {
            return Ok(None);
        }
        let mut verdicts = Verdicts::all_pass(hosts.len());
        for (host, number) in numbers.into_iter().enumerate().filter(|(_, number)| number % 2 == 1) {
            verdicts.refuse(host, &format!("odd, as {}", number % 10));
        }
        Ok(Some(verdicts))
    }

    fn score(&self, _: &Query<'_>, hosts: &HostTable) -> slotwise::Result<Option<Vec<f64>>> {
        let numbers = numbers(hosts);
        let asked = numbers.iter().all(|&number| number < self.bound);
        Ok(asked.then(|| numbers.into_iter().map(|number| -(number as f64)).collect()))
    }
}

/// The numbers in the names of hosts.
fn numbers(hosts: &HostTable) -> Vec<usize> {
    let number = |name: &str| name.trim_start_matches("host-").parse().expect("a number");
    (0..hosts.len()).map(|host| number(hosts.names().get(host).expect("a name"))).collect()
}

#[test]
fn a_policy_that_abstains_from_some_hosts_judges_none() {
    const HOSTS: usize = 9_000;
    let mut fleet = Fleet::new();
    let lines: String = (0..HOSTS)
        .map(|i| {
            format!(
                "{{\"host\": \"{}\", \"pools\": [{{\"vendor_id\": \"15b3\", \"product_id\": \"101e\", \"count\": 1}}]}}\n",
                name(i)
            )
        })
        .collect();
    fleet.load(&lines).expect("hosts");
    let workload: Workload =
        json::parse(r#"{"requests": [{"count": 1, "alternatives": [{"vendor_id": "15b3"}]}]}"#, "workload")
            .expect("a workload");
    let (always, never, at_last) =
        (Abstains { bound: HOSTS }, Abstains { bound: 0 }, Abstains { bound: HOSTS - 1 });
    let filter = |policies: &[&dyn Policy], limit| {
        let options = FilterOptions { limit, ..FilterOptions::default() };
        fleet.filter(&workload, &options, policies).expect("an answer")
    };
    let (all, even) = (filter(&[], None), filter(&[&always], None));
    assert_eq!((even.fits, even.refused.len()), (HOSTS as u64 / 2, 5));
    for policies in [&[&never as &dyn Policy][..], &[&at_last], &[&at_last, &never, &at_last]] {
        assert_eq!(filter(policies, None), all, "nothing is refused, nor said to be");
    }
    for policies in [&[&at_last as &dyn Policy, &always][..], &[&always, &at_last, &never]] {
        assert_eq!(filter(policies, None), even, "the others are heard");
    }
    // Who is not asked about the hosts that it would abstain from is heard.
    let few = filter(&[&at_last], Some(10));
    assert_eq!(few.hosts.ids(), (0..20).step_by(2).collect::<Vec<u32>>());
    assert_eq!((few.asked, few.fits), (19, 10));

    let rank = |policies: &[&dyn Policy]| {
        let options = RankOptions { limit: Some(3), ..RankOptions::default() };
        fleet.rank(&workload, &options, policies).expect("a ranking")
    };
    let ranked = rank(&[&always]);
    assert_eq!((ranked.hosts, ranked.weights), (vec![0, 2, 4], vec![vec![0.0, -2.0, -4.0]]));
    let ranked = rank(&[&at_last]);
    assert_eq!((ranked.hosts, ranked.weights), (vec![0, 1, 2], vec![vec![0.0; 3]]));

    // Of many reasons the sentence tells the most frequent.
    struct Each;
    impl Policy for Each {
        fn name(&self) -> &str {
            "each"
        }
        fn scope(&self) -> Scope {
            Scope { filter: true, names: true, ..Scope::NOTHING }
        }
        fn filter(&self, _: &Query<'_>, hosts: &HostTable) -> slotwise::Result<Option<Verdicts>> {
            let mut verdicts = Verdicts::all_pass(hosts.len());
            for (host, number) in numbers(hosts).into_iter().enumerate() {
                verdicts.refuse(host, &format!("it is number {}", number.max(100)));
            }
            Ok(Some(verdicts))
        }
    }
    let explained = fleet.explain(&workload, &FilterOptions::default(), &[&Each]).expect("an explanation");
    assert_eq!(explained.reasons.len(), HOSTS - 100);
    assert!(
        explained.message.starts_with("9,000 hosts: 0 fit, 101 are refused by policy each: it is number 100"),
        "{}",
        explained.message
    );
    assert!(
        explained.message.ends_with(", and 8,884 hosts for 8,884 less frequent reasons."),
        "{}",
        explained.message
    );
}

#[test]
fn a_batch_heeds_that_a_policy_tells_hosts_apart_that_look_alike() {
    /// Refuses the second host for whoever wants two devices.
    struct SmallOnly;
    impl Policy for SmallOnly {
        fn name(&self) -> &str {
            "small-only"
        }
        fn scope(&self) -> Scope {
            Scope { filter: true, names: true, requests: true, ..Scope::NOTHING }
        }
        fn filter(&self, query: &Query<'_>, hosts: &HostTable) -> slotwise::Result<Option<Verdicts>> {
            let mut verdicts = Verdicts::all_pass(hosts.len());
            let second = numbers(hosts).iter().position(|&number| number == 1);
            if let Some(host) = second.filter(|_| query.workload.requests[0].count == 2) {
                verdicts.refuse(host, "it is for small ones");
            }
            Ok(Some(verdicts))
        }
    }
    let mut fleet = Fleet::new();
    for i in 0..2 {
        fleet
            .put_json(
                &name(i),
                r#"[{"vendor_id": "10de", "product_id": "2330", "numa_node": null, "count": 2}]"#,
                None,
                None,
            )
            .expect("valid");
    }
    let item = |owner: &str, count| BatchItem { owner: owner.to_owned(), workload: workload(count, "2330") };
    for items in [[item("a", 1), item("b", 2)], [item("b", 2), item("a", 1)]] {
        let batch = Batch { items: items.to_vec(), ..Batch::default() };
        let placed = fleet.place(&batch, &[&SmallOnly]).expect("a valid batch");
        assert_eq!(placed.outcome, BatchOutcome::Placed);
        for (item, place) in batch.items.iter().zip(placed.items) {
            assert_eq!(place.map(|place| place.host), Some(u32::from(item.owner == "a")), "{}", item.owner);
        }
    }
}

#[test]
fn an_answer_that_is_not_to_the_batch_is_not_reserved() {
    let mut fleet = Fleet::new();
    let pools = r#"[{"vendor_id": "10de", "product_id": "2330", "numa_node": null, "count": 8}]"#;
    for i in 0..2 {
        fleet.put_json(&name(i), pools, None, None).expect("valid");
        let rack = ExtraInfo::try_from([("rack", name(i).as_str())]).expect("a tag");
        fleet.set_tags(&name(i), &rack).expect("a known host");
    }
    let item = |owner: &str| BatchItem { owner: owner.to_owned(), workload: workload(2, "2330") };
    let rule = AffinityRule {
        items: vec![0, 1],
        relation: Relation::Distinct,
        key: "rack".to_owned(),
        hosts: vec![],
    };
    let batch = Batch { items: vec![item("a"), item("b")], rules: vec![rule], ..Batch::default() };
    let placed = fleet.place(&batch, &[]).expect("a valid batch");
    assert_eq!(placed.outcome, BatchOutcome::Placed);
    let before = fleet.snapshot();

    let twice = Batch { items: vec![item("a"), item("a")], ..batch.clone() };
    let mut more = placed.clone();
    more.items[0].as_mut().expect("a place").assignment.requests[0].picks[0].count = 3;
    let mut elsewhere = placed.clone();
    elsewhere.items[0].as_mut().expect("a place").host = placed.items[1].as_ref().expect("a place").host;
    let mut another = batch.clone();
    another.items[1].workload = workload(2, "1528");
    for (batch, placed, kind, place) in [
        (&twice, &placed, ErrorKind::InvalidArgument, "batch.items[1].owner"),
        (&batch, &more, ErrorKind::InvalidArgument, "placed.items[0]"),
        (&another, &placed, ErrorKind::InvalidArgument, "placed.items[1]"),
        (&batch, &elsewhere, ErrorKind::Conflict, "placed.items[1]"),
    ] {
        let error = fleet.reserve_placed(batch, placed, 1).expect_err("not an answer to this batch");
        assert_eq!((error.kind(), error.place().path.as_str()), (kind, place), "{error}");
        assert_eq!(fleet.snapshot(), before);
    }
    // A tag that changed since.
    let rack = ExtraInfo::try_from([("rack", "one")]).expect("a tag");
    for i in 0..2 {
        fleet.set_tags(&name(i), &rack).expect("a known host");
    }
    let error = fleet.reserve_placed(&batch, &placed, 1).expect_err("both are in one rack");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(fleet.reservations().len(), 0);
}

#[test]
fn what_a_fleet_was_given_can_be_restored() {
    let mut fleet = Fleet::new();
    // Pools in an order of the caller's own, as Nova may have them.
    let pool = |text: &str| json::parse::<slotwise::Pool>(text, "pool").expect("a pool");
    let pools = vec![
        pool(r#"{"vendor_id": "1", "product_id": "2", "numa_node": null, "count": 1, "rack": "r"}"#),
        pool(r#"{"vendor_id": "1", "product_id": "3", "numa_node": null, "count": 1}"#),
    ];
    fleet.put("a", &Pools::in_order(pools, None), None).expect("valid");
    // Strategy nova takes a request whose stored providers are fewer than its devices.
    let text = r#"{"strategy": "nova", "requests": [{"count": 2, "alternatives": [{"vendor_id": "1", "rp_uuids": "a"}]}]}"#;
    fleet.observe_demand(&json::parse(text, "workload").expect("a workload")).expect("valid");
    let restored = Fleet::from_snapshot(&fleet.snapshot()).expect("its own snapshot");
    assert_eq!(restored.snapshot(), fleet.snapshot());
    assert_eq!(restored.pools("a").expect("known"), fleet.pools("a").expect("known"));
}
