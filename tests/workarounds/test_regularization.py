"""Faults of Riemannian walk, less-forgetful learning and CWR*, and ours against the papers by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import CWRStarPlugin, LFLPlugin, RWalkPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from lifelong import Setup
from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.streams import StreamKind, make_benchmark
from lifelong.models import build_model
from lifelong.records.spec import Budget
from lifelong.workarounds.regularization import WorkingCWRStar, WorkingLFL, WorkingRWalk

CLASSES = 6
BUDGET = Budget(epochs=2, batch_size=4, eval_batch_size=3)


def benchmark_of(kind: StreamKind = "class") -> Any:
    generator = torch.Generator().manual_seed(1)
    data = Samples(torch.randn(CLASSES * 4, 1, 2, 2, generator=generator), torch.arange(CLASSES * 4) % CLASSES)
    return make_benchmark(kind, ImageData(data, data, torch.zeros(1), ""), Context(), experiences=3)


def network(benchmark: Any, kind: StreamKind = "class", dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    protocol = "task" if kind == "task" else "class"
    return build_model("mlp", {"widths": [5], "dropout": dropout}, protocol=protocol, benchmark=benchmark)


def train_with(model: nn.Module, benchmark: Any, *plugins: SupervisedPlugin, experiences: int = 3) -> Any:
    strategy = Setup(model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), BUDGET).naive(*plugins)
    torch.manual_seed(3)
    for experience in benchmark.train_stream[:experiences]:
        strategy.train(experience)
    return strategy


class Modes(SupervisedPlugin):
    """Notes whether the network is in training mode at each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []

    def before_forward(self, strategy: SupervisedTemplate, **_: object) -> None:
        self.seen.append(all(module.training for module in strategy.model.modules()))


# Riemannian walk


def test_rwalk_trains_in_eval_mode_fault() -> None:
    for plugin, training in ((RWalkPlugin(), False), (WorkingRWalk(), True)):
        benchmark, modes = benchmark_of(), Modes()
        train_with(network(benchmark), benchmark, plugin, modes, experiences=1)
        assert set(modes.seen) == {training}


def test_rwalk_of_a_short_experience_fault() -> None:
    """Four steps, of which ten would make a score."""
    for plugin, finite in ((RWalkPlugin(delta_t=10), False), (WorkingRWalk(delta_t=10), True)):
        benchmark = benchmark_of()
        train_with(network(benchmark), benchmark, plugin, experiences=1)
        penalties = torch.cat([penalty.data.flatten() for penalty in plugin.exp_penalties.values()])
        assert bool(torch.isfinite(penalties).all()) is finite


def test_rwalk_at_zero_loss_has_no_penalty() -> None:
    benchmark = benchmark_of()
    model, first = network(benchmark), benchmark.train_stream[0]
    label = min(first.classes_in_this_experience)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.fill_(-200.0)
        model.classifier.bias[label] = 200.0
    first._dataset = first.dataset.subset(torch.nonzero(torch.tensor(list(first.dataset.targets)) == label).flatten())
    plugin = WorkingRWalk()
    train_with(model, benchmark, plugin, experiences=2)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def add_scores(
    scores: list[Tensor], gained: list[Tensor], fisher: list[Tensor], weights: list[Any], start: list[Tensor]
) -> None:
    """Equation 7, over the steps since the weights were at `start`."""
    for s, g, f, w, b in zip(scores, gained, fisher, weights, start, strict=True):
        s += g / (0.5 * f * (w.detach() - b) ** 2 + torch.finfo(g.dtype).eps)


def rwalk_by_hand(model: nn.Module, benchmark: Any, strength: float, alpha: float, every: int) -> list[Tensor]:
    """Chaudhry et al. 2018, equations 6 to 8, on the batches of a run whose generator is seeded with 3: the weights."""
    torch.manual_seed(3)
    weights = list(model.parameters())
    optimizer = torch.optim.SGD(weights, 0.1, momentum=0.9)
    fisher: list[Tensor] = []
    score: list[Tensor] = []
    stiffness, anchor = [torch.zeros_like(w) for w in weights], [w.detach().clone() for w in weights]
    step = 0
    for experience in benchmark.train_stream:
        gained, start = [torch.zeros_like(w) for w in weights], [w.detach().clone() for w in weights]
        scores = [torch.zeros_like(w) for w in weights]

        for _ in range(BUDGET.epochs):
            for x, y, _ in DataLoader(experience.dataset, BUDGET.batch_size, shuffle=True):
                criterion = functional.cross_entropy(model(x), y)
                gradient = torch.autograd.grad(criterion, weights, retain_graph=True)
                squares = [g**2 for g in gradient]
                known = fisher or squares
                fisher = [alpha * new + (1 - alpha) * old for new, old in zip(squares, known, strict=True)]
                penalty = sum((s * (w - a) ** 2).sum() for s, w, a in zip(stiffness, weights, anchor, strict=True))
                optimizer.zero_grad()
                (criterion + strength * penalty).backward()
                before = [w.detach().clone() for w in weights]
                optimizer.step()
                for total, g, w, b in zip(gained, gradient, weights, before, strict=True):
                    total -= g * (w.detach() - b)
                step += 1
                if step % every == 0:
                    add_scores(scores, gained, fisher, weights, start)
                    gained, start = [torch.zeros_like(w) for w in weights], [w.detach().clone() for w in weights]
        add_scores(scores, gained, fisher, weights, start)
        positive = [s.clamp(min=0) for s in scores]
        score = [(a + b) / 2 for a, b in zip(score or positive, positive, strict=True)]
        most_score, most_fisher = max(s.max() for s in score), max(f.max() for f in fisher)
        stiffness = [f / most_fisher + s / most_score for f, s in zip(fisher, score, strict=True)]
        anchor = [w.detach().clone() for w in weights]
    return [w.detach() for w in weights]


def test_rwalk_is_chaudhrys() -> None:
    benchmark = benchmark_of()
    strategy = train_with(network(benchmark), benchmark, WorkingRWalk(0.5, 0.9, delta_t=3))
    expected = rwalk_by_hand(network(benchmark), benchmark, 0.5, 0.9, every=3)
    torch.testing.assert_close([w.detach() for w in strategy.model.parameters()], expected)
    naive = train_with(network(benchmark), benchmark)
    assert not torch.allclose(next(naive.model.parameters()), expected[0], atol=1e-3)


# Less-forgetful learning


def test_lfl_on_a_network_of_ones_own_fault() -> None:
    benchmark = benchmark_of()
    with pytest.raises(NotImplementedError, match="get_features"):
        train_with(network(benchmark), benchmark, LFLPlugin(1.0))


class _Features(LFLPlugin):
    """Avalanche's, told where the features are."""

    def before_training(self, *_: object, **__: object) -> None:
        pass

    def before_training_exp(self, strategy: Any, **_: object) -> None:
        for model in (strategy.model, self.prev_model):
            if model is not None:
                model.get_features = model.features


def test_lfl_trains_in_eval_mode_fault() -> None:
    for plugin, training in ((_Features(1.0), False), (WorkingLFL(1.0), True)):
        benchmark, modes = benchmark_of(), Modes()
        train_with(network(benchmark), benchmark, plugin, modes, experiences=2)
        assert all(modes.seen) is training


def test_lfl_freezes_the_head_of_a_task_to_come_fault() -> None:
    for plugin, frozen in ((_Features(1.0), "2"), (WorkingLFL(1.0), "0")):
        benchmark = benchmark_of("task")
        model = network(benchmark, "task")
        train_with(model, benchmark, plugin, experiences=1)
        heads = model.classifier.classifiers
        assert [name for name, head in heads.items() if not head.classifier.weight.requires_grad] == [frozen]


def test_lfl_is_avalanches_otherwise() -> None:
    """Without dropout and batch statistics, modes make no difference."""
    weights = []
    for plugin in (_Features(3.0), WorkingLFL(3.0)):
        benchmark = benchmark_of()
        strategy = train_with(network(benchmark), benchmark, plugin)
        weights.append(torch.cat([w.detach().flatten() for w in strategy.model.parameters()]))
    torch.testing.assert_close(*weights)


# CWR*


def test_cwr_star_leaves_biases_behind_fault() -> None:
    for kind, zero in ((CWRStarPlugin, False), (WorkingCWRStar, True)):
        benchmark = benchmark_of()
        model = network(benchmark)
        train_with(model, benchmark, kind(model))
        assert (model.classifier.bias.abs().max() == 0) == zero


def test_cwr_star_by_hand() -> None:
    """Classes come twice; each time their weights are shifted, and averaged by the root of how often they were seen."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
    plugin = WorkingCWRStar(model)
    layer = model[1]

    def consolidate(weights: list[list[float]], counts: dict[int, int]) -> None:
        plugin.cur_class, model.cur_j = list(counts), counts
        plugin.reset_weights(plugin.cur_class)
        layer.weight.data[list(counts)] = torch.tensor(weights)
        plugin.consolidate_weights()
        plugin.set_consolidate_weights()

    consolidate([[1.0, 3.0], [5.0, 7.0]], {0: 4, 1: 4})  # the mean is 4
    assert layer.weight[:2].tolist() == [[-3.0, -1.0], [1.0, 3.0]]
    consolidate([[0.0, 2.0]], {0: 1})  # the mean is 1; seen 4 times as often before, so that the past counts twice
    torch.testing.assert_close(layer.weight[0].tolist(), [(-3 * 2 - 1) / 3, (-1 * 2 + 1) / 3])
    assert layer.weight[1].tolist() == [1.0, 3.0], "as it was set aside"
