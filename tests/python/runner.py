"""The Python door of the conformance cases: answers the driver's calls over standard input and output.

The driver writes ``call OP NARGS``, then for each argument ``LEN``, that many bytes and a line end; or ``reset``. The
answer is ``ok LEN`` or ``err LEN``, that many bytes of JSON and a line end. The end of the input ends the program.

Every document is handed over as Python values first, as users do. If that is refused, it is handed over once more as
JSON text, whose errors know line and column as those of the other doors do; both must give the same error.
"""

import json
import math
import sys

import slotwise


class Broken(Exception):
    """The door cannot go on: a fault of the case, of the driver or of this program, and never an answer."""


class NotPlain(Exception):
    """The JSON text does not mean the same as any Python values."""


def load(text):
    """The values of a JSON text, where Python and the engine read it alike."""

    def unique(pairs):
        values = dict(pairs)
        if len(values) != len(pairs):
            raise NotPlain("a key is there twice")
        return values

    def whole(digits):
        number = int(digits)
        if digits == "-0" or not -(2**63) <= number < 2**64:
            raise NotPlain("no whole number of 64 bits")
        return number

    def real(digits):
        number = float(digits)
        if not math.isfinite(number):
            raise NotPlain("too large")
        return number

    def constant(name):
        raise NotPlain(name)

    try:
        values = json.loads(
            text, object_pairs_hook=unique, parse_int=whole, parse_float=real, parse_constant=constant
        )
        json.dumps(values, ensure_ascii=False).encode()
        if isinstance(values, str):
            raise NotPlain("a text in place of a document is JSON text itself")
    except (ValueError, RecursionError) as error:
        raise NotPlain(str(error)) from None
    return values


def documents(function, *texts):
    """Calls ``function`` with these documents as values, and on an error with their text; None stays None."""
    refused = None
    try:
        values = [None if text is None else load(text) for text in texts]
    except NotPlain:
        pass
    else:
        try:
            return function(*values)
        except slotwise.SlotwiseError as error:
            refused = error
    try:
        result = function(*(None if text is None else text.encode() for text in texts))
    except slotwise.SlotwiseError as error:
        # A limit is met where it is met first: in the length of the text, or somewhere among the values.
        fields = ["kind"] if error.kind == "limit_exceeded" else ["kind", "message", "place", "help"]
        if refused is not None and any(getattr(refused, name) != getattr(error, name) for name in fields):
            raise Broken(f"as values the error is {refused}; as text it is {error}") from error
        raise
    if refused is not None:
        raise Broken(f"refused as values, accepted as text: {refused}")
    return result


def with_workload(function):
    """Makes of a function with a workload's fields one that takes the document."""

    def call(document):
        if isinstance(document, bytes):
            return function(document)
        if isinstance(document, dict) and "requests" in document:
            return function(**document)
        return function(slotwise.Workload.from_dict(document))

    return lambda text: documents(call, text).to_dict()


def with_fields(function):
    """Makes of a function with fields one that takes the document, if there is one."""

    def call(document):
        return function(**document) if isinstance(document, dict) else function(document)

    return call


class Door:
    """The slots, and one method per operation; a dot in its name is an underscore here."""

    def __init__(self):
        self.slots = {}

    def __getattr__(self, name):
        if name not in ("specs", "aliases", "pools", "tracker", "fleet"):
            raise AttributeError(name)
        try:
            return self.slots[name]
        except KeyError:
            raise Broken(f"the slot {name} is empty") from None

    def fill(self, name, value):
        self.slots[name] = value
        return value

    def specs_parse(self, entries, report_in_placement):
        specs = self.fill("specs", documents(slotwise.DeviceSpecs, entries, report_in_placement or None))
        return {"rules": specs.rules, "warnings": specs.warnings}

    def specs_explain(self, device):
        return documents(self.specs.explain, device)

    def aliases_parse(self, lines, pci_in_placement):
        return {"aliases": self.fill("aliases", documents(slotwise.Aliases, lines, pci_in_placement or None)).list()}

    def aliases_create(self, lines):
        return documents(self.aliases.create, lines)

    def aliases_update(self, lines):
        return documents(self.aliases.update, lines)

    def aliases_delete(self, name):
        return self.aliases.delete(name)

    def aliases_list(self):
        return {"aliases": self.aliases.list()}

    def aliases_requests(self, flavor, numa_policy):
        requests = self.aliases.requests(flavor, numa_policy or None)
        return {"requests": [request.to_dict() for request in requests]}

    def config_parse(self, format, text):
        config = slotwise.Config.parse(text, format)
        self.fill("specs", config.device_specs)
        self.fill("aliases", config.aliases)
        return {
            "device_specs": config.device_specs.rules,
            "aliases": config.aliases.list(),
            "report_in_placement": config.report_in_placement,
            "pci_in_placement": config.pci_in_placement,
            "warnings": config.warnings,
        }

    def tracker_new(self, options):
        specs = self.specs
        make = with_fields(lambda document=None, /, **fields: slotwise.Tracker(specs, document, **fields))
        self.fill("tracker", documents(make, options or None))

    def tracker_load(self, options, rows):
        specs = self.specs

        def make(options, rows):
            load = with_fields(lambda document=None, /, **fields: slotwise.Tracker.load(specs, rows, document, **fields))
            return load(options)

        self.fill("tracker", documents(make, options or None, rows))

    def tracker_sync(self, devices):
        return documents(self.tracker.sync, devices)

    def tracker_replace_specs(self, entries, report_in_placement, dry_run):
        def replace(entries, report_in_placement, dry_run):
            return self.tracker.replace_specs(entries, dry_run, report_in_placement=report_in_placement)

        return documents(replace, entries, report_in_placement or None, dry_run or None)

    def tracker_pools(self):
        return list(self.tracker.pools)

    def tracker_group_by(self, keys):
        return documents(self.tracker.group_by, keys)

    def tracker_devices(self):
        return self.tracker.devices

    def tracker_explain(self, address):
        return self.tracker.explain(address)

    def tracker_fit(self, workload):
        return with_workload(self.tracker.fit)(workload)

    def tracker_claim(self, owner, workload):
        tracker = self.tracker
        return with_workload(lambda *workload, **fields: tracker.claim(owner, *workload, **fields))(workload)

    def tracker_claim_fit(self, owner, workload, assignment):
        tracker = self.tracker

        def claim(workload, assignment):
            if isinstance(workload, dict) and "requests" in workload:
                return tracker.claim_fit(owner, assignment, **workload)
            if not isinstance(workload, bytes):
                workload = slotwise.Workload.from_dict(workload)
            return tracker.claim_fit(owner, assignment, workload)

        return documents(claim, workload, assignment)

    def tracker_claim_all(self, claims):
        return documents(self.tracker.claim_all, claims).to_dict()

    def tracker_allocate(self, owner):
        return self.tracker.allocate(owner)

    def tracker_free(self, owner, scope):
        return self.tracker.free(owner, scope or None)

    def tracker_free_device(self, owner, address):
        self.tracker.free_device(owner, address)

    def tracker_retain_owners(self, owners):
        return documents(self.tracker.retain_owners, owners)

    def tracker_bindings(self, query):
        return documents(with_fields(self.tracker.bindings), query)

    def tracker_changes(self):
        return self.tracker.changes()

    def tracker_written(self, changes):
        documents(self.tracker.written, changes)

    def tracker_version(self):
        return self.tracker.version

    def tracker_snapshot(self):
        return self.tracker.snapshot().hex()

    def tracker_restore(self, hexadecimal):
        try:
            snapshot = bytes.fromhex(hexadecimal)
        except ValueError:
            raise Broken("the snapshot is not hexadecimal") from None
        self.fill("tracker", slotwise.Tracker.from_snapshot(snapshot))

    def tracker_snapshot_json(self):
        return json.loads(self.tracker.snapshot_json())

    def tracker_restore_json(self, text):
        self.fill("tracker", slotwise.Tracker.from_snapshot_json(text))

    def pools_parse(self, pools, numa_topology):
        return list(self.fill("pools", documents(slotwise.Pools, pools, numa_topology or None)))

    def pools_fit(self, workload):
        return with_workload(self.pools.fit)(workload)

    def pools_consume(self, assignment):
        documents(self.pools.consume, assignment)
        return self.pools.to_list()

    def pools_group_by(self, keys):
        return documents(self.pools.group_by, keys)

    def fleet_new(self):
        self.fill("fleet", slotwise.Fleet())

    def fleet_put(self, host, pools, numa_topology, version):
        put = lambda pools, *rest: self.fleet.put(host, pools, *rest)
        return documents(put, pools, numa_topology or None, version or None)

    def fleet_load(self, lines):
        return self.fleet.load(lines)

    def fleet_apply(self, host, delta):
        return documents(lambda delta: self.fleet.apply(host, delta), delta)

    def fleet_remove(self, host):
        self.fleet.remove(host)

    def fleet_set_tags(self, host, tags):
        return documents(lambda tags: self.fleet.set_tags(host, tags), tags)

    def fleet_tags(self, host):
        return self.fleet.tags(host)

    def fleet_id(self, host):
        return self.fleet.id(host)

    def fleet_version(self, host):
        return self.fleet.version(host)

    def fleet_pools(self, host):
        return self.fleet.pools(host).to_list()

    def fleet_hosts(self):
        return self.fleet.hosts.bitmap.hex()

    def fleet_names(self, bitmap):
        return self.fleet.names(slotwise.HostSet.from_bitmap(bytes.fromhex(bitmap)) if bitmap else None)

    def fleet_fit(self, host, workload):
        fleet = self.fleet
        return with_workload(lambda *workload, **fields: fleet.fit(host, *workload, **fields))(workload)

    def fleet_filter(self, workload, options):
        answer = self.ask_fleet(self.fleet.filter, workload, options)
        document = answer.to_dict()
        if answer.hosts.ids.tolist() != document["hosts"] or list(answer.undecided) != document["undecided"]:
            raise Broken("the columns differ from the document")
        return document

    def fleet_rank(self, workload, options):
        ranking = self.ask_fleet(self.fleet.rank, workload, options)
        document = ranking.to_dict()
        if ranking.hosts.tolist() != document["hosts"] or ranking.scores.tolist() != document["scores"]:
            raise Broken("the columns differ from the document")
        return document

    def fleet_explain(self, workload, options):
        return self.ask_fleet(self.fleet.explain, workload, options)

    @staticmethod
    def ask_fleet(function, workload, options):
        """Asks with a prepared workload; the options are given as a document, or by name."""
        prepared = documents(slotwise.Workload.from_dict, workload)
        if not options:
            return function(prepared)
        return documents(
            with_fields(lambda document=None, /, **fields: function(prepared, document, **fields)), options
        )

    def fleet_place(self, batch):
        return documents(self.fleet.place, batch)

    def fleet_reserve(self, owner, host, workload, expires):
        prepared = documents(slotwise.Workload.from_dict, workload)
        return documents(lambda expires: self.fleet.reserve(owner, host, prepared, expires), expires).to_dict()

    def fleet_reserve_placed(self, batch, placed, expires):
        documents(self.fleet.reserve_placed, batch, placed, expires)

    def fleet_release(self, owner):
        return self.fleet.release(owner)

    def fleet_expire(self, now):
        return documents(self.fleet.expire, now)

    def fleet_reservations(self):
        return self.fleet.reservations

    def fleet_declare_demand(self, demand):
        documents(self.fleet.declare_demand, demand)

    def fleet_observe_demand(self, workload):
        self.fleet.observe_demand(documents(slotwise.Workload.from_dict, workload))

    def fleet_demand(self):
        return self.fleet.demand

    def fleet_sequence(self):
        return self.fleet.sequence

    def fleet_snapshot(self):
        return self.fleet.snapshot().hex()

    def fleet_restore(self, hexadecimal):
        self.fill("fleet", slotwise.Fleet.from_snapshot(bytes.fromhex(hexadecimal)))


def answer(door, op, arguments):
    """What the door says to a call: ``ok`` or ``err``, and a document."""
    try:
        method = getattr(door, op.replace(".", "_", 1), None) if "." in op else None
        if method is None:
            raise Broken(f"no operation {op!r}")
        return "ok", method(*arguments)
    except slotwise.SlotwiseError as error:
        return "err", error.to_dict()
    except Exception as error:
        kind = "" if isinstance(error, Broken) else f"{type(error).__name__}: "
        return "err", {"kind": "internal", "message": f"conformance door: {kind}{error}", "place": {}}


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer

    def argument():
        length = int(source.readline())
        text = source.read(length)
        source.read(1)
        return text.decode()

    door = Door()
    while line := source.readline().decode().split():
        if line[0] == "reset":
            door = Door()
            verdict, document = "ok", None
        else:
            _, op, count = line
            verdict, document = answer(door, op, [argument() for _ in range(int(count))])
        text = json.dumps(document, ensure_ascii=False).encode()
        sink.write(b"%s %d\n%s\n" % (verdict.encode(), len(text), text))
        sink.flush()


if __name__ == "__main__":
    main()
