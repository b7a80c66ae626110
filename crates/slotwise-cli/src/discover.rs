//! `slotwise discover`: the PCI functions of the machine.

use std::collections::{BTreeMap, BTreeSet};

use slotwise::{Device, DeviceType};

use crate::answer::Answer;
use crate::args::Discover;
use crate::exit::Exit;
use crate::failure::Result;
use crate::text::{Layout, counted, table};
use crate::{class, input, machine};

/// Runs the command.
pub(crate) fn run(args: &Discover) -> Result<Answer> {
    let config = args.config.as_deref().map(input::config).transpose()?;
    let found = machine::discover(&args.sysfs)?;
    machine::warn(&found.warnings);
    let exit = if args.strict && !found.warnings.is_empty() { Exit::No } else { Exit::Yes };
    if args.output.json {
        return Answer::json(exit, &found.devices);
    }
    let specs = config.map(|config| config.device_specs.pin(&found.devices)).transpose()?;
    let rows: Vec<_> = found
        .devices
        .iter()
        .map(|device| {
            let rule =
                specs.as_ref().and_then(|specs| specs.matching(device)).map(|(rule, _)| rule.to_string());
            row(device).into_iter().chain([rule]).collect()
        })
        .collect();
    let columns = [
        ("ADDRESS", Layout::Whole),
        ("ID", Layout::Whole),
        ("CLASS", Layout::Whole),
        ("TYPE", Layout::Whole),
        ("NUMA", Layout::Number),
        ("PARENT", Layout::Whole),
        ("IOMMU", Layout::Number),
        ("DRIVER", Layout::Flow),
        ("NETDEVS", Layout::Flow),
        ("RULE", Layout::Number),
    ];
    let summary = summary(&found.devices);
    match rows.is_empty() {
        true => Answer::text(exit, summary),
        false => Answer::text(exit, format!("{}\n{summary}", table(&columns, &rows))),
    }
}

fn row(device: &Device) -> Vec<Option<String>> {
    let info = |key| device.extra_info.text(key).map(str::to_owned);
    let netdevs = device.netdevs();
    vec![
        Some(device.address.to_string()),
        Some(format!("{}:{}", device.vendor_id, device.product_id)),
        device.class.as_deref().map(|code| class::word(code).to_owned()),
        Some(type_word(device.dev_type).to_owned()),
        device.numa_node.map(|node| node.to_string()),
        device.parent_addr.map(|parent| parent.to_string()),
        info("iommu_group"),
        info("driver"),
        (!netdevs.is_empty()).then(|| netdevs.join(" ")),
    ]
}

/// `82 functions: 78 PCI, 2 PF, 2 VF; 2 NUMA nodes`.
fn summary(devices: &[Device]) -> String {
    let mut types: BTreeMap<DeviceType, usize> = BTreeMap::new();
    for device in devices {
        *types.entry(device.dev_type).or_default() += 1;
    }
    let types: Vec<_> =
        types.iter().map(|(dev_type, count)| format!("{count} {}", type_word(*dev_type))).collect();
    let nodes: BTreeSet<_> = devices.iter().filter_map(|device| device.numa_node).collect();
    let mut out = counted(devices.len(), "function");
    if !types.is_empty() {
        out += &format!(": {}", types.join(", "));
    }
    out += &match nodes.len() {
        0 => "; NUMA nodes unknown\n".into(),
        count => format!("; {}\n", counted(count, "NUMA node")),
    };
    out
}

/// The type without Nova's prefix, which every row would repeat.
pub(crate) const fn type_word(dev_type: DeviceType) -> &'static str {
    match dev_type {
        DeviceType::Pci => "PCI",
        DeviceType::Pf => "PF",
        DeviceType::Vf => "VF",
        DeviceType::Vdpa => "vDPA",
    }
}
