"""Tells when a module has been imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

Imported = Callable[[str, ModuleType], None]


class _Finder(MetaPathFinder):
    """Leaves the finding to the other finders, and wraps the loader of what is watched."""

    def __init__(self, names: Container[str], imported: Imported) -> None:
        self._names = names
        self._imported = imported
        self._finding: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._names or fullname in self._finding:
            return None
        self._finding.add(fullname)
        try:
            spec = find_spec(fullname)
        finally:
            self._finding.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._imported)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader, imported: Imported) -> None:
        self._loader = loader
        self._imported = imported

    def __getattr__(self, name: str) -> object:
        # Whatever else a loader can do (give the source, for one), the wrapped one does.
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # What is imported from now on sees the module as it would be without us.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._imported(module.__name__, module)


_finder: _Finder | None = None


def watch(names: Container[str], imported: Imported) -> None:
    """Calls ``imported`` with each of these modules right after it has been executed."""
    global _finder
    if _finder is None:
        _finder = _Finder(names, imported)
        sys.meta_path.insert(0, _finder)


def unwatch() -> None:
    """Stops that."""
    global _finder
    if _finder is not None:
        sys.meta_path.remove(_finder)
        _finder = None


def is_watching() -> bool:
    """Whether ``watch`` was called."""
    return _finder is not None
