"""What a user calls the dynamic dimensions of a model's inputs."""

from __future__ import annotations

import inspect
from typing import Any, Mapping, Sequence

#: Functions of sizes, which no size can be named after.
_RESERVED = {"min", "max", "mod", "floordiv", "ceildiv"}


def dim_names(module: Any, program: Any, args: Sequence[Any],
              kwargs: Mapping[str, Any], dynamic_shapes: Any) -> list[str]:
    """Options of hrcc that name the dimensions for which ``dynamic_shapes`` has
    a `torch.export.Dim`: an archive does not keep its name. ``args`` and
    ``kwargs`` are those that ``program`` was exported with."""
    if not dynamic_shapes:
        return []
    import torch
    import torch.utils._pytree as pytree
    bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    shapes = (dynamic_shapes if isinstance(dynamic_shapes, Mapping)
              else dict(zip(bound, dynamic_shapes)))
    found: dict[int, dict[int, str]] = {}

    def walk(value: Any, shape: Any) -> None:
        if isinstance(value, torch.Tensor):
            dims = (shape.items() if isinstance(shape, Mapping)
                    else enumerate(shape or ()))
            for number, dim in dims:
                name = getattr(dim, "__name__", "")
                if (isinstance(name, str) and name.isidentifier()
                        and name.isascii() and name not in _RESERVED):
                    found.setdefault(id(value), {})[number] = name
        elif isinstance(value, Mapping) and isinstance(shape, Mapping):
            for key in value:
                walk(value[key], shape.get(key))
        elif isinstance(value, (list, tuple)) and isinstance(shape, (list, tuple)):
            for one, own in zip(value, shape):
                walk(one, own)

    for name, value in bound.items():
        walk(value, shapes.get(name))
    leaves = pytree.tree_leaves((tuple(args), dict(kwargs)))
    return [f"--dim-name={name}.{number}={dim}"
            for name, leaf in zip(program.graph_signature.user_inputs, leaves)
            if isinstance(name, str)
            for number, dim in found.get(id(leaf), {}).items()]
