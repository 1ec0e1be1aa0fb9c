"""What a network returns is found whatever holds it, so that no operator changes the number of its outputs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from lifelong.structure import Structure, StructureError, create_units, remove_units


@dataclass
class Answer:
    """What a network may return."""

    logits: torch.Tensor
    beside: object = None


class Slotted:
    __slots__ = ("logits",)

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits


class Own(OrderedDict[str, torch.Tensor]):
    """A mapping that torch's pytree does not open."""


class Returning(nn.Module):
    """Returns its logits within something."""

    def __init__(self, within: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.within = within
        self.hidden, self.head = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.within(self.head(torch.relu(self.hidden(x))))


@pytest.mark.parametrize(
    "within",
    [
        lambda logits: (logits, None),
        lambda logits: {"logits": logits},
        lambda logits: Own(logits=logits),
        Answer,
        Slotted,
        lambda logits: Answer(torch.zeros(1), [{"deep": Slotted(logits)}]),
    ],
    ids=["tuple", "dict", "own-mapping", "dataclass", "slots", "nested"],
)
def test_outputs_are_found_whatever_holds_them(within: Callable[[torch.Tensor], Any]) -> None:
    network = Returning(within)
    structure = Structure(network, torch.zeros(1, 6))
    assert structure.layers["head"].fixed == "they are the network's outputs"
    with pytest.raises(StructureError, match="'head'"):
        remove_units(structure, "head", [0])
    create_units(structure, "hidden", 2)
    assert (network.hidden.out_features, network.head.in_features, network.head.out_features) == (10, 10, 3)


def test_an_object_that_leads_back_to_itself_is_opened_once() -> None:
    def circular(logits: torch.Tensor) -> Answer:
        answer = Answer(logits)
        answer.beside = answer
        return answer

    assert Structure(Returning(circular), torch.zeros(1, 6)).layers["head"].fixed


def test_a_network_that_returns_no_tensor_is_refused() -> None:
    with pytest.raises(StructureError, match="returns str, in which no tensor is found"):
        Structure(Returning(lambda _: "nothing"), torch.zeros(1, 6))
