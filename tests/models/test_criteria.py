"""The squared error compares each output with its own target, and never with the mean of all."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import mse_loss

from lifelong.errors import UsageError
from lifelong.models.criteria import SquaredError


def test_a_column_of_targets_is_the_same_as_a_row() -> None:
    output, target = torch.randn(5, 1), torch.randn(5)
    expected = mse_loss(output[:, 0], target)
    assert torch.equal(SquaredError()(output, target), expected)
    assert torch.equal(SquaredError()(output, target[:, None]), expected)


def test_several_outputs_have_a_target_each() -> None:
    output, target = torch.randn(5, 2), torch.randn(5, 2)
    assert SquaredError()(output, target) == pytest.approx(float(((output - target) ** 2).mean()))


@pytest.mark.parametrize(("outputs", "targets"), [((4, 2), (4,)), ((4, 1), (4, 2)), ((4, 1), (2, 2))])
def test_other_shapes_are_refused(outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="as many outputs for each sample as targets"):
        SquaredError()(torch.zeros(outputs), torch.zeros(targets))
