"""The controls of growth: the same strategy without its rules, on a network of one size for the whole stream.

A strategy that grows may do better because it grew at the right time, or just because it is larger. These tell which.
How large its network becomes on the same stream with the same seed is found by training it once more beforehand, which
the control's own training time does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from lifelong.contracts import strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong import Setup

DEFAULTS: dict[str, Any] = {}
"""The other strategy's own; only ever read."""

SOURCE = "Dohare et al. 2024, Nature 632 (fixed networks as baselines); the time-averaged size is our choice"


@strategy(source=SOURCE, role="control")
def matched_initial(setup: Setup, of: str = "dropin", parameters: dict[str, Any] = DEFAULTS) -> Any:
    """The strategy without its rules, on a network of the size that it begins with.

    Parameters:
        of: the strategy that grows.
        parameters: of that strategy, where they differ from its defaults.
    """
    return _matched(setup, of, parameters, "initial")


@strategy(source=SOURCE, role="control")
def matched_final(setup: Setup, of: str = "dropin", parameters: dict[str, Any] = DEFAULTS) -> Any:
    """The strategy without its rules, on a network of the size that it ends with, from the start.

    Parameters:
        of: the strategy that grows.
        parameters: of that strategy, where they differ from its defaults.
    """
    return _matched(setup, of, parameters, "final")


@strategy(source=SOURCE, role="control")
def matched_average(setup: Setup, of: str = "dropin", parameters: dict[str, Any] = DEFAULTS) -> Any:
    """The strategy without its rules, on a network of the size that it has on average over all updates.

    Each layer has its own average, rounded to whole units.

    Parameters:
        of: the strategy that grows.
        parameters: of that strategy, where they differ from its defaults.
    """
    return _matched(setup, of, parameters, "average")


def _matched(setup: Setup, of: str, parameters: dict[str, Any], size: Literal["initial", "final", "average"]) -> Any:
    from lifelong.training.dry_run import changers

    if setup.dry_run is None:
        raise UsageError("a matched control has to know the stream: run it on a board, and make no control of it")
    if size != "initial":
        setup.dry_run.check(of, parameters)
    made = setup.other(of, parameters)
    rules = changers(of, made)
    made.plugins = [plugin for plugin in made.plugins if plugin not in rules]
    if size != "initial":
        setup.before_training.append(partial(_resize, setup, of, parameters, size))
    return made


def _resize(setup: Setup, of: str, parameters: dict[str, Any], size: Literal["final", "average"]) -> None:
    """Give each layer the units that it should have, and draw all weights as those of a network of that size."""
    from torch import get_rng_state, set_rng_state

    from lifelong.structure import Fresh, Structure, create_units, reinitialise_units, remove_units

    assert setup.dry_run is not None
    state = get_rng_state()
    widths: Mapping[str, float] = getattr(setup.dry_run.widths(of, parameters), size)
    set_rng_state(state)
    structure = Structure(setup.model, *setup.inputs, optimizer=setup.optimizer)
    for name, width in widths.items():
        have, want = structure.layer(name).units, max(1, round(width))
        if want > have:
            create_units(structure, name, want - have, Fresh())
        elif want < have:
            remove_units(structure, name, range(want, have))
    for name in widths:
        reinitialise_units(structure, name, range(structure.layer(name).units), Fresh())
