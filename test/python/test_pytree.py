"""Pytrees are flattened and rebuilt as torch does it, without torch."""

import collections
import json

import pytest
import torch.utils._pytree as pytree

from headrace._pytree import Fields, Spec

Point = collections.namedtuple("Point", ["x", "y"])
pytree._register_namedtuple(Point, serialized_type_name="test_pytree.Point")

TREES = [
    1,
    (1, 2),
    [1, (2, [3]), {}],
    {"b": 1, "a": [2, {"z": 3}]},
    collections.OrderedDict([("z", 1), ("a", 2)]),
    (Point(1, (2, 3)), None),
    ((1, None, [2]), {"mask": 3}),
]


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_round_trip(tree):
    leaves, torch_spec = pytree.tree_flatten(tree)
    spec = Spec(pytree.treespec_dumps(torch_spec))
    assert spec.leaves == len(leaves)
    assert spec.flatten(tree) == leaves
    rebuilt = spec.unflatten(leaves)
    assert rebuilt == tree
    assert type(rebuilt) is type(tree)


def test_wrong_length_is_named_with_its_place():
    spec = Spec(pytree.treespec_dumps(pytree.tree_flatten(((1, [2, 3]),))[1]))
    with pytest.raises(TypeError, match=r"arguments\[0\]\[1\]: expected 2 "
                                        r"values, got a list of 1"):
        spec.flatten(((1, [2]),))


def test_missing_key_is_named():
    spec = Spec(pytree.treespec_dumps(pytree.tree_flatten({"a": 1, "b": 2})[1]))
    with pytest.raises(TypeError, match=r"expected the keys \['a', 'b'\], got "
                                        r"\['a'\]"):
        spec.flatten({"a": 1})


def test_named_tuples_of_unknown_classes_become_tuples():
    leaves, torch_spec = pytree.tree_flatten(Point(1, 2))
    text = pytree.treespec_dumps(torch_spec)
    text = text.replace("test_pytree.Point", "nowhere.Thing")
    assert Spec(text).unflatten(leaves) == (1, 2)


def test_unknown_containers_become_fields():
    leaf = {"type": None, "context": None, "children_spec": []}
    result = Spec(json.dumps([1, {
        "type": "nowhere.Output", "context": '["x", "y"]',
        "children_spec": [leaf, leaf]}])).unflatten([1, 2])
    assert isinstance(result, Fields)
    assert (result.x, result["y"]) == (1, 2)
