"""Ensembles of decision trees as a module of torch, which every format captures as it does others.

A split compares a float32 feature with a float64 threshold, so the threshold becomes the largest
float32 that is no greater, and both decide alike for every feature. Leaves are their own children:
all rows take as many steps as the deepest tree has, and those that have arrived stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

__all__ = ["Tree", "TreeEnsemble", "lightgbm_trees", "of_trees", "sklearn_trees"]


@dataclass(frozen=True)
class Tree:
    """One tree, its root first; a leaf has itself as both children.

    `feature`, `left` and `right` are int64 `[nodes]`, `threshold` float64 `[nodes]`, and `value`,
    float64 `[nodes, outputs]`, is what a leaf adds.
    """

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

    def of_output(self, output: int) -> Tree:
        """The tree with one of its outputs."""
        return replace(self, value=self.value[:, output : output + 1])

    @property
    def depth(self) -> int:
        """The steps to the farthest leaf."""
        reached, steps = {0}, -1
        while reached:
            inner = [node for node in reached if self.left[node] != node]
            reached = {
                int(child) for node in inner for child in (self.left[node], self.right[node])
            }
            steps += 1
        return steps


class TreeEnsemble(nn.Module):
    """The sum of what each tree's leaf adds, for features `[batch, columns]`.

    Its sizes are those of its buffers, so one that is built of tensors of a saved state's shapes
    loads that state.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    depth: Tensor

    def __init__(self, buffers: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in ("feature", "threshold", "left", "right", "value", "depth"):
            self.register_buffer(name, buffers[name])
        self.steps = int(buffers["depth"])

    def forward(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to float32 `[batch, outputs]`."""
        trees, nodes = self.feature.shape
        root = torch.arange(0, trees * nodes, nodes, device=features.device)
        place = root.unsqueeze(0).expand(features.shape[0], trees)
        for _ in range(self.steps):
            found = torch.gather(features, 1, self.feature.reshape(-1)[place])
            is_left = found <= self.threshold.reshape(-1)[place]
            left, right = self.left.reshape(-1)[place], self.right.reshape(-1)[place]
            place = root + torch.where(is_left, left, right)
        return self.value.reshape(trees * nodes, -1)[place].sum(dim=1)


def of_trees(trees: Sequence[Tree]) -> TreeEnsemble:
    """The module of several trees, which are padded to the size of the largest."""
    nodes = max(len(tree.feature) for tree in trees)
    outputs = trees[0].value.shape[1]

    def padded(name: str, dtype: Any, *rest: int) -> Tensor:
        whole = np.zeros((len(trees), nodes, *rest), dtype)
        for place, tree in enumerate(trees):
            part = getattr(tree, name)
            whole[place, : len(part)] = part
        return torch.from_numpy(whole)

    threshold = padded("threshold", np.float64).numpy()
    return TreeEnsemble(
        {
            "feature": padded("feature", np.int64),
            "threshold": torch.from_numpy(_no_greater(threshold)),
            "left": padded("left", np.int64),
            "right": padded("right", np.int64),
            "value": padded("value", np.float32, outputs),
            "depth": torch.tensor(max(tree.depth for tree in trees)),
        }
    )


def sklearn_trees(estimators: Sequence[Any]) -> list[Tree]:
    """The fitted trees of a forest of scikit-learn, each leaf with its share of the mean.

    Of a classifier the outputs are the classes' probabilities, of a regressor its one value.
    """
    return [_of_sklearn(estimator.tree_, 1 / len(estimators)) for estimator in estimators]


def lightgbm_trees(model: Mapping[str, Any]) -> list[Tree]:
    """The trees of a model as `Booster.dump_model` gives it: raw scores, one output a class.

    Raises `ValueError` for a split that is not by a number.
    """
    outputs = int(model["num_tree_per_iteration"])
    return [
        _of_lightgbm(tree["tree_structure"], place % outputs, outputs)
        for place, tree in enumerate(model["tree_info"])
    ]


def _of_sklearn(tree: Any, share: float) -> Tree:
    own = np.arange(tree.node_count)
    is_leaf = tree.children_left < 0
    return Tree(
        np.where(is_leaf, 0, tree.feature).astype(np.int64),
        np.where(is_leaf, 0.0, tree.threshold),
        np.where(is_leaf, own, tree.children_left),
        np.where(is_leaf, own, tree.children_right),
        tree.value[:, 0, :] * share,
    )


def _of_lightgbm(root: Mapping[str, Any], output: int, outputs: int) -> Tree:
    nodes = list(_breadth_first(root))
    feature, left, right = (np.zeros(len(nodes), np.int64) for _ in range(3))
    threshold, value = np.zeros(len(nodes)), np.zeros((len(nodes), outputs))
    for place, (node, first_child) in enumerate(nodes):
        if "leaf_value" in node:
            left[place] = right[place] = place
            value[place, output] = node["leaf_value"]
            continue
        if node["decision_type"] != "<=":
            raise ValueError(f"a split by {node['decision_type']}, and not by a number")
        feature[place], threshold[place] = node["split_feature"], node["threshold"]
        left[place], right[place] = first_child, first_child + 1
    return Tree(feature, threshold, left, right, value)


def _breadth_first(root: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Each node, and the place of its left child; the right one follows that."""
    waiting, count = [root], 1
    while waiting:
        below: list[Mapping[str, Any]] = []
        for node in waiting:
            yield node, count
            if "leaf_value" not in node:
                below += [node["left_child"], node["right_child"]]
                count += 2
        waiting = below


def _no_greater(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The largest float32 that is no greater, for each number."""
    with np.errstate(over="ignore"):
        near = numbers.astype(np.float32)
    return np.where(near > numbers, np.nextafter(near, np.float32(-np.inf)), near)
