//! Reads the PCI functions of a Linux machine from sysfs.
