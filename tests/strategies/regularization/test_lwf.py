"""Learning without forgetting, step for step beside Avalanche's, with weights for each experience."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.training.plugins import LwFPlugin
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from lifelong.boards.board import load_board
from lifelong.boards.plan import Wishes, make_plan
from lifelong.errors import UsageError
from lifelong.records.store import Store
from lifelong.training.prepare import Prepared, build_benchmark, prepare


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


@pytest.fixture(scope="module")
def kind(ours: Any) -> Any:
    return ours("learning_without_forgetting", "LearningWithoutForgetting")


@pytest.mark.parametrize("protocol", ["class", "domain", "task"])
@pytest.mark.parametrize("alpha", [2.0, [0.0, 1.0, 4.0]])
def test_every_step_is_avalanches(alpha: Any, protocol: str, kind: Any, same_steps: Any) -> None:
    """Without dropout and batch statistics, the mode of the teacher makes no difference."""
    same_steps(kind(alpha, 1.5), LwFPlugin(alpha, 1.5), protocol)


def test_what_is_old_is_what_avalanche_has_for_old(
    kind: Any, benchmark_of: Any, network_for: Any, train_with: Any
) -> None:
    for protocol in ("class", "domain", "task"):
        benchmark, plugin, stock = benchmark_of(protocol), kind(1.0, 2.0), LwFPlugin(1.0, 2.0)
        for each in (plugin, stock):
            train_with(network_for(benchmark, protocol), benchmark, each)
        assert plugin.old == {task: sorted(classes) for task, classes in stock.lwf.prev_classes_by_task.items()}


def test_the_teacher_of_lwf_holds_still_fault(kind: Any, benchmark_of: Any, network_for: Any, train_with: Any) -> None:
    benchmark = benchmark_of()
    for plugin, still in ((LwFPlugin(1.0, 2.0), False), (kind(1.0, 2.0), True)):
        train_with(nn.Sequential(network_for(benchmark), nn.Dropout(0.5)), benchmark, plugin)
        x = benchmark.train_stream[0].dataset[0][0][None]
        teacher = plugin.teacher if still else plugin.lwf.prev_model
        outputs = [teacher(x) for _ in range(8)]
        assert all(torch.equal(output, outputs[0]) for output in outputs) is still


def test_each_experience_has_its_own_weight(tmp_path: Path) -> None:
    plain = weights(made(tmp_path, "naive"))
    last = weights(made(tmp_path, "lwf", "lwf.alpha=[0, 0, 5]"))
    always = weights(made(tmp_path, "lwf", "lwf.alpha=[7, 5, 5]"))
    constant = weights(made(tmp_path, "lwf", "lwf.alpha=5"))
    torch.testing.assert_close(last[:2], plain[:2])
    assert not torch.allclose(last[2], plain[2], atol=1e-3)
    torch.testing.assert_close(always, constant)  # there is nothing to distil in the first
    assert not torch.allclose(always[1], plain[1], atol=1e-3)


def test_the_cross_entropy_has_a_weight_for_each_experience_too(tmp_path: Path) -> None:
    constant = ("lwf.alpha=5", "budget.optimizer=sgd")
    plain, half, later = (
        weights(made(tmp_path, "lwf", *constant, f"lwf.cross_entropy={value}", f"budget.lr={lr}"))
        for value, lr in (("1", 0.01), ("0.5", 0.02), ("[1, 1, 0]", 0.01))
    )
    torch.testing.assert_close(half[0], plain[0])  # half the loss at twice the rate, while there is nothing to distil
    torch.testing.assert_close(later[:2], plain[:2])
    assert not torch.allclose(later[2], plain[2], atol=1e-3)


def test_new_classes_are_held_down_where_a_probability_of_zero_is_distilled(kind: Any) -> None:
    """Two old classes, one new: by hand, minus the sum over old classes of q log p, p being over all three."""
    out, before = torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[0.0, 2.0, 9.0]])
    q = torch.softmax(torch.tensor([0.0, 1.0]), 0)  # at a temperature of 2
    entropy = float((q * q.log()).sum())
    for distil_new, units in ((False, [0, 1]), (True, [0, 1, 2])):
        plugin = kind(1.0, 2.0, distil_new=distil_new)
        plugin.new = [1, 2] if distil_new else []
        p = torch.softmax(out[0, units] / 2, 0)
        expected = entropy - float((q * p[:2].log()).sum())
        assert float(plugin.distillation(out, before, [0, 1])) == pytest.approx(expected)


def test_distilling_into_new_classes_changes_what_is_learnt_of_them(tmp_path: Path) -> None:
    without, with_new = (weights(made(tmp_path, "lwf", f"lwf.distil_new={value}")) for value in ("false", "true"))
    torch.testing.assert_close(without[0], with_new[0])
    assert not torch.allclose(without[1], with_new[1], atol=1e-3)


@pytest.mark.parametrize("name", ["alpha", "cross_entropy"])
@pytest.mark.parametrize("values", ["[1, 2]", "[0, 1, 2, 3]", "[0, 1, -2]"])
def test_what_fits_no_stream_is_refused(name: str, values: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=name):
        made(tmp_path, "lwf", f"lwf.{name}={values}")
