"""Whole networks: their logits are found in what they return, and their feature extractor and head are told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from lifelong.errors import UsageError
from lifelong.models.heads import answer_of


class Logits(nn.Module):
    """A network that returns more than logits, of which only these are passed on.

    Args:
        network: the network. It returns a mapping, a named tuple or an object.
        field: the key or the attribute that holds the logits.
    """

    def __init__(self, network: nn.Module, field: str) -> None:
        super().__init__()
        self.network = network
        self.field = field

    def forward(self, x: Any) -> Tensor:
        """Return logits of shape (n, outputs)."""
        return logits_in(self.network(x), self.field)


def logits_in(result: Any, field: str) -> Tensor:
    """Return the logits in what a network returned.

    >>> logits_in({"logits": Tensor([0.0]), "hidden": Tensor([1.0])}, "logits")
    tensor([0.])

    Args:
        result: a tensor, a mapping, a tuple, or an object.
        field: the key or the attribute that holds the logits; in a tuple without names, a position.

    Raises:
        UsageError: if there is no such field, or it holds no tensor.
    """
    if isinstance(result, Tensor):
        return result
    if isinstance(result, Mapping):
        found = result.get(field)
    elif isinstance(result, tuple | list) and field.isdecimal():
        found = result[int(field)] if int(field) < len(result) else None
    else:
        found = getattr(result, field, None)
    if not isinstance(found, Tensor):
        raise UsageError(
            f"the network returns {type(result).__name__} with {', '.join(_fields(result)) or 'no field'}, and no "
            f"tensor called {field!r}: say which holds the logits, as in @lifelong.model(logits='...')"
        )
    return found


def _fields(result: Any) -> Iterable[str]:
    if isinstance(result, Mapping):
        return map(str, result)
    if names := getattr(result, "_fields", None):
        return list(names)
    if is_dataclass(result):
        return [field.name for field in fields(result)]
    return map(str, range(len(result))) if isinstance(result, tuple | list) else sorted(vars(result))


def split(network: nn.Module, x: Tensor) -> tuple[nn.Module, nn.Linear] | None:
    """Take a network's last linear layer off, where its output is that of the network.

    Args:
        network: a network from x to logits; it loses its head.
        x: an example of its input, of shape (n, ...).

    Returns:
        The feature extractor, which is the same network without its head, and the head; None where the network does
        not end in a linear layer that reads one row of features for each sample, or calls it more than once.
    """
    called: list[tuple[str, Tensor, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda _, given, out, name=name: called.append((name, given[0], out)))
        for name, module in network.named_modules()
        if type(module) is nn.Linear
    ]
    logits = answer_of(network, x)
    for hook in hooks:
        hook.remove()
    last = [(name, given) for name, given, out in called if out is logits]
    if len(last) != 1 or last[0][1].dim() != 2 or [name for name, _, _ in called].count(last[0][0]) > 1:
        return None
    name = last[0][0]
    if not name:  # the network is itself a linear layer
        return None
    head = network.get_submodule(name)
    assert isinstance(head, nn.Linear)
    network.set_submodule(name, nn.Identity())
    return network, head
