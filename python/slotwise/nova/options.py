"""The options of slotwise in Nova's own configuration, section ``[slotwise]``."""

# Nova has no types, and need not be there when these are checked.
# mypy: no-warn-unused-ignores

from __future__ import annotations

import functools

import nova.conf  # type: ignore
from oslo_config import cfg  # type: ignore

CONF = nova.conf.CONF
CONF.register_opts(
    [
        cfg.StrOpt(
            "strategy",
            default="exact",
            choices=["exact", "nova"],
            help="How slotwise finds an answer: 'exact' looks at all requests of an instance together; 'nova' gives "
            "Nova's own answers, the wrong ones too.",
        ),
        cfg.MultiStrOpt(
            "policies",
            default=[],
            help="Policies, one in each line: the path of a WebAssembly component, or a JSON object with 'path', "
            "'configuration' or 'configuration_file', 'name', 'limits', 'on_failure', 'keep_instances' and 'cache'. They "
            "are asked what they answer: by the filter whether a host that could serve an instance's PCI requests may, by "
            "the weigher how well it suits, and by a claim on a compute node with the drop-in which devices go first.",
        ),
        cfg.FloatOpt(
            "policy_weight_multiplier",
            default=1.0,
            help="The factor of what policies say of hosts, beside the multipliers of Nova's weighers; aggregates may have "
            "their own under the same name.",
        ),
    ],
    group="slotwise",
)


@functools.cache
def strategy() -> str:
    """How an answer is found: ``exact`` or ``nova``; read once, because it is asked for each host."""
    name: str = CONF.slotwise.strategy
    return name


def policies() -> tuple[str, ...]:
    """The policies, as they are written in the configuration."""
    return tuple(CONF.slotwise.policies)
