"""What a module is given in a pass that somebody else makes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class Given:
    """Keeps the first argument of a module's last call, between `watch` and `leave`. The module keeps nothing of it."""

    def __init__(self) -> None:
        self._value: Tensor | None = None
        self._hook: RemovableHandle | None = None

    def watch(self, module: nn.Module) -> None:
        """Begin to look at a module."""
        self._hook = module.register_forward_pre_hook(self._keep)

    def leave(self) -> None:
        """Look no more; what was kept can still be taken."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = None

    def take(self) -> Tensor:
        """What the module was given, with its graph; it is kept no longer."""
        value, self._value = self._value, None
        assert value is not None
        return value

    def _keep(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        del module
        self._value = given[0]
