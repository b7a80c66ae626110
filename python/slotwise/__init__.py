"""Decides which PCI device goes to which workload, and remembers it.

The way of the data: operator rules (``DeviceSpecs``) and the devices of a host (``discover``) go into a ``Tracker``;
a flavor's aliases (``Aliases``) become ``Request`` objects; ``Tracker.fit`` says whether and how they can be served,
``Tracker.claim`` takes the devices, and ``Tracker.changes`` is what the caller must write to its database. A scheduler
that knows only the ``Pools`` of many hosts asks those.

Documents (devices, rules, pools, changes, …) are plain dicts and lists, typed in ``slotwise.types``. Wherever one is
taken, its JSON text may be given instead. What is not a valid input raises a child of ``SlotwiseError``; that a workload
does not fit is no error but an answer (``Fit``). All objects may be used by any number of threads, and the interpreter
lock is released while the engine works.
"""

from slotwise._errors import (
    AlreadyExistsError,
    ConflictError,
    DuplicateDeviceError,
    InternalError,
    InvalidAddressError,
    InvalidAliasError,
    InvalidArgumentError,
    InvalidConfigError,
    InvalidDeviceError,
    InvalidJsonError,
    InvalidPolicyError,
    InvalidPoolError,
    InvalidRequestError,
    InvalidSnapshotError,
    InvalidSpecError,
    InvalidStateError,
    InvalidUtf8Error,
    LimitExceededError,
    MissingParentError,
    ParentCycleError,
    PolicyFailedError,
    SlotwiseError,
    UnknownAliasError,
    UnknownDeviceError,
    UnknownOwnerError,
    UnsupportedVersionError,
    WrongOwnerError,
)
from slotwise._native import (
    Aliases,
    Config,
    DeviceSpecs,
    Fit,
    Pools,
    Request,
    Tracker,
    Workload,
    __version__,
    discover,
    filter_hosts,
    numa_topology,
)

__all__ = [
    "Aliases",
    "AlreadyExistsError",
    "Config",
    "DeviceSpecs",
    "ConflictError",
    "DuplicateDeviceError",
    "Fit",
    "InternalError",
    "InvalidAddressError",
    "InvalidAliasError",
    "InvalidArgumentError",
    "InvalidConfigError",
    "InvalidDeviceError",
    "InvalidJsonError",
    "InvalidPolicyError",
    "InvalidPoolError",
    "InvalidRequestError",
    "InvalidSnapshotError",
    "InvalidSpecError",
    "InvalidStateError",
    "InvalidUtf8Error",
    "LimitExceededError",
    "MissingParentError",
    "ParentCycleError",
    "PolicyFailedError",
    "Pools",
    "Request",
    "SlotwiseError",
    "Tracker",
    "UnknownAliasError",
    "UnknownDeviceError",
    "UnknownOwnerError",
    "UnsupportedVersionError",
    "Workload",
    "WrongOwnerError",
    "__version__",
    "discover",
    "filter_hosts",
    "numa_topology",
]
