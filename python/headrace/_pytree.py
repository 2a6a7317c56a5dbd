"""The nested containers of a call, as torch.export records them.

A spec is JSON text: ``[1, node]``, where a node is
``{"type": ..., "context": ..., "children_spec": [...]}`` and a leaf has type
null. This module flattens arguments and rebuilds results by such a spec
without torch. Containers that torch registers under other names (dataclasses,
model outputs) come back as their own class if it is known or can be imported,
else as a ``Fields``, and named tuples as a tuple.
"""

from __future__ import annotations

import collections
import importlib
import json
import sys
from typing import Any, Iterator, Mapping


class Fields(collections.OrderedDict[str, Any]):
    """A result with named fields, by key and by attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Spec:
    """``types`` has classes by the names that the spec has for them: those that
    cannot be imported by these."""

    def __init__(self, text: str,
                 types: Mapping[str, type] | None = None) -> None:
        version, node = json.loads(text)
        if version != 1:
            raise ValueError(f"pytree spec of version {version}; 1 is known")
        self.root = _Node(node, types or {})

    @property
    def leaves(self) -> int:
        return self.root.leaves

    def find_names(self, count: int) -> tuple[str, ...] | None:
        """Of a call with so many leaves and no containers: the names of those,
        the last ones, that are given by name; None if it is no such call."""
        root = self.root
        if (root.type != "builtins.tuple" or len(root.children) != 2 or
                root.children[0].type != "builtins.tuple" or
                root.children[1].type != "builtins.dict"):
            return None
        positions, names = root.children
        if (any(child.type is not None
                for child in (*positions.children, *names.children)) or
                len(positions.children) + len(names.children) != count):
            return None
        return tuple(sys.intern(str(key)) for key in names.keys)

    @property
    def kind(self) -> str:
        """"single", "tuple" or "list" of leaves; empty if it is neither."""
        if self.root.type is None:
            return "single"
        kind = {"builtins.tuple": "tuple", "builtins.list": "list"}.get(
            self.root.type, "")
        return kind if all(c.type is None for c in self.root.children) else ""

    def flatten(self, tree: Any) -> list[Any]:
        out: list[Any] = []
        self.root.flatten(tree, out, "arguments")
        return out

    def unflatten(self, leaves: list[Any]) -> Any:
        return self.root.unflatten(iter(leaves))


_SEQUENCES = {"builtins.tuple": tuple, "builtins.list": list,
              "collections.deque": collections.deque}
_NAMED_TUPLE = "collections.namedtuple"
_MAPPINGS: dict[str, Any] = {
    "builtins.dict": dict,
    "collections.OrderedDict": collections.OrderedDict,
    "collections.defaultdict": collections.defaultdict}


class _Node:
    def __init__(self, spec: dict[str, Any],
                 types: Mapping[str, type]) -> None:
        self.type: str | None = spec.get("type")
        self.context = spec.get("context")
        self._types = types
        self.children = [_Node(c, types)
                         for c in spec.get("children_spec") or []]
        self.leaves: int = (1 if self.type is None else
                       sum(c.leaves for c in self.children))
        if isinstance(self.context, str) and self.type != _NAMED_TUPLE:
            self.context = json.loads(self.context)
        #: Of a dataclass: fields that were None, which have no leaves.
        self.nones: list[str] = []
        self.keys = self._find_keys()

    def _find_keys(self) -> list[Any]:
        if self.type is None or self.type in _SEQUENCES:
            return []
        if self.type == _NAMED_TUPLE:  # its context is its class's name
            fields = getattr(self._find_class(str(self.context)), "_fields", ())
            return (list(fields) if len(fields) == len(self.children) else
                    list(range(len(self.children))))
        context = self.context
        if isinstance(context, dict):  # a defaultdict has its factory too
            context = context.get("dict_context", [])
        if (isinstance(context, list) and len(context) == 2 and
                all(isinstance(names, list) for names in context) and
                len(context[0]) == len(self.children)):
            self.nones = context[1]
            return list(context[0])
        keys = _first_list_of(context, len(self.children))
        return keys if keys is not None else list(range(len(self.children)))

    def flatten(self, tree: Any, out: list[Any], where: str) -> None:
        if self.type is None:
            out.append(tree)
            return
        for child, value, name in self._children_of(tree, where):
            child.flatten(value, out, name)

    def _children_of(self, tree: Any, where: str) -> Iterator[Any]:
        if self.type in _SEQUENCES:
            if (not isinstance(tree, (tuple, list, collections.deque))
                    or len(tree) != len(self.children)):
                raise TypeError(f"{where}: expected {len(self.children)} "
                                f"values, got {_describe(tree)}")
            for i, child in enumerate(self.children):
                yield child, tree[i], f"{where}[{i}]"
            return
        if isinstance(tree, collections.abc.Mapping):
            names = set(tree)
            if names != set(self.keys):
                raise TypeError(
                    f"{where}: expected the keys {sorted(map(str, self.keys))}"
                    f", got {sorted(map(str, names))}")
            for key, child in zip(self.keys, self.children):
                yield child, tree[key], f"{where}[{key!r}]"
            return
        if self.type in _MAPPINGS:
            raise TypeError(f"{where}: expected a mapping with the keys "
                            f"{self.keys}, got {_describe(tree)}")
        if isinstance(tree, tuple) and len(tree) == len(self.children):
            for i, child in enumerate(self.children):
                yield child, tree[i], f"{where}[{i}]"
            return
        for key in self.nones:
            if getattr(tree, key, None) is not None:
                raise TypeError(f"{where}.{key}: was None when the program was "
                                f"exported, got {_describe(getattr(tree, key))}")
        for key, child in zip(self.keys, self.children):
            if not hasattr(tree, str(key)):
                name = (self.context if self.type == _NAMED_TUPLE else
                        self.type)
                raise TypeError(f"{where}: expected a {name} with the "
                                f"field {key!r}, got {_describe(tree)}")
            yield child, getattr(tree, str(key)), f"{where}.{key}"

    def unflatten(self, leaves: Iterator[Any]) -> Any:
        if self.type is None:
            return next(leaves)
        values = [c.unflatten(leaves) for c in self.children]
        if self.type == "collections.deque":
            return collections.deque(values, self.context)
        if self.type in _SEQUENCES:
            return _SEQUENCES[self.type](values)
        if self.type in _MAPPINGS:
            return self._make_mapping(zip(self.keys, values))
        if self.type == _NAMED_TUPLE:
            cls = self._find_class(str(self.context))
            return cls(*values) if cls is not None else tuple(values)
        cls = self._find_class(str(self.type))
        if (isinstance(cls, type) and issubclass(cls, tuple)
                and not hasattr(cls, "_fields")):
            return cls(values)  # torch.Size, and what torch.max returns
        if cls is None and self.keys == list(range(len(values))):
            return tuple(values)
        fields = dict(zip(map(str, self.keys), values))
        fields.update(dict.fromkeys(self.nones))
        if cls is not None:
            try:
                return cls(**fields)
            except TypeError:  # not made of its fields
                pass
        return Fields(fields)

    def _make_mapping(self, items: Iterator[tuple[Any, Any]]) -> Any:
        assert self.type is not None
        if self.type != "collections.defaultdict":
            return _MAPPINGS[self.type](items)
        factory = None
        if isinstance(self.context, dict):
            factory = self._find_class(
                f"{self.context.get('default_factory_module')}."
                f"{self.context.get('default_factory_name')}")
        return collections.defaultdict(factory, items)

    def _find_class(self, name: str) -> Any:
        """The class of that name, or None where it is not to be had."""
        if name in self._types:
            return self._types[name]
        module, _, rest = name.rpartition(".")
        parts = [rest]
        while module:
            try:
                found: Any = importlib.import_module(module)
            except ImportError:  # a class around it
                module, _, rest = module.rpartition(".")
                parts.insert(0, rest)
                continue
            for part in parts:
                found = getattr(found, part, None)
            return found
        return None


def _first_list_of(value: Any, count: int) -> list[Any] | None:
    """The list of `count` keys in a context, however deep it is wrapped."""
    if isinstance(value, list):
        if len(value) == count and not any(
                isinstance(v, (list, dict)) for v in value):
            return value
        for part in value:
            found = _first_list_of(part, count)
            if found is not None:
                return found
    if isinstance(value, dict):
        return _first_list_of(list(value.values()), count)
    return None


def _describe(tree: Any) -> str:
    if isinstance(tree, (tuple, list)):
        return f"a {type(tree).__name__} of {len(tree)}"
    return f"a {type(tree).__name__}"
