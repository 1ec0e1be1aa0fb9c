"""Operators on layers: insert one that starts as the identity; remove one, or a whole block.

In both cases another module takes the old one's place, under its name: `Inserted` or `Removed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Size, Tensor, nn
from torch.nn import Parameter

from lifelong.structure.checks import check_name, whole
from lifelong.structure.errors import StructureError, unknown
from lifelong.structure.holding.change import Change, StructureOperator
from lifelong.structure.holding.marks import is_mark, marks
from lifelong.structure.holding.optimizers import (
    add_parameters,
    carry_optimizer,
    check_optimizer,
    drop_parameters,
    in_order,
    put_in_order,
)
from lifelong.structure.holding.undo import undone_on_error
from lifelong.structure.operators.replacements import ACTIVATIONS, Inserted, Removed
from lifelong.structure.structure import Structure

_IDEMPOTENT: dict[type[nn.Module], tuple[str, ...]] = {nn.ReLU: (), nn.ReLU6: (), nn.Hardtanh: ("min_val", "max_val")}
"""Activations f with f(f(x)) = f(x), and their arguments."""

_ALONG_LAST = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.RMSNorm, nn.MultiheadAttention)
_ALONG_CHANNELS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
"""Where a layer's units lie in its output."""


def insert_layer(
    structure: Structure,
    after: str,
    *,
    hidden: int | None = None,
    activation: str | None = None,
    dim: int | None = None,
) -> Change:
    """Insert a layer that starts as the identity behind a module, which becomes `<after>.0`; the layer is `<after>.1`.

    >>> import torch
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> x = torch.randn(4, 3)
    >>> structure, before = Structure(network, x), network(x)
    >>> insert_layer(structure, "0", hidden=4).layer
    '0.1'
    >>> torch.equal(network(x), before)
    True
    >>> list(structure.layers)
    ['0.0', '0.1.0', '0.1.2', '2']

    Without `hidden` it is Net2DeeperNet's (Chen, Goodfellow & Shlens 2016, arXiv:1511.05641): the identity matrix, or a
    Dirac kernel of size 3, and a bias of zero. The same activation follows if the module ends in one that is idempotent
    (ReLU, ReLU6, Hardtanh); behind anything else the layer is linear. With `hidden` it is a residual layer,
    x + W2 f(W1 x), whose W2 starts at zero: the identity behind any module, with any activation f.

    Both are exact for finite values, as long as products by one and sums with zero are. Convolutions in TensorFloat-32,
    or by Winograd's algorithm, which a GPU may choose, round: the residual layer is exact there, the Dirac kernel is
    not.

    The units lie along the last dimension of an output of shape (n, units), and wherever the module's layers are linear
    or normalise that dimension. They lie along dimension 1 where the layers are convolutions or normalise channels. For
    a module without parameters, the layer that ran before it is looked at. The new parameters take that layer's device
    and dtype, and the optimizer's group of its first weight. They are trained even if it is not. W1 is drawn from
    torch's global generator; for an identity nothing is drawn.

    Args:
        structure: the structure whose network is changed.
        after: the module's name; it returns shape `(n, units)`, `(n, ..., units)` or `(n, units, *spatial)`.
        hidden: how many units a residual layer has, at least 1; None for an identity layer.
        activation: a name in `torch.nn`; by default ReLU for a residual layer, else as said above.
        dim: along which dimension of the module's output the units lie: 1, or -1 for the last.

    Returns:
        The change. Its `layer` is the new layer's name, by which `remove_layer` takes it out again.

    Raises:
        StructureError: if there is no such module, it is not called exactly once, it returns the network's outputs
            (which are not touched), it does not tell where its units lie, the activation would change the outputs, or
            the network does not run with the layer (because it looks into its modules, for example).
    """
    module = _module(structure, after)
    shape = structure.flows[after].output
    if shape is None:
        raise StructureError(f"{after!r} does not return a tensor: no layer can be inserted behind it")
    hidden = None if hidden is None else whole(hidden, f"{after!r}: the number of hidden units")
    spatial = _spatial(structure, after, shape, dim)
    spec = {
        "units": shape[-1 - spatial],
        "spatial": spatial,
        "hidden": hidden,
        "activation": _activation(after, module, hidden, activation),
    }
    like = _first_weight(structure, after)
    change = Change(StructureOperator.INSERT_LAYER, f"{after}.1")
    return _replace(structure, change, after, Inserted(module, spec, like), like)


def remove_layer(structure: Structure, name: str, *, dim: int | None = None) -> Change:
    """Remove a module: a layer, or a whole block.

    >>> import torch
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> change = remove_layer(Structure(network, torch.zeros(1, 3)), "0")
    >>> network[0]
    Removed(
      (0): Linear(in_features=3, out_features=5, bias=True)
    )
    >>> change.dropped, change.added
    (('0.weight', '0.bias'), ('0.0.weight', '0.0.bias'))

    Where it returns the shape that it reads, the identity is left in its place. Elsewhere a translator takes its place,
    as in Camacho et al. (2022): pooling to the right height and width, then a convolution with kernel size 1 to the
    right number of channels, with random weights; for flat features a linear layer. Our choices: pooling is adaptive
    and takes averages, so that inputs of any size come out at the size that the example inputs have there; and there is
    no convolution between equal numbers of channels. An inserted layer leaves nothing behind: all names go back.

    Args:
        structure: the structure whose network is changed.
        name: the module's name.
        dim: as in `insert_layer`, for the translator.

    Returns:
        The change.

    Raises:
        StructureError: if there is no such module, it is not called exactly once with one tensor, it returns no tensor,
            or the network's outputs (which are not touched), it holds frozen units, there is no translator
            between its shapes, or the network does not run without it (because it looks into its modules, for example).
    """
    module = _module(structure, name)
    if held := [tensor for tensor in marks(structure.network) if tensor.startswith(f"{name}.")]:
        raise StructureError(f"{name!r} holds frozen units, in {held[0]!r}; unfreeze them first")
    if isinstance(module, Removed):
        raise StructureError(f"{name!r} has been removed already")
    change = Change(StructureOperator.REMOVE_LAYER, name)
    path, _, key = name.rpartition(".")
    parent = structure.network.get_submodule(path)
    if isinstance(parent, Inserted) and key == "1":  # what was inserted before: the original gets its place back
        return _replace(structure, change, path, parent[0])
    flow = structure.flows[name]
    read, *others = flow.inputs or (None,)
    if read is None or flow.output is None or any(other is not None for other in others):
        raise StructureError(f"{name!r} does not read one tensor and return one: nothing can take its place")
    # Without a translator the identity stays, which needs no sizes.
    spec: dict[str, Any] = {"translator": None}
    if read != flow.output:
        spatial = _spatial(structure, name, flow.output, dim)
        spec["translator"] = _translator(name, read, flow.output, spatial)
    like = _first_weight(structure, name)
    return _replace(structure, change, name, Removed(module, spec, like), like)


def _module(structure: Structure, name: str) -> nn.Module:
    """Return a module whose place another can take."""
    check_name(name, "module")
    every = dict(structure.network.named_modules(remove_duplicate=False))
    if not name:
        raise StructureError("the whole network cannot be removed, and nothing can be inserted behind it")
    if name not in every:
        raise unknown("module", name, filter(None, every))
    # One module under two names could be replaced under one of them only.
    shared = [other for other in every if every[other] is every[name]]
    if len(shared) > 1:
        raise StructureError(f"{shared[0]!r} and {shared[1]!r} are one module, which cannot change in one place alone")
    calls = structure.flows[name].calls if name in structure.flows else 0
    if calls != 1:
        raise StructureError(f"{name!r} is called {calls} times in a forward pass; only what is called once can change")
    if structure.flows[name].ends:
        raise StructureError(f"{name!r} returns the network's outputs, which are not touched")
    module: nn.Module = every[name]
    return module


def _layer_before(structure: Structure, name: str) -> nn.Module:
    """Return the module if it has parameters; else the last layer that ran before it, or the network if none did."""
    network = structure.network
    module = network.get_submodule(name)
    if any(True for _ in module.parameters()):
        return module
    order = list(structure.flows)
    earlier = [network.get_submodule(other) for other in order[: order.index(name)]]
    return next(filter(_is_layer, reversed(earlier)), network)


def _is_layer(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _first_weight(structure: Structure, name: str) -> Parameter | None:
    """Return the parameter whose device, dtype and group a new layer takes; a bias only if there is nothing else."""
    return max(_layer_before(structure, name).parameters(), key=Tensor.dim, default=None)


def _spatial(structure: Structure, name: str, shape: Size, dim: int | None) -> int:
    """Return how many dimensions follow the one along which the units lie: 0, or those of a convolution."""
    last = len(shape) - 1
    if dim is None and last > 1:
        layers = list(_layer_before(structure, name).modules())
        # (n, length, units) of a transformer and (n, channels, length) of a convolution look alike: the layers tell.
        along_last = any(isinstance(layer, _ALONG_LAST) for layer in layers)
        if along_last == any(isinstance(layer, _ALONG_CHANNELS) for layer in layers):
            raise StructureError(
                f"{name!r} returns shape {tuple(shape)}, and does not tell where its units lie: say dim=1 or dim=-1"
            )
        dim = last if along_last else 1
    if last >= 1 and dim in (None, -1, last):
        return 0
    if dim == 1 and last <= 4:
        return last - 1
    raise StructureError(f"{name!r} returns shape {tuple(shape)}: no layer has its units along dimension {dim}")


def _activation(after: str, module: nn.Module, hidden: int | None, name: str | None) -> list[Any] | None:
    """Return the activation's name and arguments; None for a linear layer."""
    if name is not None and name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    if hidden is not None:
        return [name or "ReLU"]
    # Behind an activation f the identity layer has f again, which changes nothing only if f(f(x)) = f(x).
    last = type(end := _end(module))
    if name is not None and (last not in _IDEMPOTENT or name != last.__name__):
        raise StructureError(
            f"{after!r} does not end in an idempotent {name}: the identity and another {name} would change its output; "
            "insert a residual layer (hidden=...)"
        )
    return [last.__name__, *(getattr(end, key) for key in _IDEMPOTENT[last])] if last in _IDEMPOTENT else None


def _end(module: nn.Module) -> nn.Module:
    """Return the part of a module whose result is the module's."""
    # A plain sequence returns what its last part returns; other modules may not.
    while type(module).forward in (nn.Sequential.forward, Inserted.forward) and any(True for _ in module.children()):
        *_, module = module.children()
    return module


def _translator(name: str, source: Size, target: Size, spatial: int) -> dict[str, Any]:
    """Return what a translator between two shapes is built from."""
    dim = len(target) - 1 - spatial
    if len(source) != len(target) or source[:dim] != target[:dim]:
        raise StructureError(f"{name!r} makes {tuple(target)} of {tuple(source)}: there is no translator between these")
    before, after = source[dim + 1 :], target[dim + 1 :]
    return {"units": [source[dim], target[dim]], "spatial": spatial, "pool": None if before == after else list(after)}


def _replace(
    structure: Structure, change: Change, name: str, module: nn.Module, like: Parameter | None = None
) -> Change:
    """Put a module in another's place. If the network does not run with it or call it, everything stays as it was."""
    network, optimizer = structure.network, structure.optimizer
    if optimizer is not None:
        check_optimizer(optimizer)
    before = _tensors(network)
    with undone_on_error(network):
        network.set_submodule(name, module, strict=True)
        _verify(structure, name)
        after = _tensors(network)
        change = _with_names(change, before, after)
        # The optimizer is changed last, because it is not undone with the network.
        if optimizer is not None:
            carry_optimizer(optimizer, change, {})  # where it knows the parameters' names
            new = _parameters(after, change.added)
            ordered = in_order(optimizer, before.values())
            add_parameters(optimizer, new.values(), like, new)
            drop_parameters(optimizer, _parameters(before, change.dropped).values())
            if ordered:  # a rebuilt network's optimizer matches the saved state by position
                put_in_order(optimizer, after.values())
    structure.refresh()
    return change


def _verify(structure: Structure, name: str) -> None:
    """Check that the network runs as it is now, and calls the module of that name."""
    try:
        called = name in structure.flows
    except StructureError as error:
        raise StructureError(f"the network does not run with another module as {name!r}: {error}") from error
    if not called:
        raise StructureError(f"the network does not call {name!r} once that is another module")


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return {name: tensor for name, tensor in tensors if not is_mark(name)}


def _parameters(tensors: Mapping[str, Tensor], names: tuple[str, ...]) -> dict[str, Parameter]:
    return {name: tensor for name in names if isinstance(tensor := tensors[name], Parameter)}


def _with_names(change: Change, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> Change:
    """Note what became of each name; a weight that is tied to another module's is not dropped with the first one."""
    name_of, old = {id(tensor): name for name, tensor in after.items()}, {id(tensor) for tensor in before.values()}
    kept = {name: name_of[id(tensor)] for name, tensor in before.items() if id(tensor) in name_of}
    return replace(
        change,
        renamed={name: new for name, new in kept.items() if name != new},
        added=tuple(name for name, tensor in after.items() if id(tensor) not in old),
        sizes={name: tuple(tensor.shape) for name, tensor in after.items() if id(tensor) not in old},
        dropped=tuple(name for name in before if name not in kept),
    )
