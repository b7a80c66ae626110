//! PCI class codes in words. Source: the PCI Code and ID Assignment Specification.

/// Base class, sub-class, the sub-class's word.
const SUBCLASSES: &[(u8, u8, &str)] = &[
    (0x01, 0x00, "scsi"),
    (0x01, 0x04, "raid"),
    (0x01, 0x06, "sata"),
    (0x01, 0x07, "sas"),
    (0x01, 0x08, "nvme"),
    (0x02, 0x00, "ethernet"),
    (0x02, 0x07, "infiniband"),
    (0x02, 0x08, "fabric"),
    (0x03, 0x00, "vga"),
    (0x03, 0x02, "3d"),
    (0x04, 0x00, "video"),
    (0x04, 0x01, "audio"),
    (0x04, 0x03, "audio"),
    (0x05, 0x00, "ram"),
    (0x05, 0x01, "flash"),
    (0x05, 0x02, "cxl"),
    (0x06, 0x00, "host-bridge"),
    (0x06, 0x01, "isa-bridge"),
    (0x06, 0x04, "pci-bridge"),
    (0x07, 0x00, "serial"),
    (0x07, 0x80, "communication"),
    (0x08, 0x00, "pic"),
    (0x08, 0x01, "dma"),
    (0x08, 0x05, "sd-host"),
    (0x08, 0x06, "iommu"),
    (0x0b, 0x40, "co-processor"),
    (0x0c, 0x00, "firewire"),
    (0x0c, 0x03, "usb"),
    (0x0c, 0x04, "fibre-channel"),
    (0x0c, 0x05, "smbus"),
    (0x0c, 0x06, "infiniband"),
    (0x0c, 0x07, "ipmi"),
    (0x0d, 0x11, "bluetooth"),
    (0x0d, 0x80, "wireless"),
    (0x11, 0x01, "perf-counters"),
    (0xff, 0x00, "unassigned"),
];

/// Words for the base classes, by number.
const BASES: &[&str] = &[
    "unclassified",
    "storage",
    "network",
    "display",
    "multimedia",
    "memory",
    "bridge",
    "communication",
    "system",
    "input",
    "docking",
    "processor",
    "serial-bus",
    "wireless",
    "intelligent-io",
    "satellite",
    "crypto",
    "signal-processing",
    "accelerator",
    "instrumentation",
];

/// One word for a class code of six hexadecimal digits; the code itself where the specification has no word.
pub(crate) fn word(class: &str) -> &str {
    let byte = |range| class.get(range).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let (Some(base), Some(sub)) = (byte(0..2), byte(2..4)) else { return class };
    let found = SUBCLASSES.iter().find(|row| (row.0, row.1) == (base, sub)).map(|row| row.2);
    found.or_else(|| BASES.get(usize::from(base)).copied()).unwrap_or(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_classes_have_a_word_and_others_their_code() {
        for (class, expect) in [
            ("020000", "ethernet"),
            ("010802", "nvme"),
            ("030200", "3d"),
            ("120000", "accelerator"),
            ("02ff00", "network"),
            ("ff0000", "unassigned"),
            ("140000", "140000"),
            ("", ""),
            ("é", "é"),
            ("02", "02"),
        ] {
            assert_eq!(word(class), expect);
        }
    }
}
