"""`Structure` holds a network whose structure may change while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer

from lifelong.structure.checks import check_name, check_subjects
from lifelong.structure.errors import StructureError, unknown
from lifelong.structure.holding.change import Change
from lifelong.structure.holding.keeping import Keeper
from lifelong.structure.holding.marks import carried_alive, carried_frozen, is_mark, set_alive, set_frozen, tensor_of
from lifelong.structure.holding.optimizers import carry_gradient, carry_optimizer, check_optimizer
from lifelong.structure.holding.undo import undone_on_error
from lifelong.structure.reading.analysis import Analysis
from lifelong.structure.reading.attention import free_heads
from lifelong.structure.reading.layer import Layer
from lifelong.structure.reading.tracing import Flow
from lifelong.structure.sizes import sync_attributes, sync_containers


class Structure:
    """Holds a network with its optimizer, and what is known of its structure.

    The operators (`create_units`, `remove_units`, ...) take it, change the network in place, and carry the optimizer's
    state along. Pruned synapses and frozen units are held through every later step of that optimizer. For another
    optimizer, or for a copy of the network, make another `Structure`: it finds in the network what is pruned and
    frozen.

    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> structure = Structure(network, torch.zeros(1, 3), optimizer=torch.optim.Adam(network.parameters()))
    >>> for layer in structure.layers.values():
    ...     print(layer.name, layer.units, layer.fixed)
    0 5 None
    2 2 they are the network's outputs
    >>> structure.flows["1"].output
    torch.Size([1, 5])

    Args:
        network: any network whose modules are ordinary Python modules.
        inputs: an example of what the network is called with: tensors of the right shape and dtype (the values of
            floating-point ones do not matter), and task labels where it takes them.
        optimizer: the optimizer that trains the network, or a part of it. None if there is none yet: changed parameters
            are new objects, so that it has to be made after the changes.

    Raises:
        StructureError: if the network cannot be analysed, with the module and the reason.
    """

    def __init__(self, network: nn.Module, *inputs: Any, optimizer: Optimizer | None = None) -> None:
        check_subjects(network, inputs, optimizer)
        self.network = network
        self.inputs = inputs
        self.optimizer = optimizer
        self._sizes: tuple[Any, ...] = ()
        self._analysis = self._analysed()
        self._keeper = None if optimizer is None else Keeper(network, optimizer)

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Return the layers by name, also those with fixed units.

        The network is analysed again only if a tensor's name or shape has changed. A size that is written into its code
        shows only when a change is tried, and refused.
        """
        return self._analysed()

    @property
    def flows(self) -> Mapping[str, Flow]:
        """Return what goes through each module in one forward pass, by the module's name."""
        return self._analysed().flows

    def layer(self, name: str) -> Layer:
        """Return a layer whose units may change.

        Raises:
            StructureError: if there is no such layer, with the nearest names, or its units are fixed, with the reason.
        """
        check_name(name)
        layers = self.layers
        if name not in layers:
            # The name of a module that has the units, but does not make them, leads to the layer that does.
            makers = [layer.name for layer in layers.values() if name in {slot.module for slot in layer.slots}]
            raise unknown("layer", name, makers or layers)
        if reason := layers[name].fixed:
            raise StructureError(f"the units of {name!r} are fixed: {reason}")
        return layers[name]

    def commit(self, change: Change, tensors: Mapping[str, Tensor]) -> Change:
        """Put changed tensors in the place of the network's, and carry everything else along, as a whole or not at all.

        Args:
            change: the change, with the index maps of every tensor that changes its shape.
            tensors: the new values of those tensors, by their names.

        Returns:
            The change, with the sizes before it.

        Raises:
            StructureError: if the network does not run with the new sizes, a parameter has a hook, or the optimizer's
                state cannot be carried.
        """
        if self.optimizer is not None:
            check_optimizer(self.optimizer)
        # All refusals come before the first change.
        for name in tensors:
            _refuse_hooked(name, tensor_of(self.network, name))
        change = self._with_sizes(change)
        with undone_on_error(self.network):
            replaced = self._replace(change, tensors)
            # Running the network with its new sizes is the one proof that they fit.
            try:
                self._analysed()
            except StructureError as error:
                raise StructureError(
                    f"{change.layer!r}: with the new sizes {error}; a size may be written into the network's code, "
                    "or the network has changed so that the example inputs do not fit it"
                ) from error
        self._carry(change, replaced)
        return change

    def settle(self, change: Change) -> Change:
        """Carry everything else along a change that was written into the network's own tensors.

        Args:
            change: the change; its tensors have kept their shapes.

        Returns:
            The change, with the sizes before it.
        """
        change = self._with_sizes(change)
        same = {name: tensor_of(self.network, name) for name in {**change.maps, **change.reset}}
        self._carry(change, {name: (tensor, tensor) for name, tensor in same.items()})
        return change

    def refresh(self) -> None:
        """Let the optimizer's next step take note of new masks and marks of frozen units."""
        Keeper.refresh()

    def _carry(self, change: Change, replaced: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        parameters = {
            name: (old, new)
            for name, (old, new) in replaced.items()
            if isinstance(old, Parameter) and isinstance(new, Parameter)
        }
        for name, (old, new) in parameters.items():
            carry_gradient(change, name, old, new)
        if self.optimizer is not None:
            carry_optimizer(self.optimizer, change, parameters)
        self.refresh()

    def _with_sizes(self, change: Change) -> Change:
        sizes = {name: tuple(tensor_of(self.network, name).shape) for name in {**change.maps, **change.reset}}
        return replace(change, sizes=sizes)

    def _analysed(self) -> Analysis:
        if torch.is_inference_mode_enabled():
            raise StructureError("in torch.inference_mode new parameters could never be trained: leave it first")
        sizes = _sizes(self.network)
        if sizes != self._sizes:
            self._analysis = Analysis(self.network, self.inputs)
            self._sizes = sizes
        return self._analysis

    def _replace(self, change: Change, tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Put tensors and their marks in place, and sizes in step; return for each name the old and the new tensor."""
        places = _places(self.network)
        touched: dict[nn.Module, None] = {}
        replaced = {}
        for name, tensor in tensors.items():
            old = tensor_of(self.network, name)
            maps = change.maps.get(name, {})
            # Marks are carried while the old tensor is in place, whose dimensions they refer to.
            mask, mark = carried_alive(self.network, name, maps), carried_frozen(self.network, name, maps)
            new = _like(old, tensor)
            # A tied tensor is replaced wherever it is held, and so stays tied.
            for module, attribute in places[id(old)]:
                kind = module._parameters if attribute in module._parameters else module._buffers
                kind[attribute] = new  # type: ignore[assignment]
                touched[module] = None
            set_alive(self.network, name, mask)
            set_frozen(self.network, name, mark)
            replaced[name] = (old, new)
        # Sizes come last, when all tensors are in place. Containers still need the widths before.
        before: dict[nn.Module, int] = {
            module: module.in_features for module in touched if isinstance(module, nn.Linear)
        }
        for module in touched:
            if isinstance(module, nn.MultiheadAttention):
                free_heads(module)
            sync_attributes(module)
        sync_containers(self.network, before)
        return replaced


def _sizes(network: nn.Module) -> tuple[Any, ...]:
    """Return what an analysis depends on, as far as it can be seen without running the network."""
    sizes: list[Any] = []
    seen: set[int] = set()  # a tied tensor is listed once, so that untying it shows
    for name, module in network.named_modules():
        sizes.append((name, type(module)))
        for attribute, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is not None and id(tensor) not in seen and not is_mark(attribute):
                seen.add(id(tensor))
                sizes.append((name, attribute, tensor.shape))
    return tuple(sizes)


def _places(network: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """Return for each tensor, by its id, the modules that hold it: more than one where it is tied."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in network.modules():
        for attribute, tensor in [*module._parameters.items(), *module._buffers.items()]:
            places.setdefault(id(tensor), []).append((module, attribute))
    return places


def _like(old: Tensor, tensor: Tensor) -> Tensor:
    """Return the tensor as what the old one was: a parameter, with the attributes that a caller gave it."""
    if not isinstance(old, Parameter):
        return tensor
    new = Parameter(tensor, requires_grad=old.requires_grad)
    new.__dict__.update(old.__dict__)
    return new


def _refuse_hooked(name: str, tensor: Tensor) -> None:
    hooks: Any = tensor
    if hooks._backward_hooks or hooks._post_accumulate_grad_hooks:
        raise StructureError(f"{name!r} has a hook, which may count on its size: remove the hook first")
