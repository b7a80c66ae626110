"""Started by Python itself where this folder is in PYTHONPATH, which ``slotwise-nova`` sees to.

It activates the drop-in, and hands on to the ``sitecustomize`` that would have been found without it.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _hand_on() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        # Whoever imports it later gets that one, and not this.
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _activate() -> None:
    if os.environ.get("SLOTWISE_NOVA") != "1":
        return
    try:
        from slotwise.nova import activate_in_child
    except ImportError:
        # Another Python, which has no slotwise, is none of our concern unless it runs Nova.
        return
    activate_in_child()


_activate()
_hand_on()
