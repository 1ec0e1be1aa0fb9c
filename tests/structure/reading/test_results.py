"""Results that are worked out from sizes alone are torch's own, and sizes that do not fit are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lifelong.structure.reading.results import _QUICK, result_of
from lifelong.structure.reading.rules import tensors_in

aten = torch.ops.aten


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


X, EACH = meta(2, 3, 4, 5), [meta(3)] * 4
CASES: list[tuple[Any, list[Any]]] = [
    (aten.relu.default, [X]),
    (aten.relu.default, [X.permute(1, 0, 3, 2)]),
    (aten.relu.default, [X.to(memory_format=torch.channels_last)]),
    (aten.relu.default, [meta(2, 3, dtype=torch.int64)]),
    (aten.gelu.default, [X]),
    (aten.elu.default, [X]),
    (aten.leaky_relu.default, [X, 0.1]),
    (aten.hardtanh.default, [X, 0.0, 6.0]),
    (aten.add.Tensor, [X, X]),
    (aten.add.Tensor, [X, meta(5)]),
    (aten.add.Tensor, [X, meta(2, 3, 4, 5, dtype=torch.float64)]),
    (aten.mul.Tensor, [X, X]),
    (aten.mul.Tensor, [X, 2.0]),
    (aten.mul.Tensor, [meta(3, dtype=torch.bool), meta(3)]),
    (aten.addmm.default, [meta(4), meta(2, 3), meta(3, 4)]),
    (aten.addmm.default, [meta(1), meta(2, 3), meta(3, 4)]),
    (aten.addmm.default, [meta(2, 4), meta(2, 3), meta(3, 4)]),
    (aten.native_batch_norm.default, [X, *EACH, False, 0.1, 1e-5]),
    (aten.native_batch_norm.default, [X, None, None, *EACH[2:], False, 0.1, 1e-5]),
    (aten.native_batch_norm.default, [X, *EACH[:2], None, None, True, 0.1, 1e-5]),
    (aten.native_layer_norm.default, [X, [5], meta(5), meta(5), 1e-5]),
    (aten.native_layer_norm.default, [X, [4, 5], None, None, 1e-5]),
]
MISFITS: list[tuple[Any, list[Any]]] = [
    (aten.add.Tensor, [X, meta(4)]),
    (aten.mul.Tensor, [X, meta(2)]),
    (aten.addmm.default, [meta(4), meta(2, 3), meta(5, 4)]),
    (aten.addmm.default, [meta(3), meta(2, 3), meta(3, 4)]),
    (aten.native_batch_norm.default, [X, meta(4), *EACH[1:], False, 0.1, 1e-5]),
    (aten.native_batch_norm.default, [X, *EACH[:3], meta(2), False, 0.1, 1e-5]),
    (aten.native_layer_norm.default, [X, [4], meta(4), meta(4), 1e-5]),
    (aten.native_layer_norm.default, [X, [5], meta(4), meta(5), 1e-5]),
]


def told(result: Any) -> list[Any]:
    return [(one.shape, one.stride(), one.dtype, one.device) for one in tensors_in(result)]


@pytest.mark.parametrize(("operation", "args"), CASES)
def test_results_are_torchs(operation: Any, args: list[Any]) -> None:
    assert told(result_of(operation, args, {})) == told(operation(*args))


def test_every_operation_has_a_case_that_is_worked_out_here() -> None:
    assert {operation for operation, args in CASES if _QUICK[operation](*args) is not None} == set(_QUICK)


@pytest.mark.parametrize(("operation", "args"), MISFITS)
def test_sizes_that_do_not_fit_are_refused_with_torchs_own_words(operation: Any, args: list[Any]) -> None:
    with pytest.raises(RuntimeError) as own:
        operation(*args)
    with pytest.raises(RuntimeError) as here:
        result_of(operation, args, {})
    assert str(here.value) == str(own.value)
