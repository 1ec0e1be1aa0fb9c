"""A fault of CWR*, and ours by hand."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import CWRStarPlugin
from torch import nn

from lifelong import Setup
from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.streams import StreamKind, make_benchmark
from lifelong.models import build_model
from lifelong.records.spec import Budget
from lifelong.workarounds.architecture import WorkingCWRStar

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
