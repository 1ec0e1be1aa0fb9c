"""Turns the structure of a changed network into plain data, to be saved beside its `state_dict`, and back.

    torch.save(network.state_dict(), "weights.pt")
    Path("blueprint.json").write_text(json.dumps(blueprint(network)))

    network = rebuild(resnet18(), json.loads(Path("blueprint.json").read_text()))
    network.load_state_dict(torch.load("weights.pt"))

A blueprint tells what the constructor does not: inserted and removed layers, the shape of every tensor, the sizes that
modules state, freed attention heads, pruned synapses, frozen units. It is read off the network alone.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from lifelong.structure.errors import StructureError
from lifelong.structure.holding.marks import is_mark, marks, masks, owner, set_alive, set_frozen, tensor_of
from lifelong.structure.holding.statistics import hold_statistics
from lifelong.structure.holding.undo import undone_on_error
from lifelong.structure.operators.replacements import Inserted, Removed, build_from
from lifelong.structure.reading.attention import HeadAttention, free_heads
from lifelong.structure.sizes import attributes, is_consistent, set_attributes, sync_attributes
from lifelong.structure.starting.drawing import draw

VERSION = 1
"""The version of what a blueprint holds, and how."""

_CONSTANT = ("kernel_size", "head_dim")
"""Sizes that no operator changes."""


def blueprint(network: nn.Module) -> dict[str, Any]:
    """Describe what a fresh network of the same constructor has to become, to be of this one's structure.

    >>> from lifelong.structure import Structure, create_units
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> _ = create_units(Structure(network, torch.zeros(1, 3)), "0", 2)
    >>> blueprint(network)["tensors"]
    {'0.weight': [7, 3], '0.bias': [7], '2.weight': [2, 7], '2.bias': [2]}

    Returns:
        Plain data that JSON knows: dictionaries with names for keys, lists, integers, strings, None.
    """
    modules = dict(network.named_modules())
    stated = {name: attributes(module) for name, module in modules.items()}
    return {
        "version": VERSION,
        "layers": {name: module.spec() for name, module in modules.items() if isinstance(module, Inserted | Removed)},
        "heads": [name for name, module in modules.items() if isinstance(module, HeadAttention)],
        "tensors": {name: list(tensor.shape) for name, tensor in _tensors(network).items()},
        "modules": {name: values for name, values in stated.items() if values},
        "masks": {name: _pack(mask) for name, mask in masks(network).items()},
        "frozen": {name: _pack(mark) for name, mark in marks(network).items()},
    }


def rebuild(network: nn.Module, blueprint: Mapping[str, Any]) -> nn.Module:
    """Give a fresh network the structure of a blueprint, so that it is ready for `load_state_dict`.

    Its tensors' dtype, device and `requires_grad` stay. Tensors of another shape are drawn as their layers'
    constructors draw them, and are zero where that is not known. Pruned synapses are zero. So the structure can also be
    trained from scratch. Buffers that are no part of the `state_dict` keep their constructor's values.

    >>> from lifelong.structure import Structure, create_units
    >>> make = lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> network, fresh = make(), make()
    >>> _ = create_units(Structure(network, torch.zeros(1, 3)), "0", 2)
    >>> rebuild(fresh, blueprint(network)).load_state_dict(network.state_dict())
    <All keys matched successfully>

    Args:
        network: a network as its constructor made it, with the arguments that the changed network was made with. It is
            changed.
        blueprint: the blueprint of a network of that constructor.

    Returns:
        The network. A `Structure` of it and of its optimizer holds what is pruned and frozen through training.

    Raises:
        StructureError: if the blueprint is of another network or another version, or is damaged, with the first thing
            that does not fit; the network is then as it was.
    """
    if not isinstance(blueprint, Mapping):
        raise StructureError(f"a blueprint is a dictionary, as json.load returns it, not a {type(blueprint).__name__}")
    if blueprint.get("version") != VERSION:
        raise StructureError(f"the blueprint's version is {blueprint.get('version')!r}; {VERSION} is known here")
    if marked := next(iter({**masks(network), **marks(network)}), None):
        raise StructureError(f"the network is not fresh from its constructor: {marked!r} is masked or frozen")
    try:
        with undone_on_error(network):
            _replace_layers(network, blueprint["layers"])
            _free_heads(network, blueprint["heads"])
            _resize(network, blueprint["tensors"])
            _state_sizes(network, blueprint["modules"])
            _mark(network, blueprint["masks"], blueprint["frozen"])
    except StructureError:
        raise
    # A damaged file may fail anywhere above, in any of these ways.
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise StructureError(f"the blueprint is damaged: {type(error).__name__}: {error}") from error
    with torch.no_grad():
        for name, mask in masks(network).items():
            tensor_of(network, name).masked_fill_(~mask, 0.0)
    return network


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer by all of its names: tied ones have several."""
    every = [*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False)]
    return {name: tensor for name, tensor in every if not is_mark(name)}


def _replace_layers(network: nn.Module, specs: Mapping[str, Any]) -> None:
    # In the order of `named_modules`: an outer module is there before what was inserted inside it.
    for name, spec in specs.items():
        original = _module(network, name)
        like = next(chain(original.parameters(), network.parameters()), None)
        network.set_submodule(name, build_from(spec, original, like), strict=True)


def _free_heads(network: nn.Module, names: Iterable[str]) -> None:
    for name in names:
        module = _module(network, name)
        if not isinstance(module, nn.MultiheadAttention):
            raise StructureError(f"{name!r} is an attention in the blueprint, and a {type(module).__name__} here")
        free_heads(module)


def _resize(network: nn.Module, shapes: Mapping[str, list[int]]) -> None:
    tensors = _tensors(network)
    _compare(tensors, shapes, "tensor")
    # A tied tensor is replaced once, and the new one goes to all of its places.
    replaced: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        shape = tuple(shapes[name])
        if id(tensor) not in replaced:
            replaced[id(tensor)] = tensor if tensor.shape == shape else _new(network, name, shape)
        if replaced[id(tensor)].shape != shape:
            raise StructureError(f"{name!r} is one with another tensor, which has another shape in the blueprint")
        module, attribute = owner(network, name)
        kind = module._parameters if isinstance(tensor, Parameter) else module._buffers
        kind[attribute] = replaced[id(tensor)]  # type: ignore[assignment]


def _new(network: nn.Module, name: str, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor of that shape for the place of another."""
    module, attribute = owner(network, name)
    old = tensor_of(network, name)
    if old.dim() != len(shape):
        raise StructureError(f"{name!r} has {old.dim()} dimensions here, and {len(shape)} in the blueprint")
    # `load_state_dict` could not fill it afterwards.
    if attribute in module._non_persistent_buffers_set:
        raise StructureError(f"{name!r} has another shape in the blueprint, but its values are in no state_dict")
    drawn = draw(module, attribute, shape, shape)
    new = old.new_zeros(shape) if drawn is None else drawn
    return Parameter(new, requires_grad=old.requires_grad) if isinstance(old, Parameter) else new


def _state_sizes(network: nn.Module, stated: Mapping[str, Any]) -> None:
    own = {name: values for name, module in network.named_modules() if (values := attributes(module))}
    _compare(own, stated, "module")
    for name, values in stated.items():
        module = network.get_submodule(name)
        different = [key for key in _CONSTANT if own[name].get(key) != values.get(key)]
        if different or own[name].keys() != values.keys():
            what = different[0] if different else type(module).__name__
            raise StructureError(f"{name!r} is not what it is in the blueprint: {what} differs")
        # Stated sizes decide how tensors are read (groups, heads): they are set, then have to agree with the tensors.
        set_attributes(module, values)
        sync_attributes(module)
        if attributes(module) != values or not is_consistent(module):
            raise StructureError(f"{name!r} states other sizes in the blueprint than its tensors have: {dict(values)}")


def _mark(network: nn.Module, alive: Mapping[str, Any], frozen: Mapping[str, Any]) -> None:
    tensors = _tensors(network)
    for kind, set_mark in ((alive, set_alive), (frozen, set_frozen)):
        for name, packed in kind.items():
            shape = tensors[name].shape if name in tensors else None
            mark = _unpack(packed)
            if shape is None or not _fits(mark.shape, shape, exactly=kind is alive):
                raise StructureError(f"the mask of {name!r} is of shape {tuple(mark.shape)}, which does not fit")
            set_mark(network, name, mark)
    for name in frozen:
        hold_statistics(owner(network, name)[0])


def _fits(mark: torch.Size, shape: torch.Size, exactly: bool) -> bool:
    if exactly or not 0 < len(mark) <= len(shape):
        return mark == shape
    return mark[0] == shape[-len(mark)] and mark[1:].numel() == 1


def _module(network: nn.Module, name: str) -> nn.Module:
    try:
        return network.get_submodule(name)
    except AttributeError:
        raise StructureError(f"the module {name!r} is in the blueprint, but not in the network") from None


def _compare(own: Mapping[str, Any], stated: Mapping[str, Any], kind: str) -> None:
    for name in [*stated, *own]:
        if name not in own:
            raise StructureError(f"the {kind} {name!r} is in the blueprint, but not in the network")
        if name not in stated:
            raise StructureError(f"the {kind} {name!r} is in the network, but not in the blueprint")


def _pack(mark: Tensor) -> dict[str, Any]:
    """Pack a mask as text: eight entries in a byte, the first in its lowest bit."""
    bits = mark.detach().cpu().flatten().to(torch.uint8)
    padded = torch.cat([bits, bits.new_zeros(-len(bits) % 8)]).view(-1, 8)
    octets = (padded << torch.arange(8, dtype=torch.uint8)).sum(dim=1)
    return {"shape": list(mark.shape), "bits": base64.b64encode(bytes(octets.tolist())).decode("ascii")}


def _unpack(packed: Mapping[str, Any]) -> Tensor:
    octets = torch.tensor(list(base64.b64decode(packed["bits"], validate=True)), dtype=torch.uint8)
    bits = (octets[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
    size = torch.Size(packed["shape"])
    # Neither a byte too many nor one too few.
    if (len(octets) - 1) * 8 >= size.numel() or bits.numel() < size.numel():
        raise StructureError(f"a mask of shape {tuple(size)} has {len(octets)} bytes in the blueprint")
    return bits.flatten()[: size.numel()].view(size).bool()
