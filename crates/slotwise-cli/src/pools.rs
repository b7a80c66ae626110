//! `slotwise pools`: the assignable devices as a scheduler sees them.

use slotwise::{Group, PciAddress, Pool};

use crate::answer::Answer;
use crate::args::PoolsArgs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::text::{Layout, counted, pairs, ranges, table};
use crate::{discover, input, machine};

/// What the pools' own columns show; the other attributes are tags.
const COLUMNS: &[&str] = &["vendor_id", "product_id", "dev_type", "address"];

/// Runs the command.
pub(crate) fn run(args: &PoolsArgs) -> Result<Answer> {
    let config = input::config(&args.rules.config)?;
    let tracker = machine::tracker(&config, &args.machine)?;
    if args.by.is_empty() {
        let pools = tracker.pools().as_slice();
        return match args.output.json {
            true => Answer::json(Exit::Yes, pools),
            false => Answer::text(Exit::Yes, pools_text(pools)),
        };
    }
    let groups = tracker.group_by(&args.by);
    match args.output.json {
        true => Answer::json(Exit::Yes, &groups),
        false => Answer::text(Exit::Yes, groups_text(&args.by, &groups)),
    }
}

fn pools_text(pools: &[Pool]) -> String {
    let free: usize = pools.iter().map(|pool| pool.count as usize).sum();
    let summary = format!("{} in {}\n", counted(free, "free device"), counted(pools.len(), "pool"));
    if pools.is_empty() {
        return summary
            + "No device of this machine is assignable; \"slotwise check\" shows what the rules match.\n";
    }
    let columns = [
        ("FREE", Layout::Number),
        ("ID", Layout::Whole),
        ("TYPE", Layout::Whole),
        ("NUMA", Layout::Number),
        ("CARD", Layout::Whole),
        ("TAGS", Layout::Flow),
        ("DEVICES", Layout::Flow),
    ];
    let rows: Vec<_> = pools.iter().map(pool_row).collect();
    format!("{}\n{summary}", table(&columns, &rows))
}

fn pool_row(pool: &Pool) -> Vec<Option<String>> {
    let id = |key| pool.attributes.text(key).unwrap_or("?");
    let provider = pool.provider.as_deref().map(|uuid| ("rp_uuid", Some(uuid)));
    let tags = pool.attributes.iter().filter(|(key, _)| !COLUMNS.contains(key)).chain(provider);
    let card = pool.attributes.text("address");
    // A pool of the card's own function would only repeat its address.
    let own = matches!(&pool.devices[..], [device] if Some(device.to_string().as_str()) == card);
    vec![
        Some(pool.count.to_string()),
        Some(format!("{}:{}", id("vendor_id"), id("product_id"))),
        pool.dev_type().map(|dev_type| discover::type_word(dev_type).to_owned()),
        pool.numa_node.map(|node| node.to_string()),
        card.map(str::to_owned),
        pairs(tags),
        if own { None } else { ranges(&pool.devices) },
    ]
}

fn groups_text(keys: &[String], groups: &[Group]) -> String {
    if groups.is_empty() {
        return "No device of this machine is assignable; \"slotwise check\" shows what the rules match.\n"
            .into();
    }
    // Values such as addresses and network names are short; a long one still has to fit the terminal.
    let titles: Vec<String> = keys.iter().map(|key| key.to_uppercase()).collect();
    let mut columns: Vec<_> = titles.iter().map(|title| (title.as_str(), Layout::Flow)).collect();
    columns.extend([("TOTAL", Layout::Number), ("FREE", Layout::Number), ("DEVICES", Layout::Flow)]);
    let rows: Vec<_> = groups
        .iter()
        .map(|group| {
            let values = keys.iter().map(|key| group.values.get(key).cloned().flatten().or(Some("-".into())));
            let counts = [Some(group.total.to_string()), Some(group.free.to_string())];
            values.chain(counts).chain([ranges(&group.devices)]).collect()
        })
        .collect();
    let devices: Vec<PciAddress> = groups.iter().flat_map(|group| group.devices.iter().copied()).collect();
    format!(
        "{}\n{} in {}\n",
        table(&columns, &rows),
        counted(devices.len(), "device"),
        counted(groups.len(), "group")
    )
}
