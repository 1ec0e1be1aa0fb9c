"""Finds what a forward pass leaves out: the members of a container of which one pass runs only some.

A multi-task classifier holds a head for each task and runs that of one task. A unit less in front of it is a column
less in every head, so that the heads that did not run have to be followed as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from lifelong.structure.reading.labels import Labels
from lifelong.structure.reading.outputs import outputs_in


def try_alternatives(network: nn.Module, calls: Mapping[str, Any], labels: Labels) -> None:
    """Call the members that did not run with the arguments of one that did, so that their labels are joined, too.

    Args:
        network: the network, while it is followed.
        calls: the modules that were called, with `args`, `kwargs` and `output`.
        labels: the labels of that pass.
    """
    for prefix, container in network.named_modules():
        if not isinstance(container, nn.ModuleDict | nn.ModuleList):
            continue
        members = [(f"{prefix}.{key}" if prefix else key, module) for key, module in container.named_children()]
        called = next((calls[name] for name, _ in members if name in calls), None)
        for name, module in members:
            # Where no member was called (a plain list of blocks, say), nothing tells what to call them with.
            if called and name not in calls and any(True for _ in module.parameters()):
                _join_outputs(labels, module(*called.args, **called.kwargs), called.output)


def _join_outputs(labels: Labels, output: Any, other: Any) -> None:
    """Join an alternative's units with its sibling's where the sizes agree; elsewhere they may not change."""
    pairs = zip(outputs_in(output), outputs_in(other), strict=False)
    for one, two in pairs:
        for dim, of_dim in labels.of(one).items():
            matching = labels.of(two).get(dim)
            if matching is not None and len(matching) == len(of_dim):
                labels.join(of_dim, matching)
            else:
                labels.fix(of_dim, "they are the outputs of one of several alternatives")
                labels.outputs.append(of_dim)
