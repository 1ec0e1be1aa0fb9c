"""Inserted and removed layers are copied, pickled, and rebuilt from what they say of themselves."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.structure.errors import StructureError
from lifelong.structure.operators.layers import insert_layer, remove_layer
from lifelong.structure.operators.replacements import Inserted, Removed, build_from
from lifelong.structure.structure import Structure


def _changed() -> tuple[nn.Module, Tensor]:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 6, 3, stride=2), nn.Hardtanh(-1.0, 0.5)),
        nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(54, 5), nn.Tanh(), nn.Linear(5, 3),
    )  # fmt: skip
    x = torch.randn(2, 3, 9, 9)
    structure = Structure(network, x)
    insert_layer(structure, "1")
    insert_layer(structure, "1.1", hidden=2, activation="SiLU")
    insert_layer(structure, "1")
    insert_layer(structure, "2")
    remove_layer(structure, "2.0.1")
    remove_layer(structure, "2.1.1")
    remove_layer(structure, "3")
    insert_layer(structure, "5", hidden=3)
    remove_layer(structure, "0")
    return network, x


def test_copies_and_pickles() -> None:
    network, x = _changed()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(twin(x), network(x))
        assert twin.state_dict().keys() == network.state_dict().keys()
        assert _specs(twin) == _specs(network)
        insert_layer(Structure(twin, x), "5.1.1")


def _specs(network: nn.Module) -> dict[str, Any]:
    return {name: module.spec() for name, module in network.named_modules() if isinstance(module, Inserted | Removed)}


def test_specs_rebuild_the_modules_around_the_original_ones() -> None:
    network, x = _changed()
    specs = json.loads(json.dumps(_specs(network)))
    assert len(specs) == 9
    rebuilt: nn.Module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 6, 3, stride=2), nn.Hardtanh(-1.0, 0.5)),
        nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(54, 5), nn.Tanh(), nn.Linear(5, 3),
    )  # fmt: skip
    for name, spec in specs.items():
        rebuilt.set_submodule(name, build_from(spec, rebuilt.get_submodule(name)))
    assert str(rebuilt) == str(network)
    rebuilt.load_state_dict(network.state_dict())
    assert torch.equal(rebuilt(x), network(x))


def test_rebuilt_layers_follow_the_module_that_they_replace() -> None:
    spec = {"module": "Inserted", "units": 3, "spatial": 0, "hidden": None, "activation": None}
    rebuilt = build_from(spec, nn.Linear(2, 3, dtype=torch.float64).eval())
    assert not any(module.training for module in rebuilt.modules())
    assert {parameter.dtype for parameter in rebuilt.parameters()} == {torch.float64}
    (_, activation) = build_from(spec | {"activation": ["ReLU"]}, nn.ReLU(), like=torch.empty(0, dtype=torch.float16))
    assert {parameter.dtype for parameter in activation.parameters()} == {torch.float16}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"module": "Linear"},
        {"module": "Inserted", "units": 3},
        {"module": "Inserted", "units": 3, "spatial": 0, "hidden": 2, "activation": ["Module"]},
        {"module": "Inserted", "units": 3, "spatial": 4, "hidden": 2, "activation": ["ReLU"]},
        {"module": "Inserted", "units": -3, "spatial": 0, "hidden": None, "activation": None},
        {"module": "Removed", "translator": {"units": [3], "spatial": 0, "pool": None}},
    ],
)
def test_damaged_specs_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(StructureError, match="no inserted or removed layer can be built"):
        build_from(spec, nn.Linear(2, 3))
