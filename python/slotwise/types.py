"""The documents that slotwise takes and gives, as types.

They are plain dicts with text keys; nothing here exists at run time but the names. PCI addresses are texts such as
``0000:3b:00.1``. Where a document is taken, keys of a ``…Input`` type that are not required may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, Union

# Unions of single literals, because stubtest does not take a literal of several values for the union that it is.

DeviceType = Union[Literal["type-PCI"], Literal["type-PF"], Literal["type-VF"], Literal["vdpa"]]
"""What a function is to SR-IOV."""

DeviceStatus = Union[
    Literal["available"],
    Literal["claimed"],
    Literal["allocated"],
    Literal["unclaimable"],
    Literal["unavailable"],
]
"""Where a device is in its life."""

NumaPolicyName = Union[Literal["required"], Literal["preferred"], Literal["legacy"], Literal["socket"]]
"""How near to the guest's NUMA cells a device must be."""

StrategyName = Union[Literal["exact"], Literal["nova"]]
"""How an answer is found."""

PreferenceName = Union[Literal["stable"], Literal["pack"], Literal["spread"]]
"""Which of the possible assignments is chosen."""

SourceName = Union[Literal["flavor"], Literal["neutron_port"]]
"""Where a request comes from."""

FreeScopeName = Union[Literal["all"], Literal["claims"], Literal["allocations"]]
"""Which of an owner's devices to free."""

Outcome = Union[Literal["fits"], Literal["no_fit"], Literal["undecided"]]
"""The three outcomes of a fit, which are never mixed up."""

ExtraInfo = dict[str, Union[str, None]]
"""Facts or tags of a device, each a text or None."""

JsonText = Union[str, bytes]
"""The JSON text of a document, in place of the document; ``bytes`` are UTF-8."""


class _NumaCellRequired(TypedDict):
    id: int


class NumaCell(_NumaCellRequired, total=False):
    """One NUMA cell of a host: the node's number, and the socket it is on (None when unknown)."""

    socket: int | None


class NumaTopology(TypedDict):
    """The NUMA cells of a host."""

    cells: list[NumaCell]


# The field ``class`` is a word of Python's own, so that only the functional form can declare it.
_DeviceClass = TypedDict("_DeviceClass", {"class": Union[str, None]})


class Device(_DeviceClass):
    """One PCI function, as the host reports it; ``class`` is six hexadecimal digits, or None when unknown."""

    address: str
    vendor_id: str
    product_id: str
    dev_type: DeviceType
    numa_node: int | None
    parent_addr: str | None
    extra_info: ExtraInfo


class TrackedDevice(Device):
    """A device as a tracker knows it; also the form of a database row that ``Tracker.load`` takes."""

    status: DeviceStatus
    owner: str | None
    request_id: str | None
    requester_id: str | None
    tags: ExtraInfo


DeviceInput = Union[Device, Mapping[str, Any]]
"""A device to be read; any key that is not a field of ``Device`` is kept as extra info."""

Rule = Mapping[str, Any]
"""One rule, as in Nova's ``[pci]device_spec``."""

AliasLine = Mapping[str, Any]
"""One alias line, as in Nova's ``[pci]alias``."""


class RuleVerdict(TypedDict):
    """What one rule says about one device: whether it matches, and if not why."""

    rule: int
    matches: bool
    reason: str | None


class Explanation(TypedDict):
    """What a rule set says about one device, with every rule up to the one that matches."""

    assignable: bool
    rule: int | None
    tags: ExtraInfo
    rules: list[RuleVerdict]


class Alias(TypedDict):
    """A name for a kind of device: it matches when one of the alternatives does."""

    name: str
    numa_policy: NumaPolicyName
    alternatives: list[ExtraInfo]


class Fallback(TypedDict):
    """What a request takes instead if what it asks for first cannot be had."""

    count: int
    alternatives: list[ExtraInfo]


class RequestFields(TypedDict, total=False):
    """The fields of a request beside its alternatives and count; ``Request`` says what they mean."""

    request_id: str | None
    requester_id: str | None
    alias_name: str | None
    numa_policy: NumaPolicyName | None
    source: SourceName
    otherwise: Sequence[Fallback | Mapping[str, Any]]
    isolate: bool
    same: Sequence[str]
    distinct: Sequence[str]
    prefer_same: Sequence[str]


class RequestDict(TypedDict):
    """A count of devices, as ``Request.to_dict`` gives it."""

    request_id: str | None
    requester_id: str | None
    alias_name: str | None
    count: int
    alternatives: list[ExtraInfo]
    numa_policy: NumaPolicyName | None
    source: SourceName
    otherwise: list[Fallback]
    isolate: bool
    same: list[str]
    distinct: list[str]
    prefer_same: list[str]


# The field ``from`` is a word of Python's own, so that only the functional form can declare it.
_CellChoiceFrom = TypedDict("_CellChoiceFrom", {"from": list[int]})


class CellChoice(_CellChoiceFrom):
    """NUMA cells that the guest may get, in order of preference (``from``), and how many of them it gets."""

    count: int


class _ConstraintRequired(TypedDict):
    requests: list[int]


class Constraint(_ConstraintRequired, total=False):
    """A constraint across requests (by index): the attribute in which their devices must agree, or must all differ."""

    same: str
    distinct: str


class WorkloadFields(TypedDict, total=False):
    """The fields of a workload beside its requests; ``Workload`` says what they mean."""

    numa_cells: Sequence[int] | None
    numa_cells_from: CellChoice | None
    constraints: Sequence[Constraint]
    prefer: PreferenceName
    spread_over: str | None
    prefer_devices: Sequence[Sequence[str]]
    provider_mapping: Mapping[str, Sequence[str]] | None
    strategy: StrategyName
    budget: int | None


class WorkloadDict(TypedDict):
    """Everything one workload asks of one host, as ``Workload.to_dict`` gives it."""

    requests: list[RequestDict]
    numa_cells: list[int] | None
    numa_cells_from: CellChoice | None
    constraints: list[Constraint]
    prefer: PreferenceName
    spread_over: str | None
    prefer_devices: list[list[str]]
    provider_mapping: dict[str, list[str]] | None
    strategy: StrategyName
    budget: int | None


class _PoolRequired(TypedDict):
    vendor_id: str
    product_id: str
    numa_node: int | None
    tags: ExtraInfo
    count: int


class Pool(_PoolRequired, total=False):
    """Free devices of one host that are interchangeable; ``devices`` where they are known."""

    devices: list[str]


class Group(TypedDict):
    """Devices that have the same values under the keys they were grouped by."""

    values: ExtraInfo
    total: int
    free: int
    devices: list[str]


class Pick(TypedDict):
    """A number of devices from one pool, counted from 0 in the stable order."""

    pool: int
    count: int


class _RequestAssignmentRequired(TypedDict):
    request_id: str | None
    picks: list[Pick]
    devices: list[str]
    option: int


class RequestAssignment(_RequestAssignmentRequired, total=False):
    """What serves one request; ``devices`` is empty where the pools have counts only.

    ``option`` is 0 for what the request asks for first, 1 for its first fallback. ``companions`` are devices that come along
    because a device group is handed out as a whole.
    """

    companions: list[str]
    companion_picks: list[Pick]


class _AssignmentRequired(TypedDict):
    requests: list[RequestAssignment]


class Assignment(_AssignmentRequired, total=False):
    """What serves each request, in the order of the requests; ``numa_cells`` where they were to be chosen.

    ``cut_short`` is there, and true, where the search budget ran out before anything better was ruled out.
    """

    numa_cells: list[int]
    cut_short: bool


class StepReport(TypedDict):
    """One step of the filter chain: how many devices it dropped, and how many were left."""

    step: Literal[
        "attributes", "physical_functions", "vdpa", "remote_managed", "live_migratable", "placement", "numa"
    ]
    dropped: int
    left: int


class RequestReport(TypedDict):
    """How one request narrowed the host's free devices down."""

    request: int
    request_id: str | None
    wanted: int
    free: int
    steps: list[StepReport]


class _FitsRequired(TypedDict):
    outcome: Literal["fits"]
    requests: list[RequestAssignment]


class Fits(_FitsRequired, total=False):
    """The answer *fits*, with the fields of an ``Assignment``."""

    numa_cells: list[int]
    cut_short: bool


class NoFit(TypedDict):
    """The answer *no fit*: a minimal set of requests that cannot be served together (without any one of them the rest can), and what they lack."""

    outcome: Literal["no_fit"]
    message: str
    conflict: list[int]
    needed: int
    usable: int
    requests: list[RequestReport]


class Undecided(TypedDict):
    """The answer *undecided*: the search budget ran out before an assignment was found or ruled out."""

    outcome: Literal["undecided"]
    message: str
    budget: int


FitDict = Union[Fits, NoFit, Undecided]
"""The answer of a fit or a claim, as ``Fit.to_dict`` gives it."""


class Deferred(TypedDict):
    """A held device whose change or removal waits until it is freed."""

    address: str
    owner: str
    change: Literal["update", "remove"]


class SyncReport(TypedDict):
    """What a sync did."""

    added: list[str]
    updated: list[str]
    removed: list[str]
    deferred: list[Deferred]


class Retagged(TypedDict):
    """A device that gets other tags."""

    address: str
    old: ExtraInfo
    new: ExtraInfo


class SpecsDiff(TypedDict):
    """What another rule set changes."""

    added: list[str]
    retagged: list[Retagged]
    removed: list[str]
    held: list[Deferred]


class Binding(TypedDict):
    """A held device, and the facts by which a network service configures it."""

    owner: str
    request_id: str | None
    requester_id: str | None
    status: DeviceStatus
    pci_slot: str
    pci_vendor_info: str
    physical_network: str | None
    vf_num: int | None
    pf_mac_address: str | None
    card_serial_number: str | None
    switch_port: str | None
    extra_info: ExtraInfo


class FieldChange(TypedDict):
    """The old and the new text of a field."""

    old: str | None
    new: str | None


class Change(TypedDict):
    """One persisted difference of one device: what to do with its row, and the fields that differ."""

    address: str
    action: Literal["insert", "update", "delete"]
    fields: dict[str, FieldChange]


class Claim(TypedDict):
    """What one owner asks for, among several that are claimed together."""

    owner: str
    workload: WorkloadDict | Mapping[str, Any]


class DeviceGroup(TypedDict):
    """Devices that are handed out together or not at all."""

    name: str
    devices: Sequence[str]


class TrackerOptions(TypedDict, total=False):
    """How a tracker works; the arguments of ``Tracker``."""

    numa_topology: NumaTopology | Mapping[str, Any] | None
    pool_keys: Sequence[str]
    allow_missing_parents: bool
    device_groups: Sequence[DeviceGroup]


class BindingQuery(TypedDict, total=False):
    """Which held devices to list; the arguments of ``Tracker.bindings``."""

    owner: str | None
    request_id: str | None
    requester_id: str | None


class HostUpdate(TypedDict):
    """The host that a call of ``Fleet`` was about, and what the call did to it."""

    id: int
    version: int
    outcome: Literal["inserted", "updated", "unchanged"]


class FleetLoad(TypedDict):
    """How many hosts a call inserted, updated, and found as they were."""

    inserted: int
    updated: int
    unchanged: int


class _HostDeltaRequired(TypedDict):
    base: int
    version: int


class HostDelta(_HostDeltaRequired, total=False):
    """What changed on a host between two versions of it; the argument of ``Fleet.apply``."""

    removed: Sequence[Pool | Mapping[str, Any]]
    pools: Sequence[Pool | Mapping[str, Any]]
    released: Sequence[str]


class _HostQuestionRequired(TypedDict):
    host: str


class HostQuestion(_HostQuestionRequired, total=False):
    """What is particular about a host that is asked."""

    numa_cells: Sequence[int] | None
    mappings: Sequence[Mapping[str, Sequence[str]]]


class FilterOptions(TypedDict, total=False):
    """Which hosts are asked; the arguments of ``Fleet.filter`` and ``Fleet.explain``."""

    among: Iterable[int] | None
    hosts: Sequence[HostQuestion] | None
    limit: int | None
    facts: ExtraInfo


class _WeigherRequired(TypedDict):
    kind: Literal["fewest_free", "best_fit", "fragmentation"]


class Weigher(_WeigherRequired, total=False):
    """What makes a host a good choice, and its factor."""

    multiplier: float


class RankOptions(TypedDict, total=False):
    """Which hosts are ranked, by what, and how many are wanted; the arguments of ``Fleet.rank``."""

    filter: FilterOptions
    weighers: Sequence[Weigher]
    policy_multiplier: float
    limit: int | None


class PolicyRefusal(TypedDict):
    """How many hosts policies refused for a reason."""

    reason: str
    hosts: int


class HostCandidates(TypedDict):
    """Which of Placement's allocation candidates a host can serve."""

    host: int
    fits: list[int]
    undecided: list[int]


class Reservation(TypedDict):
    """Devices of one host that are held for an owner."""

    host: int
    expires: int


class _DemandRequired(TypedDict):
    workload: WorkloadDict | Mapping[str, Any]


class Demand(_DemandRequired, total=False):
    """A workload that a fleet expects, and how much of the demand it is."""

    weight: float


class _AffinityRuleRequired(TypedDict):
    items: Sequence[int]


class AffinityRule(_AffinityRuleRequired, total=False):
    """Which items of a batch belong together (``same``) or apart (``distinct``): by ``host``, or by a tag of hosts."""

    same: str
    distinct: str
    hosts: Sequence[str]


class Batch(TypedDict, total=False):
    """Several workloads that are placed in one call."""

    items: Sequence[Claim]
    rules: Sequence[AffinityRule]
    mode: Literal["joint", "best_effort"]
    among: Sequence[int] | None
    weighers: Sequence[Weigher]
    facts: ExtraInfo
    budget: int | None


class PlacedItem(TypedDict):
    """Where one item of a batch goes."""

    host: int
    assignment: Assignment


class Placed(TypedDict):
    """Where the items of a batch go."""

    outcome: Literal["placed", "partial", "no_fit", "undecided"]
    items: list[PlacedItem | None]
    impossible: list[int]
    sequence: int


class ErrorPlace(TypedDict, total=False):
    """Where in the input an error lies."""

    path: str
    line: int
    column: int


class _ErrorDictRequired(TypedDict):
    kind: str
    message: str
    place: ErrorPlace


class ErrorDict(_ErrorDictRequired, total=False):
    """An error, as ``SlotwiseError.to_dict`` gives it."""

    help: str


class PolicyLimits(TypedDict, total=False):
    """What one call of a policy may use; what is left out is the default."""

    time_ms: int
    """How many milliseconds it may run."""
    fuel: Union[int, None]
    """How many units of work, about one per instruction; None does not count them."""
    memory: int
    """How many bytes of memory an instance may have."""
    table: int
    """How many table entries an instance may have."""
    stack: int
    """How many bytes of stack it may use, at most 1 MiB."""
    result: int
    """About how many bytes it may hand back."""
    instances: int
    """How many instances may live at once; who asks for one more waits."""


class DropAfter(TypedDict):
    """A policy is not asked any more after so many failures."""

    drop_after: int


OnFailure = Union[Literal["closed"], Literal["open"], DropAfter]
"""What a call gives when the policy fails."""


class PolicyCounters(TypedDict):
    """How often a policy was asked and failed since it was loaded."""

    calls: int
    failed: int
    failures: dict[str, int]
    """By kind: ``out_of_time``, ``out_of_fuel``, ``out_of_memory``, ``table_too_large``, ``stack_overflow``,
    ``result_too_large``, ``wrong_answer``, ``refused``, ``trap``, ``system``."""
    dropped: bool
    log_lines: int
    log_lines_lost: int


class _PolicyHostName(TypedDict):
    name: str


class PolicyHost(_PolicyHostName, total=False):
    """A host that a policy is asked about."""

    attributes: Mapping[str, Any]
    pools: Sequence[Mapping[str, Any]]
