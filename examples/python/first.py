"""Rules, a name, a claim, and what to write."""

import slotwise

# The operator's rules and names, as in Nova's [pci]device_spec and [pci]alias.
rules = [{"vendor_id": "15b3", "product_id": "101e", "physical_network": "blue"}]
names = [{"name": "nic", "vendor_id": "15b3", "product_id": "101e", "device_type": "type-VF"}]
# A physical function with three virtual ones; slotwise.discover() gives those of this machine.
card = "0000:3b:00.0"
vf = {"vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF", "parent_addr": card}
devices = [
    {"address": card, "vendor_id": "15b3", "product_id": "101d", "dev_type": "type-PF"},
    {"address": "0000:3b:00.2", **vf},
    {"address": "0000:3b:00.3", **vf},
    {"address": "0000:3b:00.4", **vf},
]

host = slotwise.Tracker(slotwise.DeviceSpecs(rules))
host.sync(devices)
two_nics = slotwise.Aliases(names).requests("nic:2")
print(f"vm-1: {host.claim('vm-1', two_nics)}")
print(f"vm-2: {host.claim('vm-2', two_nics)}")

changes = host.changes()
print(len(changes), "rows to write")
host.written(changes)
host.sync(devices)
print(len(host.changes()), "rows to write after a second look")
