//! `slotwise discover --tree`: where the functions are in the machine, the VFs of one kind as one line.

use std::collections::{BTreeMap, BTreeSet};

use slotwise::{DeviceType, PciAddress};
use slotwise_sysfs::{Attributes, Function};

use crate::class;
use crate::text::{counted, plain, ranges};

/// What the tree shows beyond what every function has.
pub(crate) const ATTRIBUTES: Attributes = Attributes::DRIVER
    .union(Attributes::MAX_LINK_SPEED)
    .union(Attributes::NETDEVS)
    .union(Attributes::PCIE_ROOT)
    .union(Attributes::PCI_PATH)
    .union(Attributes::SRIOV_TOTALVFS);

/// The tree of the functions, which are ordered by address.
pub(crate) fn tree(functions: &[Function]) -> String {
    let mut tree = Tree { children: BTreeMap::new(), vfs: BTreeMap::new() };
    let mut roots: BTreeMap<&str, Vec<&Function>> = BTreeMap::new();
    let listed: BTreeSet<PciAddress> = functions.iter().map(|function| function.address).collect();
    let is_listed = |address: &PciAddress| listed.contains(address);
    for function in functions {
        // VFs stand with their PF, wherever the kernel has put them; what has no place below another is at the root.
        if let Some(pf) = function.parent_addr.filter(is_listed) {
            tree.vfs.entry(pf).or_default().push(function);
        } else if let Some(bridge) = function.pci_path.last().filter(|bridge| is_listed(bridge)) {
            tree.children.entry(*bridge).or_default().push(function);
        } else {
            roots
                .entry(function.pcie_root.as_deref().unwrap_or("(host bridge unknown)"))
                .or_default()
                .push(function);
        }
    }
    let mut out = String::new();
    for (root, functions) in roots {
        out += &format!("{}\n", plain(root));
        tree.level(&functions, "", 0, &mut out);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

struct Tree<'a> {
    /// What is directly behind each bridge.
    children: BTreeMap<PciAddress, Vec<&'a Function>>,
    /// The VFs of each PF.
    vfs: BTreeMap<PciAddress, Vec<&'a Function>>,
}

impl Tree<'_> {
    fn level(&self, functions: &[&Function], indent: &str, depth: usize, out: &mut String) {
        for (i, function) in functions.iter().enumerate() {
            let is_last = i + 1 == functions.len();
            let children = self.children.get(&function.address).map_or(&[][..], Vec::as_slice);
            let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            *out += &format!("{indent}{branch}{}\n", line(function, depth, children));
            let indent = format!("{indent}{below}");
            for vfs in self.vf_lines(function) {
                let bar = if children.is_empty() { "   " } else { "│  " };
                *out += &format!("{indent}{bar}{vfs}\n");
            }
            self.level(children, &indent, depth + 1, out);
        }
    }

    /// The VFs of a PF: how many, and a line for each kind of them with the ranges of its addresses.
    fn vf_lines(&self, pf: &Function) -> Vec<String> {
        let Some(vfs) = self.vfs.get(&pf.address) else { return Vec::new() };
        let mut kinds: BTreeMap<(String, &str), Vec<PciAddress>> = BTreeMap::new();
        for vf in vfs {
            let mut words = vec![format!("{:04x}:{:04x}", vf.vendor_id, vf.product_id)];
            // A VF is on the node of its PF, or something is odd enough to be shown.
            if vf.numa_node != pf.numa_node {
                words.extend(vf.numa_node.map(|node| format!("NUMA {node}")));
            }
            words.push(
                vf.driver.as_deref().map_or_else(|| "no driver".into(), |name| plain(name).into_owned()),
            );
            let noun = if vf.dev_type == DeviceType::Vdpa { "vDPA VF" } else { "VF" };
            kinds.entry((words.join("  "), noun)).or_default().push(vf.address);
        }
        let kinds = kinds.iter().map(|((words, noun), addresses)| {
            format!("{}  {words}  {}", counted(addresses.len(), noun), ranges(addresses).unwrap_or_default())
        });
        kinds.collect()
    }
}

/// One function in words.
fn line(function: &Function, depth: usize, children: &[&Function]) -> String {
    let class = function.class.map(|class| format!("{class:06x}"));
    let class = class.as_deref().map_or("unknown", class::word);
    let mut words =
        vec![function.address.to_string(), kind(function, depth, children).unwrap_or(class).to_owned()];
    words.push(format!("{:04x}:{:04x}", function.vendor_id, function.product_id));
    words.extend(function.numa_node.map(|node| format!("NUMA {node}")));
    words.extend(function.driver.as_deref().map(|name| plain(name).into_owned()));
    words.extend((!function.netdevs.is_empty()).then(|| plain(&function.netdevs.join(" ")).into_owned()));
    if function.dev_type == DeviceType::Pf {
        words.push(match function.sriov_totalvfs {
            Some(total) => format!("PF of up to {}", counted(usize::from(total), "VF")),
            None => "PF".to_owned(),
        });
    }
    words.join("  ")
}

/// What a bridge is. The kernel does not say it in words: only a PCIe function has a link, one at a host bridge is a
/// root port, and a switch has ports behind its first.
fn kind(function: &Function, depth: usize, children: &[&Function]) -> Option<&'static str> {
    let is_bridge = |function: &Function| function.class.is_some_and(|class| class >> 8 == 0x0604);
    let is_pcie = function.max_link_speed.is_some() || function.driver.as_deref() == Some("pcieport");
    if !is_bridge(function) || !is_pcie {
        return None;
    }
    Some(match depth {
        0 => "root port",
        _ if !children.is_empty() && children.iter().all(|child| is_bridge(child)) => "switch",
        _ => "switch port",
    })
}
