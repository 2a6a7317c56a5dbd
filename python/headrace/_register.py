"""Makes torch.compile know the backend by its name.

torch asks the metadata of installed packages for the entry point, so an
installed headrace needs nothing done. In a source tree there is no metadata:
what is here stands in for it, without importing torch, whichever of the two is
imported first.
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Any, Iterable

_GROUP = "torch_dynamo_backends"
_VALUE = "headrace._dynamo:headrace"


class _SourceTree(metadata.Distribution):
    """What a package's folder of metadata would say."""

    def __init__(self, version: str) -> None:
        self._files = {
            "METADATA": ("Metadata-Version: 2.1\nName: headrace\n"
                         f"Version: {version}\n"),
            "entry_points.txt": f"[{_GROUP}]\nheadrace = {_VALUE}\n"}

    def read_text(self, filename: str) -> str | None:
        return self._files.get(filename)

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(path)


class _Finder(metadata.DistributionFinder):
    def __init__(self, version: str) -> None:
        self._found = _SourceTree(version)

    def find_spec(self, *_: Any) -> None:
        return None

    def find_distributions(
            self, context: Any = metadata.DistributionFinder.Context()
    ) -> Iterable[metadata.Distribution]:
        if context.name is None or context.name.lower() == "headrace":
            yield self._found


def register(version: str) -> None:
    """Lets torch find the backend; called when headrace is imported."""
    try:
        metadata.distribution("headrace")
        return
    except metadata.PackageNotFoundError:
        sys.meta_path.append(_Finder(version))
    registry = sys.modules.get("torch._dynamo.backends.registry")
    if registry is not None:  # it may have looked already
        from ._dynamo import headrace
        registry.register_backend(headrace, name="headrace")


__all__ = ["register"]
