"""Moments of training that are made up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from lifelong.plasticity.moment import Memory, Moment, MomentKind


@pytest.fixture
def at():
    """Make a moment: a step with the loss and accuracy of its batch, or another kind with the last epoch's averages."""

    def make(kind=MomentKind.STEP, *, step=0, structure=None, activations=None, generator=None, **measured):
        batch = SimpleNamespace(**{name: torch.tensor(value, dtype=torch.float64) for name, value in measured.items()})
        return Moment(
            kind=kind,
            step=step,
            layers=tuple(activations or ()),
            structure=structure,
            batch=batch,
            memory=Memory(generator or torch.Generator()),
            recorded=SimpleNamespace(of=lambda layer: activations[layer]),
            averages={} if kind is MomentKind.STEP else measured,
        )

    return make


@pytest.fixture
def fired(at):
    """Show a trigger one moment of a kind after the other; return {number: value} of those at which it fired."""

    def run(trigger, values, kind=MomentKind.EPOCH, of="loss"):
        found = {}
        for number, value in enumerate(values):
            firing = trigger.fires(at(kind, **{of: value}) if value is not None else at(MomentKind.START))
            if firing is not None:
                found[number] = firing.value
        return found

    return run
