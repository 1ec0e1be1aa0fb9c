"""A strategy without its rules, on a network that has one size for the whole stream."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from avalanche.training.templates import SupervisedTemplate
from torch import get_rng_state, set_rng_state

from lifelong.errors import UsageError
from lifelong.structure import Fresh, Structure, create_units, reinitialise_units, remove_units
from lifelong.training.dry_run import changers

if TYPE_CHECKING:
    from lifelong import Setup


def without_rules(
    setup: Setup, of: str, parameters: dict[str, Any], size: Literal["initial", "final", "average"]
) -> SupervisedTemplate:
    """Make another strategy, take its rules away, and let its network have a fixed size.

    Args:
        setup: of this control.
        of: name of the other strategy.
        parameters: parameters of the other strategy.
        size: which of the sizes that the other strategy's network passes through.

    Raises:
        UsageError: if the stream is not known, or the other strategy cannot be trained beforehand.
    """
    if setup.dry_run is None:
        raise UsageError("a matched control has to know the stream: run it on a board, and make no control of it")
    if size != "initial":
        setup.dry_run.check(of, parameters)
    strategy = setup.other(of, parameters)
    rules = changers(of, strategy)
    strategy.plugins = [plugin for plugin in strategy.plugins if plugin not in rules]
    if size != "initial":
        setup.before_training.append(partial(_resize, setup, of, parameters, size))
    return strategy


def _resize(setup: Setup, of: str, parameters: dict[str, Any], size: Literal["final", "average"]) -> None:
    """Give each layer the units that it should have, and draw all weights as those of a network of that size."""
    assert setup.dry_run is not None
    state = get_rng_state()
    widths: Mapping[str, float] = getattr(setup.dry_run.widths(of, parameters), size)
    set_rng_state(state)  # the other strategy's training has drawn; the control must draw as if it had not
    structure = Structure(setup.model, *setup.inputs, optimizer=setup.optimizer)
    for name, width in widths.items():
        have, want = structure.layer(name).units, max(1, round(width))
        if want > have:
            create_units(structure, name, want - have, Fresh())
        elif want < have:
            remove_units(structure, name, range(want, have))
    for name in widths:
        reinitialise_units(structure, name, range(structure.layer(name).units), Fresh())
