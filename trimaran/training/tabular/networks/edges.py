"""Edges that a decision tree finds, and the encoding that makes steps of them.

Y. Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning" (2022), encode
each number piecewise linearly between edges that a tree of that column alone finds. Here one tree
looks at all columns, so that an edge which only matters given another column is found as well, and
each edge is a narrow ramp.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor, nn

__all__ = ["Edges", "StepEncoding", "edge_columns", "tree_edges"]

Edges = Sequence[npt.NDArray[np.float64]]


def tree_edges(
    features: npt.NDArray[np.float32],
    target: npt.NDArray[np.bool_],
    leaf_nodes: int,
    min_leaf: int,
    seed: int,
) -> Edges:
    """The cuts of one decision tree, float64, ascending, for each column of `features`.

    `features` is `[rows, columns]`, `target` `[rows]`, both of the training part alone.
    """
    tree = DecisionTreeClassifier(
        max_leaf_nodes=leaf_nodes, min_samples_leaf=min_leaf, random_state=seed
    )
    cuts = tree.fit(features, target).tree_
    inner = cuts.children_left >= 0
    return [
        np.unique(cuts.threshold[inner & (cuts.feature == column)])
        for column in range(features.shape[1])
    ]


def edge_columns(edges: Edges) -> list[int]:
    """The column of each edge."""
    return [column for column, of_column in enumerate(edges) for _ in of_column]


class StepEncoding(nn.Module):
    """Features `[batch, columns]` to features and steps `[batch, columns + edges]`.

    A step rises from -1 to 1 over `width` around its edge.
    """

    column: Tensor
    edge: Tensor

    def __init__(self, edges: Edges, width: float) -> None:
        super().__init__()
        columns = edge_columns(edges)
        self.register_buffer("column", torch.tensor(columns, dtype=torch.long))
        self.register_buffer("edge", torch.tensor(np.concatenate(edges), dtype=torch.float32))
        self.steepness = 1.0 / width
        self.out_features = len(edges) + len(columns)

    def forward(self, features: Tensor) -> Tensor:
        """float32 in and out."""
        above = (torch.index_select(features, 1, self.column) - self.edge) * self.steepness
        step = torch.clamp(above + 0.5, 0.0, 1.0)
        return torch.cat([features, 2.0 * step - 1.0], dim=1)
