"""Counts what a network costs: parameters, units, multiply-accumulates, memory; in all and by layer, after masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

from lifelong.structure.contexts import evaluating, standing_in
from lifelong.structure.holding.marks import masks, tensor_of
from lifelong.structure.holding.undo import undone


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Says what a layer, or a whole network, has and costs.

    Attributes:
        parameters: how many entries all parameters have. A tied one is counted once, in the layer that has it first.
        live_parameters: how many of them are not pruned.
        synapses: how many entries parameters of two or more dimensions have: weights, not biases or normalisation.
        live_synapses: how many of them are not pruned.
        units: how many neurons its linear layers have (the network's outputs, too), its convolutions channels, and its
            attentions heads.
        live_units: how many of them have at least one synapse to read with that is not pruned. Whether anyone reads the
            unit is not asked: that would need the analysis of the network.
        macs: how many multiply-accumulates one forward pass makes in eval mode, as if there were no masks. A module
            that is called twice counts twice.
        live_macs: the same, where a product with a weight counts by that weight's density.
        activation_bytes: how many bytes autograd keeps for the backward pass, with the inputs, without parameters and
            buffers.
    """

    parameters: int = 0
    live_parameters: int = 0
    synapses: int = 0
    live_synapses: int = 0
    units: int = 0
    live_units: int = 0
    macs: int = 0
    live_macs: int = 0
    activation_bytes: int = 0

    @property
    def density(self) -> float:
        """Return the share of synapses that are not pruned, from 0 to 1; 1 where there are no synapses."""
        return self.live_synapses / self.synapses if self.synapses else 1.0


@dataclass(frozen=True, kw_only=True)
class NetworkTally(Tally):
    """Says what a network has and costs.

    Attributes:
        layers: the same for each module that has parameters of its own, by its name. Parameters, synapses and units add
            up to the network's. Products of activations with each other, and what is kept for them, count for the
            innermost such module that is being called; outside of all modules they count for the network alone. What
            two layers keep together counts in both, and once for the network.
    """

    layers: Mapping[str, Tally]


Counts = dict[str | None, Counter[str]]
"""What was counted so far, by layer; under None what belongs to no layer."""


def count(network: nn.Module, *inputs: Any) -> NetworkTally:
    """Count by running the network twice on these inputs: in eval mode for the products, in train mode for the memory.

    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> tally = count(network, torch.zeros(1, 3))
    >>> tally.parameters, tally.synapses, tally.units, tally.macs, tally.density
    (32, 25, 7, 25, 1.0)
    >>> tally.layers["2"].macs
    10

    Nothing of the network changes: parameters, buffers, gradients, modes and random numbers stay as they are. Batch
    normalisation stays in eval mode, so that a batch of one is enough; in training it keeps two more numbers for each
    channel. Nothing is computed where network and inputs are on the meta device, which knows no masks:
    `count(deepcopy(network).to("meta"), x.to("meta"))`.

    Products are those of `torch.utils.flop_counter`, which counts two operations for each: matrix products,
    convolutions and attention, where padding and masked entries are multiplied, too. Elementwise operations and fused
    recurrent layers are not counted.

    Args:
        network: any network.
        inputs: what it is called with.

    Returns:
        The counts, as Python integers. What the network itself raises on inputs that it cannot take is passed on.
    """
    counts: Counts = defaultdict(Counter)
    masked = {id(tensor_of(network, name)): mask for name, mask in masks(network).items()}
    _count_parameters(network, masked, counts)
    _count_units(network, masked, counts)
    layers = {module: name for name, module in network.named_modules() if _has_parameters(module)}
    with _undisturbed(network, inputs) as (buffers, examples), _Calls(layers) as calls:
        with torch.no_grad(), _Products(network, masked, calls, counts):
            network(*examples)
        _set_training(network)
        kept = _Kept([*network.parameters(), *buffers.values()], calls)
        with torch.enable_grad(), saved_tensors_hooks(kept.pack, kept.unpack):
            output = network(*examples)
        total = kept.tally(counts)
        del output  # its graph held what is kept
    whole = sum(counts.values(), Counter[str]())
    whole["activation_bytes"] = total
    return NetworkTally(**whole, layers={name: Tally(**counts[name]) for name in layers.values()})


def _has_parameters(module: nn.Module) -> bool:
    return any(parameter is not None for parameter in module._parameters.values())


# --- what is there ----------------------------------------------------------------------------------------------------


def _count_parameters(network: nn.Module, masked: Mapping[int, Tensor], counts: Counts) -> None:
    for name, parameter in network.named_parameters():
        size = parameter.numel()
        live = _live(parameter, masked)
        layer = counts[name.rpartition(".")[0]]
        layer.update(parameters=size, live_parameters=live)
        if parameter.dim() > 1:
            layer.update(synapses=size, live_synapses=live)


def _live(parameter: Tensor, masked: Mapping[int, Tensor]) -> int:
    mask = masked.get(id(parameter))
    return parameter.numel() if mask is None else int(mask.sum())


def _count_units(network: nn.Module, masked: Mapping[int, Tensor], counts: Counts) -> None:
    for name, module in network.named_modules():
        weight = module._parameters.get("in_proj_weight" if isinstance(module, nn.MultiheadAttention) else "weight")
        if weight is None or (shape := _by_units(module, weight)) is None:
            continue
        mask = masked.get(id(weight))
        # A unit lives if any entry that it reads with does: the unit's dimensions are kept, all others reduced.
        live = shape[1] * shape[3] if mask is None else int(mask.reshape(shape).any(dim=4).any(dim=2).any(dim=0).sum())
        counts[name].update(units=shape[1] * shape[3], live_units=live)


def _by_units(module: Any, weight: Tensor) -> tuple[int, int, int, int, int] | None:
    """Return a shape of a layer's weight whose dimensions 1 and 3 are its units; None if it is no such layer."""
    if isinstance(module, nn.MultiheadAttention):
        return 3, module.num_heads, 1, 1, -1
    if isinstance(module, _ConvTransposeNd):
        return 1, module.groups, len(weight) // module.groups, weight.shape[1], -1
    if isinstance(module, nn.Linear | _ConvNd):
        return 1, len(weight), 1, 1, -1
    return None


# --- what it does -----------------------------------------------------------------------------------------------------


@contextmanager
def _undisturbed(network: nn.Module, inputs: tuple[Any, ...]) -> Iterator[tuple[dict[str, Tensor], tuple[Any, ...]]]:
    """Give copies of the buffers and inputs to run the network with; put modes and random numbers back."""
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    examples = tree_map(lambda value: value.detach().clone() if isinstance(value, Tensor) else value, inputs)
    tensors = [value for value in [*network.parameters(), *tree_leaves(examples)] if isinstance(value, Tensor)]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operations have no formula
    try:
        devices = {tensor.device for tensor in tensors if tensor.is_cuda}
        with undone(network), torch.random.fork_rng(devices), evaluating(network), standing_in(network, buffers):
            yield buffers, examples
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _set_training(network: nn.Module) -> None:
    for module in network.modules():
        module.training = not isinstance(module, _BatchNorm)


def _storage(tensor: Tensor) -> StorageWeakRef:
    """Return what views of the same memory have in common, while it is there."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


class _Calls:
    """Knows which layer is being called: the innermost module that has parameters of its own."""

    def __init__(self, layers: Mapping[nn.Module, str]) -> None:
        self._layers = layers
        self._stack: list[str | None] = [None]

    def __enter__(self) -> _Calls:
        self._hooks = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        ]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    @property
    def layer(self) -> str | None:
        return self._stack[-1]

    def _enter(self, module: nn.Module, _args: Any) -> None:
        self._stack.append(self._layers.get(module, self.layer))

    def _leave(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        self._stack.pop()


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts multiply-accumulates; those of a product with a weight count for the layer that has the weight."""

    def __init__(self, network: nn.Module, masked: Mapping[int, Tensor], calls: _Calls, counts: Counts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # By storage, because a product gets a view of the weight (its transpose), not the weight.
        self._weights = {
            _storage(weight): (name.rpartition(".")[0], _live(weight, masked), weight.numel())
            for name, weight in network.named_parameters()
            if weight.dim() > 1
        }
        self._calls = calls
        self._counts = counts

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula: Any = flop_registry.get(getattr(func, "overloadpacket", func))
        if formula is not None:
            macs = formula(*args, **(kwargs or {}), out_val=out) // 2  # a multiplication and an addition
            layer, live, whole = self._weight_among(args)
            self._counts[layer].update(macs=macs, live_macs=macs * live // whole)
        return out

    def _weight_among(self, args: Any) -> tuple[str | None, int, int]:
        """Return the layer of the weight, how many of its synapses are live, and how many it has."""
        for tensor in args:
            if isinstance(tensor, Tensor):
                weight = self._weights.get(_storage(tensor))
                if weight is not None:
                    return weight
        return self._calls.layer, 1, 1


class _Kept:
    """Sees what autograd keeps for the backward pass, by the memory in which it lies."""

    def __init__(self, own: Iterable[Tensor], calls: _Calls) -> None:
        self._own = {_storage(tensor) for tensor in own}
        self._calls = calls
        self._sizes: dict[str | None, dict[StorageWeakRef, int]] = defaultdict(dict)

    def pack(self, tensor: Tensor) -> Tensor:
        storage = _storage(tensor)
        if storage not in self._own:
            self._sizes[self._calls.layer][storage] = tensor.untyped_storage().nbytes()
        return tensor.detach()  # an operation's own output, kept as it is, would keep the operation

    def unpack(self, tensor: Tensor) -> Tensor:
        return tensor

    def tally(self, counts: Counts) -> int:
        """Note each layer's bytes; return the network's."""
        whole: dict[StorageWeakRef, int] = {}
        for layer, sizes in self._sizes.items():
            # What has expired was kept for a moment only, within the forward pass.
            alive = {storage: size for storage, size in sizes.items() if not storage.expired()}  # type: ignore[no-untyped-call]
            counts[layer].update(activation_bytes=sum(alive.values()))
            whole |= alive
        return sum(whole.values())
