"""Checks of a network of one's own: are its parts apart, and can its units be changed?"""

from __future__ import annotations

from typing import Any

from torch import nn

from lifelong.checking.answers import PASSED, Answer, check, note
from lifelong.checking.subject import Subject
from lifelong.errors import UsageError
from lifelong.models.parts import parts_of
from lifelong.plasticity.inputs import example_inputs
from lifelong.structure import Structure, StructureError

OUTPUTS = "they are the network's outputs"
"""Why the units of a last layer are fixed, in the words of `lifelong.structure`."""


@check("has its parts", "its feature extractor and its classifier are apart, for strategies that need them")
def has_its_parts(subject: Subject) -> Answer:
    """Look for the parts in the network as it is before any training."""
    network, inputs = _untrained(subject)
    try:
        parts_of(network, inputs[0])
    except UsageError as refusal:
        return note(f"strategies that need a feature extractor refuse it: {refusal}")
    return PASSED


@check("can be changed", "its hidden units can be added and removed, for strategies that grow and prune")
def can_be_changed(subject: Subject) -> Answer:
    """Look for layers whose units are fixed, apart from the network's outputs."""
    network, inputs = _untrained(subject)
    try:
        layers = Structure(network, *inputs).layers.values()
    except StructureError as error:
        return note(f"no strategy can grow or prune it: {error}")
    hidden = [layer for layer in layers if layer.name.partition(".")[0] != "classifier" and layer.fixed != OUTPUTS]
    fixed = [layer for layer in hidden if layer.fixed]
    if not fixed:
        return PASSED
    told = "; ".join(f"{layer.name}: {layer.fixed}" for layer in fixed)
    free = len(hidden) - len(fixed)
    return note(f"{free} of {len(hidden)} hidden layers can be grown and pruned, the others not ({told})")


def _untrained(subject: Subject) -> tuple[nn.Module, tuple[Any, ...]]:
    """Return the network before any training, and what it can be called with."""
    trial = subject.new_trial(*subject.floor)
    network = trial.progress.strategy.model
    return network, example_inputs(network, trial.benchmark.train_stream[0].dataset, "cpu")
