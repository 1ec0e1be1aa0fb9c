"""What a strategy's network reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong import Setup


def input_shape(setup: Setup) -> tuple[int, ...]:
    """The shape of one sample.

    Raises:
        UsageError: if there is no example of it.
    """
    if not setup.inputs:
        raise UsageError("what the network reads is not known: give load_strategy an example, as inputs=(x,)")
    return tuple(setup.inputs[0].shape[1:])
