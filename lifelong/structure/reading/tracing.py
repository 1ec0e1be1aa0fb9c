"""Follows one forward pass without any arithmetic, and finds which sizes belong together.

The network runs on torch's meta device, where tensors have shapes and no values. `Trace` sees every operation that
torch runs, whoever calls it, and tells the operation's rule (`rules`), which labels the result (`labels`).

For `Sequential(Linear(3, 5), ReLU(), Linear(5, 2))` and an input of shape (1, 3) these operations are seen:

    aten.t(0.weight)              the labels of both dimensions change places
    aten.addmm(0.bias, input, …)  the result has the labels of the rows of 0.weight, joined with those of 0.bias
    aten.relu(…)                  the labels stay
    aten.t(2.weight)
    aten.addmm(2.bias, …, …)      the columns of 2.weight are joined with the rows of 0.weight

and these calls of modules, by which layers get their names and errors their places: `0`, `1`, `2` and the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from lifelong.structure.contexts import evaluating, standing_in
from lifelong.structure.errors import StructureError
from lifelong.structure.holding.marks import is_mark
from lifelong.structure.holding.undo import undone
from lifelong.structure.reading.alternatives import try_alternatives
from lifelong.structure.reading.attention import follow, reason_against
from lifelong.structure.reading.labels import Labels
from lifelong.structure.reading.outputs import outputs_in
from lifelong.structure.reading.results import result_of
from lifelong.structure.reading.rules import apply_rule, tensors_in

aten = torch.ops.aten


@dataclass(frozen=True)
class Flow:
    """Says what goes through a module in one forward pass.

    Attributes:
        inputs: the shape of each positional argument; None where it is no tensor.
        output: the shape of what it returns; None where that is no tensor.
        calls: how often it was called.
        ends: whether it returns one of the network's outputs, or something with the same units.
    """

    inputs: tuple[torch.Size | None, ...]
    output: torch.Size | None
    calls: int = 1
    ends: bool = False


@dataclass
class Call:
    """Keeps what a module was first called with, what it returned, and how often it was called."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    count: int = 1


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows a network's forward pass.

    Attributes:
        labels: the labels of its tensors, and what was found out about them.
        calls: the calls of its modules, by name, in the order in which they ended.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.labels = Labels()
        self.calls: dict[str, Call] = {}
        self._modules = dict(network.named_modules())
        self._names = {module: name for name, module in self._modules.items()}
        self._stack: list[str] = []
        self._attention = 0
        self._reached: set[int] = set()
        self._scores: list[tuple[Tensor, str, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = list(args), kwargs or {}
        inputs = tensors_in([*args, *kwargs.values()])
        self._reached.update(map(id, inputs))
        # Integers and masks keep their values, because these may decide what runs (task labels). Where such a tensor
        # meets one without values, torch refuses to mix devices: it loses its values, too.
        if any(tensor.is_meta for tensor in inputs) and not all(tensor.is_meta for tensor in inputs):
            args, kwargs = tree_map(self._without_data, (self._with_rows(func, args), kwargs))
        out = result_of(func, args, kwargs)
        # Inside an attention nothing is labelled: `follow` labels its result as a whole when it returns.
        if not self._attention:
            self.labels.where, self.labels.module = self.where, self._modules.get(self.where)
            inputs = tensors_in([*args, *kwargs.values()])
            # What depends on the input is an activation; what is computed from parameters alone is still a weight.
            if not all(self.labels.is_weight(tensor) for tensor in inputs):
                for tensor in tensors_in([out]):
                    self.labels.from_input(tensor)
            apply_rule(self.labels, func, out, args, kwargs)
        return out

    @contextmanager
    def following(self) -> Iterator[None]:
        """Note which module is being called, for names and for errors."""
        hooks = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, with_kwargs=True),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def where(self) -> str:
        """Return the name of the module that is being called; empty outside of all."""
        return self._stack[-1] if self._stack else ""

    def reached(self, tensor: Tensor) -> bool:
        """Tell whether an operation took the tensor."""
        return id(tensor) in self._reached

    def fix_used_scores(self, outputs: list[Tensor]) -> None:
        """Fix heads where the attention's second result is used: it has a row for each head, or their mean."""
        for scores, name, heads in self._scores:
            if self.reached(scores) or any(scores is output for output in outputs):
                self.labels.fix(heads, f"the attention weights that {name!r} returns are used")

    def _enter(self, module: nn.Module, _: Any) -> None:
        # The hooks are torch's global ones: modules of other networks are not ours to follow.
        if module in self._names:
            self._stack.append(self._names[module])
            # Counted, because one attention may hold another.
            self._attention += isinstance(module, nn.MultiheadAttention)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if module not in self._names:
            return
        name = self._stack.pop()
        if isinstance(module, nn.MultiheadAttention):
            self._attention -= 1
            self.labels.where = name
            follow(self.labels, module, [*args, *kwargs.values()][:3], output[0])
            if output[1] is not None and reason_against(module) is None:
                self._reached.discard(id(output[1]))  # only the attention itself has used it so far
                self._scores.append((output[1], name, self.labels.of(module.in_proj_weight)[0]))
        if name in self.calls:
            # The first call stands for the others: units that pass through twice are joined by their labels.
            self.calls[name].count += 1
        else:
            self.calls[name] = Call(args, kwargs, output)

    def _with_rows(self, func: Any, args: list[Any]) -> list[Any]:
        """Turn an index by a mask into one by row numbers; how many there are cannot be known without values."""
        if func.overloadpacket in (aten.index, aten.index_put_, aten.index_put):
            rows = [
                index.nonzero().flatten()
                if index is not None and not index.is_meta and index.dtype is torch.bool
                else index
                for index in args[1]
            ]
            return [args[0], rows, *args[2:]]
        return args

    def _without_data(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.is_meta:
            return value
        # The stand-in is the same tensor as far as labels are concerned.
        stand_in = torch.empty_like(value, device="meta")
        self.labels.put(stand_in, self.labels.of(value))
        if not self.labels.is_weight(value):
            self.labels.from_input(stand_in)
        return stand_in


def trace(network: nn.Module, inputs: tuple[Any, ...]) -> Trace:
    """Follow one forward pass in eval mode. Nothing is computed, drawn or updated.

    Args:
        network: a network of any modules.
        inputs: an example of the arguments that it is called with.

    Raises:
        StructureError: if the network cannot run so, or has parameters that these inputs do not reach.
    """
    traced = Trace(network)
    stand_ins = _stand_ins(network, traced.labels)
    examples = tree_map(_example, inputs)
    for example in tensors_in(examples):
        traced.labels.from_input(example)
    with (
        undone(network),
        torch.no_grad(),
        evaluating(network),
        standing_in(network, stand_ins),
        traced.following(),
        traced,
    ):
        try:
            output = network(*examples)
            try_alternatives(network, traced.calls, traced.labels)
        except StructureError:
            raise
        except Exception as error:
            place = f"module {traced.where!r}" if traced.where else "the network itself"
            # torch's errors about shapes speak for themselves.
            kind = "" if isinstance(error, RuntimeError) else f"{type(error).__name__}: "
            reason = next(iter(str(error).strip().splitlines()), "no reason is given")
            raise StructureError(f"{place} cannot run on inputs of this shape: {kind}{reason}") from error
    traced.labels.where = ""
    outputs = outputs_in(output)
    if not outputs:
        raise StructureError(f"the network returns {type(output).__name__}, in which no tensor is found")
    for tensor in outputs:
        traced.labels.end(tensor, "they are the network's outputs")
    traced.fix_used_scores(outputs)
    _refuse_unreached(network, traced, stand_ins)
    return traced


def _stand_ins(network: nn.Module, labels: Labels) -> dict[str, Tensor]:
    """Return labelled stand-ins for all parameters and buffers: without values, but for integers and masks."""
    tensors = {}
    # Parameters first: `pointwise` counts on their labels being smaller than those of buffers.
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if not is_mark(name):
            tensors[name] = _example(tensor.detach())
            labels.add(name, tensors[name])
    return tensors


def _example(value: Any) -> Any:
    """Return a floating-point tensor without its values, which do not matter, and a copy of any other tensor."""
    if not isinstance(value, Tensor):
        return value
    with torch.no_grad():
        return torch.empty_like(value, device="meta") if value.is_floating_point() else value.detach().clone()


def _refuse_unreached(network: nn.Module, traced: Trace, tensors: dict[str, Tensor]) -> None:
    # Labels that no operation saw are joined with nothing: a unit could go elsewhere and stay here.
    missed = [name for name, _ in network.named_parameters() if not traced.reached(tensors[name])]
    if missed:
        raise StructureError(
            f"the example inputs do not reach {', '.join(map(repr, missed[:3]))}{' and others' if missed[3:] else ''}: "
            "what depends on them cannot be known"
        )
