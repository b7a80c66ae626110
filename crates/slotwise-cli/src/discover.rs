//! `slotwise discover`: the PCI functions of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use slotwise::{Device, DeviceType, Error, ErrorKind};
use slotwise_sysfs::{Attributes, Discovery, Facts, FactsFormat, FunctionChange, PciNames};

use crate::answer::Answer;
use crate::args::{Discover, Format};
use crate::exit::Exit;
use crate::failure::{Failure, Result, Source};
use crate::text::{Layout, counted, pairs, plain, table};
use crate::{class, discover_tree, input, machine};

/// Runs the command.
pub(crate) fn run(args: &Discover) -> Result<Answer> {
    let format = args.format();
    check_form(args, format)?;
    let config = args.config.as_deref().map(input::config).transpose()?;
    let extras = Extras::read(args)?;
    let sysfs = machine::sysfs(&args.sysfs).attributes(args.attributes());
    if args.watch {
        return watch(&sysfs, &extras, format);
    }
    let found = sysfs.discover().map_err(Error::from)?;
    machine::warn(&found.warnings.iter().map(ToString::to_string).collect::<Vec<_>>());
    let exit = if args.strict && !found.warnings.is_empty() { Exit::No } else { Exit::Yes };
    if format == Format::Tree {
        return Answer::text(exit, discover_tree::tree(&found.functions) + &summary(&found.devices()));
    }
    let mut devices = found.devices();
    extras.add(&mut devices)?;
    match format {
        Format::Json => return Answer::json(exit, &devices),
        Format::Nova => return Answer::json(exit, &nova(&found, &devices)),
        Format::Table | Format::Tree => {}
    }
    let specs = config.map(|config| config.device_specs.pin(&devices)).transpose()?;
    let rows: Vec<_> = devices
        .iter()
        .map(|device| {
            let rule =
                specs.as_ref().and_then(|specs| specs.matching(device)).map(|(rule, _)| rule.to_string());
            row(device)
                .into_iter()
                .chain([rule, extras.attributes_of(device), name(device), extras.facts_of(device)])
                .collect()
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
        ("ATTRIBUTES", Layout::Flow),
        ("NAME", Layout::Flow),
        ("FACTS", Layout::Flow),
    ];
    let summary = summary(&devices);
    match rows.is_empty() {
        true => Answer::text(exit, summary),
        false => Answer::text(exit, format!("{}\n{summary}", table(&columns, &rows))),
    }
}

/// Whether what is asked for can be shown in that form, by whichever option it is chosen.
fn check_form(args: &Discover, format: Format) -> Result<()> {
    let refuse = |message: &str, help: &str| Err(Failure::new(ErrorKind::InvalidArgument, message, help));
    if args.watch && !matches!(format, Format::Table | Format::Json) {
        return refuse("there is no such form of a change", "use --watch with --json, or by itself");
    }
    let beyond = [
        ("rules", args.config.is_some()),
        ("facts", !args.facts.is_empty()),
        ("names", args.names.is_some()),
    ];
    if let Some((what, _)) = beyond.iter().find(|(_, is_asked)| format == Format::Tree && *is_asked) {
        return refuse(&format!("the tree shows no {what}"), "ask for the table, or for --json");
    }
    Ok(())
}

/// Prints what is there, then each change, until nobody reads any more.
fn watch(sysfs: &slotwise_sysfs::Sysfs, extras: &Extras, format: Format) -> Result<Answer> {
    let mut watch = sysfs.watch().map_err(Error::from)?;
    let mut warnings = Vec::new();
    // Where the kernel sends no events, the entries of the bus are compared this often.
    let interval = Duration::from_secs(if watch.has_events() { 3600 } else { 1 });
    let mut changes: Vec<FunctionChange> =
        watch.discovery().functions.iter().map(|f| FunctionChange::Added(Box::new(f.clone()))).collect();
    let mut overflows = 0;
    loop {
        let now = &watch.discovery().warnings;
        let new: Vec<_> = now.iter().filter(|warning| !warnings.contains(*warning)).collect();
        machine::warn(&new.iter().map(ToString::to_string).collect::<Vec<_>>());
        warnings.clone_from(now);
        let mut out = String::new();
        for change in &changes {
            out += &shown(change, extras, format)?;
        }
        let mut stdout = anstream::stdout().lock();
        match stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return Answer::text(Exit::Yes, String::new());
            }
            Err(error) => {
                let message = format!("cannot write to standard output: {error}");
                return Err(Failure::new(ErrorKind::Internal, message, "write to where there is room"));
            }
            Ok(()) => {}
        }
        changes = watch.wait(interval).map_err(Error::from)?;
        if watch.overflows() > overflows {
            overflows = watch.overflows();
            machine::warn(&["events were lost; everything was read again".to_owned()]);
        }
    }
}

/// One change as a line.
fn shown(change: &FunctionChange, extras: &Extras, format: Format) -> Result<String> {
    let (word, sign, address, function) = match change {
        FunctionChange::Added(function) => ("added", '+', function.address, Some(function)),
        FunctionChange::Changed(function) => ("changed", '~', function.address, Some(function)),
        FunctionChange::Removed(address) => ("removed", '-', *address, None),
        // A kind of change that this command does not know yet has nothing to show.
        _ => return Ok(String::new()),
    };
    let mut devices: Vec<Device> = function.iter().map(|function| Device::from(&***function)).collect();
    extras.add(&mut devices)?;
    let device = devices.first();
    if format == Format::Json {
        let mut document = serde_json::json!({"change": word, "address": address.to_string()});
        if let Some(device) = device {
            document["device"] = serde_json::from_str(&slotwise::json::to_string(device)).unwrap_or_default();
        }
        return Ok(format!("{document}\n"));
    }
    let Some(device) = device else { return Ok(format!("{sign} {address}\n")) };
    let more = [extras.attributes_of(device), name(device), extras.facts_of(device)];
    let words = row(device).into_iter().chain(more).flatten();
    Ok(format!("{sign} {}\n", words.map(|word| plain(&word).into_owned()).collect::<Vec<_>>().join("  ")))
}

/// What is known beside what the machine says.
struct Extras {
    names: Option<PciNames>,
    /// Each file of facts for itself, so that an error shows the line it is about.
    facts: Vec<(Source, Facts)>,
    /// The names of all facts.
    keys: BTreeSet<String>,
    /// The attributes that are not read by default, and which no other column shows.
    attributes: Attributes,
}

impl Extras {
    fn read(args: &Discover) -> Result<Self> {
        let names = match &args.names {
            None => None,
            Some(Some(path)) => Some(PciNames::parse(&input::text(path)?.text)),
            Some(None) => match PciNames::system() {
                Some(names) => Some(names),
                None => {
                    machine::warn(&[format!("no names: none of {} can be read", PciNames::PATHS.join(", "))]);
                    None
                }
            },
        };
        let attributes = args.attributes() - Attributes::default();
        let mut extras = Extras { names, facts: Vec::new(), keys: BTreeSet::new(), attributes };
        for path in &args.facts {
            let format = FactsFormat::of(path).ok_or_else(|| {
                let message = format!("{} is named neither .toml nor .json nor .csv", path.display());
                Failure::new(ErrorKind::InvalidArgument, message, "give the file the extension of its format")
            })?;
            let source = input::text(path)?;
            let facts = Facts::parse(&source.name, &source.text, format)
                .map_err(|error| Failure::within(error, &source))?;
            extras.keys.extend(facts.keys().map(str::to_owned));
            extras.facts.push((source, facts));
        }
        Ok(extras)
    }

    /// Puts names and facts into the extra info of the devices.
    fn add(&self, devices: &mut [Device]) -> Result<()> {
        let mut all = Facts::default();
        for (_, facts) in &self.facts {
            all.extend(facts.clone());
        }
        all.apply(devices).map_err(|error| {
            let of = |source: &&(Source, Facts)| error.place().path.starts_with(&source.0.name);
            match self.facts.iter().find(of) {
                Some((source, _)) => Failure::within(error, source),
                None => error.into(),
            }
        })?;
        if let Some(names) = &self.names {
            devices.iter_mut().try_for_each(|device| names.annotate(device))?;
        }
        Ok(())
    }

    /// The attributes of one device that were asked for by name, for people.
    fn attributes_of(&self, device: &Device) -> Option<String> {
        let is_shown =
            |key: &str| Attributes::named(key).is_some_and(|named| self.attributes.contains(named));
        pairs(device.extra_info.iter().filter(|(key, _)| is_shown(key)))
    }

    /// The facts of one device, for people.
    fn facts_of(&self, device: &Device) -> Option<String> {
        pairs(device.extra_info.iter().filter(|(key, _)| self.keys.contains(*key)))
    }
}

/// Nova's documents, with what the extras added to the devices as keys of their own; Nova keeps these as extra info.
fn nova(found: &Discovery, devices: &[Device]) -> Vec<serde_json::Map<String, Value>> {
    let mut documents = found.nova_devices();
    for ((document, device), function) in documents.iter_mut().zip(devices).zip(&found.functions) {
        let own = function.extra_info();
        for (key, text) in device.extra_info.iter().filter(|(key, _)| own.get(key).is_none()) {
            document.entry(key).or_insert_with(|| text.into());
        }
    }
    documents
}

/// Vendor and product, as far as their names are known.
fn name(device: &Device) -> Option<String> {
    let names: Vec<_> =
        ["vendor_name", "product_name"].iter().filter_map(|key| device.extra_info.text(key)).collect();
    (!names.is_empty()).then(|| names.join(" "))
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
