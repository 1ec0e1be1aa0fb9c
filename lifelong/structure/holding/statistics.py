"""Holds frozen running statistics through forward passes in training mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.structure.holding.marks import FROZEN

_SAVED = "_statistics_before"
"""The attribute in which a module keeps its statistics during a forward pass."""


def hold_statistics(module: nn.Module) -> None:
    """Hold the frozen entries of a module's own buffers (batch normalisation's statistics) through its forward passes.

    Call it when some entries are marked frozen. Once is enough, for copies and pickles of the module, too. Only the
    statistics are held: in training mode a batch normalisation normalises by the batch, not by them.
    """
    if list(_marked_buffers(module)) and _save_statistics not in module._forward_pre_hooks.values():
        module.register_forward_pre_hook(_save_statistics)
        module.register_forward_hook(_restore_statistics)


def _marked_buffers(module: nn.Module) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Return the name, the buffer and its mark for each buffer that has a mark."""
    for name, mark in module._buffers.items():
        buffer = module._buffers.get(name.removesuffix(FROZEN)) if name.endswith(FROZEN) else None
        if mark is not None and buffer is not None:
            yield name.removesuffix(FROZEN), buffer, mark


def _save_statistics(module: nn.Module, _: Any) -> None:
    if module.training:
        module.__dict__[_SAVED] = {name: buffer.clone() for name, buffer, _ in _marked_buffers(module)}


def _restore_statistics(module: nn.Module, *_: Any) -> None:
    saved = module.__dict__.pop(_SAVED, {})
    for name, buffer, mark in _marked_buffers(module):
        if name in saved:
            # Written past autograd, which keeps the statistics for the backward pass, as the forward pass itself does.
            buffer.data.copy_(torch.where(mark, saved[name], buffer))
