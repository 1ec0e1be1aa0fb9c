"""The input of a module, caught in a forward pass that another part of the program makes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class Given:
    """Keeps the first argument of a module's last call between `watch` and `leave`. The module itself is not changed.

    >>> given, module = Given(), nn.Identity()
    >>> given.watch(module)
    >>> _ = module(Tensor([1.0, 2.0]))
    >>> given.leave()
    >>> given.take()
    tensor([1., 2.])
    """

    def __init__(self) -> None:
        self._value: Tensor | None = None
        self._hook: RemovableHandle | None = None

    def watch(self, module: nn.Module) -> None:
        """Start to keep what a module is given."""
        self._hook = module.register_forward_pre_hook(self._keep)

    def leave(self) -> None:
        """Stop keeping it. What was kept can still be taken."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = None

    def take(self) -> Tensor:
        """Return what the module was given, with its autograd graph, and keep it no longer."""
        value, self._value = self._value, None
        assert value is not None
        return value

    def _keep(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        del module
        self._value = given[0]
