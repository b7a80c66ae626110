"""The exceptions: one class per kind of error of the engine, made from the engine's own table."""

import builtins

from slotwise._native import ERROR_KINDS


class SlotwiseError(Exception):
    """An input that slotwise cannot accept; each kind of error has a child class of its own.

    ``str()`` is the whole error: what was wrong, where, and what to do.
    """

    kind = ""
    """The stable name of the kind, such as ``invalid_address``; the same in every language."""
    code = 0
    """The stable number of the kind, as in C."""

    def __init__(self, text="", message=None, place="", line=None, column=None, help=None):
        super().__init__(text)
        self.message = text if message is None else message
        """What was wrong, without place and remedy."""
        self.place = place
        """The path inside the input, such as ``workload.requests[0].count``; empty when all of it is meant."""
        self.line = line
        """The line of the text, counted from 1, or None."""
        self.column = column
        """The column in that line, in characters, counted from 1, or None."""
        self.help = help
        """What to do about it, or None."""

    def to_dict(self):
        """The error as the document that slotwise gives in every language."""
        place = {"path": self.place or None, "line": self.line, "column": self.column}
        document = {
            "kind": self.kind,
            "message": self.message,
            "place": {key: value for key, value in place.items() if value is not None},
        }
        if self.help is not None:
            document["help"] = self.help
        return document


SlotwiseError.__module__ = "slotwise"

CLASSES = {}
"""The class of each kind, by the kind's name; the engine raises from here."""

__all__ = ["SlotwiseError"]

for _name, _parent, _kind, _code, _meaning in ERROR_KINDS:
    CLASSES[_kind] = globals()[_name] = type(
        _name,
        (SlotwiseError, getattr(builtins, _parent)),
        {"__doc__": _meaning, "__module__": "slotwise", "kind": _kind, "code": _code},
    )
    __all__.append(_name)
