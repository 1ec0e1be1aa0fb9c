"""What every search has in common: it leaves nothing behind, refuses what cannot be tried, and can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import dropout

from lifelong.structure import Growth, Initialiser, StructureError, create_units
from lifelong.structure.holding.marks import tensor_of
from lifelong.structure.starting.gradmax import GradMax
from lifelong.structure.starting.orthogonal import OrthogonalActivations, OrthogonalWeights
from lifelong.structure.starting.residual import ResidualFit

REFUSED = [
    ("mlp-layernorm", "0", "normalises its units together"),
    ("grouped", "0", "grouped convolution"),
    ("upsampling", "2", "ConvTranspose1d"),
    ("residual", "0", "residual stream"),
    ("loop", "inner", "residual stream"),
    ("transformer", "attention", "MultiheadAttention"),
    ("tied", "encoder", "of their own"),
]


def searching(loss: Callable[[], Tensor]) -> list[Initialiser]:
    """One of each that runs a closure."""
    return [GradMax(loss), OrthogonalActivations(loss, candidates=20), ResidualFit(loss, candidates=3, steps=5)]


@pytest.mark.parametrize("which", range(3))
def test_searching_has_no_side_effect(setting: Callable[..., Any], which: int) -> None:
    place = setting("cnn-batchnorm")
    network = place.network
    network[1].eval()

    def loss() -> Tensor:
        return place.loss() + dropout(torch.ones(3)).sum()

    place.loss().backward()
    before = deepcopy(network.state_dict()), torch.get_rng_state(), [module.training for module in network.modules()]
    parameters = list(network.parameters())
    gradients = [parameter.grad.clone() for parameter in parameters]
    structure = place.structure()
    layer = structure.layer("4")
    sizes = {slot.tensor: list(tensor_of(network, slot.tensor).shape) for slot in layer.slots}
    for slot in layer.slots:
        sizes[slot.tensor][slot.dim] += 2 * slot.width
    initialiser: Any = replace(searching(loss)[which], generator=torch.Generator().manual_seed(0))
    initialiser.start(Growth(structure, layer, 2, {name: tuple(size) for name, size in sizes.items()}))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[0][name]), name
    assert torch.equal(torch.get_rng_state(), before[1])
    assert [module.training for module in network.modules()] == before[2]
    assert all(one is other for one, other in zip(network.parameters(), parameters, strict=True))
    assert all(torch.equal(one.grad, other) for one, other in zip(parameters, gradients, strict=True))
    assert not any(module._forward_hooks for module in network.modules())


def test_a_closure_that_raises_leaves_nothing_behind(setting: Callable[..., Any]) -> None:
    place = setting("cnn-batchnorm")
    structure, calls = place.structure(), []
    parameters = list(place.network.parameters())

    def fails_at(call: int) -> Tensor:
        calls.append(place.loss())
        if len(calls) == call:
            raise RuntimeError("out of data")
        return calls[-1]

    for call in (1, 2):
        calls.clear()
        with pytest.raises(RuntimeError, match="out of data"):
            create_units(structure, "0", 1, GradMax(lambda call=call: fails_at(call)))
        assert place.network.training
        assert not any(module._forward_hooks for module in place.network.modules())
        assert all(one is other for one, other in zip(place.network.parameters(), parameters, strict=True))


@pytest.mark.parametrize(("name", "layer", "reason"), REFUSED)
@pytest.mark.parametrize("which", range(3))
def test_layers_that_cannot_be_tried_are_refused(
    setting: Callable[..., Any], name: str, layer: str, reason: str, which: int
) -> None:
    place = setting(name)
    before = deepcopy(place.network.state_dict())
    with pytest.raises(StructureError, match=rf"{layer}.*{reason}"):
        create_units(place.structure(), layer, 2, searching(place.loss)[which])
    after = place.network.state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())


def test_closures_that_cannot_be_used_are_refused(setting: Callable[..., Any]) -> None:
    place = setting("mlp")
    structure = place.structure()
    closures: dict[str, Callable[[], Any]] = {
        "scalar": lambda: place.network(*place.inputs),
        "no gradient": lambda: place.loss().detach(),
        "loss is nan": lambda: place.loss() * float("nan"),
        "more than once": lambda: place.loss() + place.loss(),
        "does not run '0'": lambda: place.network[2:](torch.randn(3, 5)).sum(),
        "none of the modules that read": lambda: place.network[:1](*place.inputs).sum(),
    }
    for reason, closure in closures.items():
        with pytest.raises(StructureError, match=reason):
            create_units(structure, "0", 1, GradMax(closure))


@pytest.mark.parametrize("which", range(4))
def test_the_same_seed_gives_the_same_units(setting: Callable[..., Any], which: int) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(len(states))  # the global one does not matter
        place = setting("cnn-batchnorm")
        chosen: Any = [*searching(place.loss), OrthogonalWeights()][which]
        initialiser = replace(chosen, generator=torch.Generator().manual_seed(7))
        torch.manual_seed(100 + len(states))
        create_units(place.structure(), "4", 2, initialiser)
        states.append(place.network.state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("which", range(4))
def test_any_floating_point_type_will_do(
    squared_error: Callable[..., Any], zoo: dict[str, Any], dtype: torch.dtype, which: int
) -> None:
    network, inputs = zoo["cnn-batchnorm"](dtype=dtype), zoo["cnn-batchnorm"].example(dtype=dtype)
    place = squared_error(network, inputs, torch.randn(4, 3, dtype=dtype))
    create_units(place.structure(), "4", 2, [*searching(place.loss), OrthogonalWeights()][which])
    assert {tensor.dtype for tensor in network.parameters()} == {dtype}
    assert bool(place.outputs().isfinite().all())
