"""Sums over the weights of a unit find them wherever they lie."""

from __future__ import annotations

import torch
from torch import nn

from lifelong.plasticity.weights import along_units, in_order, sum_by_unit, weights_of_unit
from lifelong.structure import Role, Slot, Structure


def slot(positions):
    lying = torch.tensor(positions)
    return Slot("weight", 1, Role.FAN_OUT, lying, lying[-1])


def test_units_that_lie_in_another_order_between_others_or_in_several_places():
    values = torch.tensor([[1.0, 2, 3, 4], [10, 20, 30, 40]])
    assert along_units(slot([[0], [1], [2], [3]]), values).tolist() == [11, 22, 33, 44]
    assert along_units(slot([[3], [2], [1], [0]]), values).tolist() == [44, 33, 22, 11]
    assert along_units(slot([[1], [2]]), values).tolist() == [22, 33]
    assert along_units(slot([[0, 1], [2, 3]]), values).tolist() == [33, 77]


def test_who_lies_in_order():
    assert in_order(slot([[0], [1]]), 2)
    assert not in_order(slot([[1], [0]]), 2)
    assert not in_order(slot([[0], [1]]), 3)
    assert not in_order(slot([[0, 1]]), 2)


def test_a_layer_whose_readers_are_several():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.one, self.two = nn.Linear(4, 3), nn.Linear(3, 5), nn.Linear(3, 2)

        def forward(self, x):
            said = self.stem(x).relu()
            return self.one(said), self.two(said)

    network = Two()
    layer = Structure(network, torch.zeros(1, 4)).layer("stem")
    expected = network.one.weight.abs().sum(0) + network.two.weight.abs().sum(0)
    torch.testing.assert_close(sum_by_unit(network, layer, torch.abs, Role.FAN_OUT), expected.detach())
    assert weights_of_unit(network, layer, Role.FAN_OUT) == 7
    assert weights_of_unit(network, layer, Role.FAN_IN) == 4
    none = sum_by_unit(network, layer, lambda weight: None if len(weight) == 5 else weight.abs(), Role.FAN_OUT)
    torch.testing.assert_close(none, network.two.weight.detach().abs().sum(0))


def test_a_transposed_convolution_has_its_units_along_the_other_dimension():
    network = nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(36, 2))
    layer = Structure(network, torch.zeros(1, 2, 2, 2)).layer("0")
    found = sum_by_unit(network, layer, torch.abs, Role.FAN_IN)
    torch.testing.assert_close(found, network[0].weight.detach().abs().sum((0, 2, 3)))
    assert weights_of_unit(network, layer, Role.FAN_IN) == 8


def test_a_channel_has_a_weight_for_each_place_at_which_it_is_read():
    network = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))
    layer = Structure(network, torch.zeros(1, 1, 3, 3)).layer("0")
    assert weights_of_unit(network, layer, Role.FAN_OUT) == 4 * 5
    expected = network[3].weight.detach().abs().view(5, 3, 4).sum((0, 2))
    torch.testing.assert_close(sum_by_unit(network, layer, torch.abs, Role.FAN_OUT), expected)
