"""Names for the classes of containers that torch has none for.

torch.export writes a program only if each class of container in its arguments
and results has a registered name. Named tuples have none unless their author
knew, nor do dataclasses, nor what ``torch.max`` returns. Here they get their own
names while a program is written, and are known by them to the model.
"""

from __future__ import annotations

import collections
from contextlib import contextmanager
from typing import Any, Iterator


def _walk(spec: Any) -> Iterator[Any]:
    yield spec
    for child in spec.children():
        yield from _walk(child)


@contextmanager
def named_types(program: Any, types: dict[str, type]) -> Iterator[None]:
    """Every class in the program's specs has a name meanwhile; adds the classes
    to ``types`` by name. Not for several threads at once."""
    import torch.utils._pytree as pytree
    known = pytree.SUPPORTED_SERIALIZED_TYPES
    unnamed = pytree.NO_SERIALIZED_TYPE_NAME_FOUND
    added: dict[type, Any] = {}
    for spec in (program.call_spec.in_spec, program.call_spec.out_spec):
        for node in _walk(spec) if spec is not None else ():
            kind = node.type
            if kind is collections.namedtuple:
                kind = node.context
            if not isinstance(kind, type):
                continue
            found = known.get(kind)
            if found is None or found.serialized_type_name == unnamed:
                name = f"{kind.__module__}.{kind.__qualname__}"
                added.setdefault(kind, found)
                known[kind] = (
                    pytree._SerializeNodeDef(kind, name, None, None)
                    if found is None else
                    found._replace(serialized_type_name=name))
            types[known[kind].serialized_type_name] = kind
    try:
        yield
    finally:
        for kind, found in added.items():
            if found is None:
                del known[kind]
            else:
                known[kind] = found


__all__ = ["named_types"]
