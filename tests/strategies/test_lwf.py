"""Learning without forgetting, whose distillation may weigh something else in each experience."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from lifelong.errors import UsageError
from lifelong.running.board import load_board
from lifelong.running.plan import Wishes, make_plan
from lifelong.running.records import Store
from lifelong.running.setup import Prepared, build_benchmark, prepare


def made(folder: Path, name: str, *settings: str) -> Prepared:
    """A strategy on toy, two epochs for each of its three experiences."""
    wishes = Wishes(("toy",), (name,), "0", ("budget.epochs=2", *settings))
    (cell,) = (
        cell
        for cell in make_plan(load_board("toy-v1"), wishes, Store(folder, "toy-v1")).cells
        if cell.strategy.name == name
    )
    assert cell.spec is not None
    benchmark = build_benchmark(cell.spec, cell.scenario, None, "cpu")
    return prepare(cell.spec, cell.scenario, cell.strategy, benchmark, "cpu")


def weights(run: Prepared) -> list[Tensor]:
    """All weights after each experience."""
    found = []
    for experience in run.benchmark.train_stream:
        run.strategy.train(experience)
        found.append(parameters_to_vector(run.strategy.model.parameters()).detach().clone())
    return found


def test_each_experience_has_its_own_weight(tmp_path: Path) -> None:
    plain = weights(made(tmp_path, "naive"))
    last = weights(made(tmp_path, "lwf", "lwf.alpha=[0, 0, 5]"))
    always = weights(made(tmp_path, "lwf", "lwf.alpha=[7, 5, 5]"))
    constant = weights(made(tmp_path, "lwf", "lwf.alpha=5"))
    torch.testing.assert_close(last[:2], plain[:2])
    assert not torch.allclose(last[2], plain[2], atol=1e-3)
    torch.testing.assert_close(always, constant)  # there is nothing to distil in the first
    assert not torch.allclose(always[1], plain[1], atol=1e-3)


@pytest.mark.parametrize("alpha", ["[1, 2]", "[0, 1, 2, 3]", "[0, 1, -2]"])
def test_what_fits_no_stream_is_refused(alpha: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="alpha"):
        made(tmp_path, "lwf", f"lwf.alpha={alpha}")
