"""The same as examples/python/first.py, with the engine as a WebAssembly component instead of a native module.

    cargo xtask wasm && pip install wasmtime && python examples/wasm/first.py [target/wasm/slotwise.wasm]
"""

import json
import sys
from typing import Any

from wasmtime import Config, Engine, Store
from wasmtime.component import Component, Func, Linker

INTERFACE = "slotwise:engine/api@0.1.0"


class SlotwiseError(ValueError):
    """The engine refused its input: the message, and where in the input."""


class Slotwise:
    """One instance of the component, called by the names in bindings/wasm/wit/engine.wit."""

    def __init__(self, path: str, memory: int = 64 << 20, fuel: int = 1_000_000_000) -> None:
        config = Config()
        config.consume_fuel = True
        engine = Engine(config)
        self.store = Store(engine)
        self.store.set_limits(memory_size=memory)
        self.fuel = fuel
        self.store.set_fuel(fuel)
        # The linker stays empty: the component imports nothing and sees only what it is given.
        component = Component.from_file(engine, path)
        self.instance = Linker(engine).instantiate(self.store, component)
        interface = self.instance.get_export_index(self.store, INTERFACE)
        assert interface is not None, f"{path} does not export {INTERFACE}"
        self.interface = interface
        self.functions: dict[str, Func] = {}

    def call(self, name: str, *arguments: Any) -> Any:
        """The result of one function; ``tracker.new`` is static, ``tracker#sync`` takes the tracker first."""
        kind = "method" if "#" in name else "static"
        function = self.functions.get(name)
        if function is None:
            full = f"[{kind}]{name.replace('#', '.')}"
            index = self.instance.get_export_index(self.store, full, self.interface)
            function = self.instance.get_func(self.store, index) if index else None
            assert function is not None, f"the component has no {full}"
            self.functions[name] = function
        self.store.set_fuel(self.fuel)
        result = function(self.store, *arguments)
        if hasattr(result, "message") and hasattr(result, "kind"):
            raise SlotwiseError(f"{result.message} (at {result.path})" if result.path else result.message)
        return result


def main() -> None:
    slotwise = Slotwise(sys.argv[1] if len(sys.argv) > 1 else "target/wasm/slotwise.wasm")
    rule = {"vendor_id": "15b3", "product_id": "101e", "physical_network": "blue"}
    name = {"name": "nic", "vendor_id": "15b3", "product_id": "101e", "device_type": "type-VF"}
    card = "0000:3b:00.0"
    vf = {"vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF", "parent_addr": card}
    devices = json.dumps(
        [
            {"address": card, "vendor_id": "15b3", "product_id": "101d", "dev_type": "type-PF"},
            {"address": "0000:3b:00.2", **vf},
            {"address": "0000:3b:00.3", **vf},
            {"address": "0000:3b:00.4", **vf},
        ]
    )

    specs = slotwise.call("specs.parse", [json.dumps(rule)], False)
    aliases = slotwise.call("aliases.parse", [json.dumps(name)], False)
    host = slotwise.call("tracker.new", specs, None)
    slotwise.call("tracker#sync", host, devices)
    requests = json.loads(slotwise.call("aliases#requests", aliases, "nic:2", None))
    two_nics = slotwise.call("workload.parse", json.dumps({"requests": requests}))
    for owner in ("vm-1", "vm-2"):
        fit = json.loads(slotwise.call("tracker#claim", host, owner, two_nics))
        devices_taken = [device for request in fit.get("requests", []) for device in request.get("devices", [])]
        print(f"{owner}: {fit['outcome']}: {', '.join(devices_taken) or fit.get('message')}")

    changes = slotwise.call("tracker#changes", host)
    print(len(json.loads(changes)), "rows to write")
    slotwise.call("tracker#written", host, changes)
    slotwise.call("tracker#sync", host, devices)
    print(len(json.loads(slotwise.call("tracker#changes", host))), "rows to write after a second look")

    try:
        slotwise.call("specs.parse", ['{"address": "0000:3b:00.9"}'], False)
    except SlotwiseError as error:
        print("refused:", error)


if __name__ == "__main__":
    main()
