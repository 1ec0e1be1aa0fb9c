"""Runs a network by a caller's closure and sees what goes through its modules; nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lifelong.structure.contexts import evaluating, standing_in
from lifelong.structure.errors import StructureError
from lifelong.structure.holding.undo import undone

Closure = Callable[[], Tensor]
"""Runs the network on a batch and returns the scalar loss, like `torch.optim.LBFGS`'s closure without `backward`."""


@dataclass(eq=False)
class Pass:
    """Keeps what one run of a closure showed.

    Attributes:
        loss: what the closure returned.
        order: the watched modules, in the order in which they were called.
        inputs: for each watched module its last call's first argument, with its graph where gradients were asked for.
        outputs: for each watched module what its last call returned, detached.
        added: for each watched module what was added to its output.
    """

    loss: Tensor = field(default_factory=lambda: torch.zeros(()))
    order: list[str] = field(default_factory=list)
    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    added: dict[str, Tensor] = field(default_factory=dict)

    def gradients(self, names: list[str]) -> dict[str, Tensor]:
        """Return the gradient of the loss with respect to these modules' outputs, of the outputs' shapes.

        Raises:
            StructureError: if the closure did not return a finite scalar that has a gradient.
        """
        if not isinstance(self.loss, Tensor) or self.loss.numel() != 1:
            raise StructureError(
                "the closure has to return the loss, a scalar tensor, without calling backward; "
                f"it returned {self.loss!r}"
            )
        if not bool(self.loss.detach().isfinite()):
            raise StructureError(f"the closure's loss is {float(self.loss.detach())}")
        if not self.loss.requires_grad:
            raise StructureError(f"the closure's loss has no gradient with respect to {names[0]!r}")
        gradients = torch.autograd.grad(self.loss, [self.added[name] for name in names], materialize_grads=True)
        return dict(zip(names, gradients, strict=True))


def run(
    network: nn.Module,
    closure: Closure,
    watched: list[str],
    *,
    added: Mapping[str, Tensor] | None = None,
    instead: Mapping[str, Tensor] | None = None,
    gradients: bool = True,
) -> Pass:
    """Run the closure in eval mode, without touching statistics, gradients or torch's random numbers.

    Args:
        network: the network that the closure runs.
        closure: see `Closure`.
        watched: the names of the modules to look at.
        added: what to add to the outputs of some of them, by their names.
        instead: tensors to use in the place of parameters and buffers, by the names of these.
        gradients: whether to record what gradients need.

    Raises:
        StructureError: if the closure is no function.
    """
    if not callable(closure):
        raise StructureError(f"the closure has to be a function that returns the loss, not a {type(closure).__name__}")
    seen = Pass()
    # Dropout in a caller's own code may draw: the random numbers of all devices in use are put back.
    devices = {tensor.device for tensor in network.parameters() if tensor.device.type == "cuda"}
    # A hook that adds to outputs must not run outside of this pass: the stack takes everything back, error or not.
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=list(devices)))
        stack.enter_context(undone(network))
        stack.enter_context(evaluating(network))
        stack.enter_context(standing_in(network, instead or {}))
        for name in watched:
            module = network.get_submodule(name)
            hook = _watch(seen, name, (added or {}).get(name))
            stack.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
        with torch.set_grad_enabled(gradients):
            seen.loss = closure()
    return seen


def _watch(seen: Pass, name: str, extra: Tensor | None) -> Callable[..., Tensor]:
    def hook(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor) -> Tensor:
        seen.order.append(name)
        read = args[0] if args else next(iter(kwargs.values()))
        seen.inputs[name] = read.clone()  # a later operation may be in place
        seen.outputs[name] = output.detach()
        # A leaf of its own: the output has a gradient even where nothing before it is trained.
        seen.added[name] = (torch.zeros_like(output) if extra is None else extra).detach().requires_grad_()
        return output + seen.added[name]

    return hook
