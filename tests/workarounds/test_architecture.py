"""Faults of progressive networks and of PackNet, and ours without them."""

from __future__ import annotations

from typing import Any

import cloudpickle
import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import PNN, MultiHeadClassifier
from avalanche.models.packnet import PackNetModel, PackNetPlugin
from avalanche.training.supervised import PackNet
from torch import nn

from lifelong import Setup
from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.streams import make_benchmark
from lifelong.models import build_model
from lifelong.records.spec import Budget
from lifelong.training.evaluation import evaluate
from lifelong.workarounds.architecture import WorkingPackNet, WorkingPackNetModel, WorkingPNN
from lifelong.workarounds.evaluating import no_evaluator

CLASSES = 6
BUDGET = Budget(epochs=4, batch_size=4, eval_batch_size=3)
PROBE = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(5))
FIRST = torch.zeros(5, dtype=torch.int64)


@pytest.fixture(scope="module")
def benchmark() -> Any:
    generator = torch.Generator().manual_seed(1)
    data = Samples(torch.randn(CLASSES * 4, 1, 2, 2, generator=generator), torch.arange(CLASSES * 4) % CLASSES)
    return make_benchmark("task", ImageData(data, data, torch.zeros(1), ""), Context(), experiences=3)


def network(benchmark: Any) -> nn.Module:
    torch.manual_seed(0)
    return build_model("mlp", {"widths": [7, 5]}, protocol="task", benchmark=benchmark)


def naive(model: nn.Module, *plugins: SupervisedPlugin, optimizer: torch.optim.Optimizer | None = None) -> Any:
    return Setup(model, optimizer or torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), BUDGET).naive(*plugins)


def pickled(thing: Any) -> Any:
    return cloudpickle.loads(cloudpickle.dumps(thing))


# Progressive networks


def stock_columns() -> PNN:
    torch.manual_seed(0)
    model = PNN(num_layers=2, in_features=4, hidden_features_per_column=5, adapter="linear")
    model.classifier = MultiHeadClassifier(5, masking=False)
    return model


def our_columns(benchmark: Any, adapter: str = "linear") -> WorkingPNN:
    return WorkingPNN(4, [7, 5], network(benchmark).classifier, adapter)


def columns(model: PNN) -> list[int]:
    return [len(layer.columns) for layer in model.layers]


def test_evaluation_adds_columns_fault(benchmark: Any) -> None:
    for model, after in ((stock_columns(), [3, 3]), (our_columns(benchmark), [1, 1])):
        strategy = naive(model)
        strategy.train(benchmark.train_stream[0])
        assert columns(model) == [1, 1]
        strategy.eval(benchmark.test_stream)
        assert columns(model) == after


def test_a_task_without_a_column_fault(benchmark: Any) -> None:
    with pytest.raises(KeyError):
        stock_columns()(PROBE, 2)
    model = our_columns(benchmark)
    assert model(PROBE, 2).shape == (5, 2), "of the newest column, before any training too"
    assert model(PROBE, torch.full((5,), 2)).shape == (5, 2)


def test_the_first_layers_adapter_fault(benchmark: Any) -> None:
    """It is `mlp` whatever was asked for, and reads the input once for each column before."""
    inputs = []
    for model in (stock_columns(), our_columns(benchmark)):
        strategy = naive(model)
        for experience in benchmark.train_stream:
            strategy.train(experience)
        inputs.append(sum(weight.numel() for weight in model.layers[0].columns[2].adapter.parameters()))
    stock, ours = inputs
    assert stock > 0
    assert hasattr(stock_columns().layers[0], "adapter")
    assert stock_columns().layers[0].adapter == "mlp"
    assert ours == 0


@pytest.mark.parametrize("adapter", ["mlp", "linear"])
def test_earlier_columns_are_frozen(benchmark: Any, adapter: str) -> None:
    model = our_columns(benchmark, adapter)
    strategy = naive(model)
    strategy.train(benchmark.train_stream[0])
    before = model.eval()(PROBE, 0)
    for experience in benchmark.train_stream[1:]:
        evaluate(strategy, benchmark.test_stream)
        strategy.train(experience)
    assert columns(model) == [3, 3]
    assert torch.equal(model.eval()(PROBE, 0), before)


def test_a_column_reads_those_before_it_by_hand(benchmark: Any) -> None:
    """Equation 1 of Rusu et al. 2016: h2 = relu(W h1 + sum_j U_j h1_j), and no laterals at the input."""
    model = our_columns(benchmark)
    strategy = naive(model)
    for experience in benchmark.train_stream[:2]:
        strategy.train(experience)
    first, second = model.layers
    x = PROBE.flatten(1)
    h = [torch.relu(column.itoh(x)) for column in first.columns]
    lateral = second.columns[1].adapter.lat_layers[0](h[0])
    hidden = torch.relu(second.columns[1].itoh(h[1]) + lateral)
    torch.testing.assert_close(model(PROBE, 1), model.classifier(hidden, 1))


# PackNet


def packed(benchmark: Any, optimizer: Any = None, weight_decay: float = 0.0, retrained: float = 0.5) -> Any:
    model = WorkingPackNetModel(network(benchmark))
    made = (optimizer or torch.optim.SGD)(model.parameters(), lr=0.1, weight_decay=weight_decay)
    return naive(model, WorkingPackNet(0.5, retrained, BUDGET), optimizer=made)


def test_packed_networks_with_heads_fault(benchmark: Any) -> None:
    with pytest.raises(TypeError, match="task_labels"):
        PackNetModel(network(benchmark))(PROBE, FIRST)
    assert WorkingPackNetModel(network(benchmark))(PROBE, FIRST).shape == (5, 2)


def test_packed_layers_without_bias_fault() -> None:
    for kind, fails in ((PackNetModel, True), (WorkingPackNetModel, False)):
        model = kind(nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)))
        model.prune(0.5)
        if fails:
            with pytest.raises(AttributeError, match="requires_grad"):
                model.freeze_pruned()
        else:
            model.freeze_pruned()
            assert model.task_count == 1


def test_pickling_a_packed_network_fault(benchmark: Any) -> None:
    network_of_one = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    model = PackNetModel(network_of_one)
    (layer,) = (module for module in model.modules() if hasattr(module, "unfrozen_mask"))
    assert layer.wrappee.weight._backward_hooks
    (layer,) = (module for module in pickled(model).modules() if hasattr(module, "unfrozen_mask"))
    assert not layer.wrappee.weight._backward_hooks, "what kept frozen weights"
    strategy = packed(benchmark)
    strategy.train(benchmark.train_stream[0])
    again = pickled(strategy)
    before = again.model.eval()(PROBE, FIRST)
    again.train(benchmark.train_stream[1])
    assert torch.equal(again.model.eval()(PROBE, FIRST), before)


class _AfterTwo(PackNetPlugin):
    """Avalanche's, with two of four epochs after pruning."""

    def __init__(self) -> None:
        super().__init__(2, 0.5)


def test_weight_decay_moves_frozen_weights_fault(benchmark: Any) -> None:
    model = WorkingPackNetModel(network(benchmark))
    for layer in model.packed():
        layer.wrappee.weight.register_hook(layer._remove_gradient_hook)  # as Avalanche keeps them
    stock = naive(model, _AfterTwo(), optimizer=torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1))
    for strategy, kept in ((stock, False), (packed(benchmark, weight_decay=0.1), True)):
        strategy.train(benchmark.train_stream[0])
        strategy.model.eval()(PROBE, FIRST)
        masks = [layer.visible_mask.clone() for layer in strategy.model.packed()]
        before = [layer.wrappee.weight[mask] for layer, mask in zip(strategy.model.packed(), masks, strict=True)]
        strategy.train(benchmark.train_stream[1])
        after = [layer.wrappee.weight[mask] for layer, mask in zip(strategy.model.packed(), masks, strict=True)]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)) is kept


def test_packnet_with_adamw_fault(benchmark: Any) -> None:
    model = WorkingPackNetModel(network(benchmark))
    stock = naive(model, _AfterTwo(), optimizer=torch.optim.AdamW(model.parameters()))
    with pytest.raises(TypeError, match="decoupled_weight_decay"):
        stock.train(benchmark.train_stream[0])
    packed(benchmark, torch.optim.AdamW, weight_decay=0.1).train(benchmark.train_stream[0])


def test_packnet_passes_over_plugins_fault(benchmark: Any) -> None:
    called = []

    class Notes(SupervisedPlugin):
        def before_training_exp(self, *_: object, **__: object) -> None:
            called.append(1)

    model = WorkingPackNetModel(network(benchmark))
    stock = PackNet(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        post_prune_epochs=1,
        prune_proportion=0.5,
        train_epochs=2,
        plugins=[Notes()],
        evaluator=no_evaluator(),
    )
    stock.train(benchmark.train_stream[0])
    assert not called
    ours = packed(benchmark)
    ours.plugins.append(Notes())
    ours.train(benchmark.train_stream[0])
    assert called


@pytest.mark.parametrize("retrained", [0.0, 0.5, 1.0])
def test_tasks_are_packed_side_by_side(benchmark: Any, retrained: float) -> None:
    """Each keeps the larger half of what was free, and its outputs to the last bit."""
    strategy = packed(benchmark, torch.optim.Adam, weight_decay=0.1, retrained=retrained)
    outputs = []
    for experience in benchmark.train_stream:
        strategy.train(experience)
        strategy.model.eval()
        told = [strategy.model(PROBE, torch.full((5,), task)) for task in range(len(outputs) + 1)]
        assert all(torch.equal(now, then) for now, then in zip(told, outputs, strict=False))
        outputs = told
    layer = strategy.model.packed()[0]
    owners = layer.task_index.flatten().bincount().tolist()
    assert owners == [14, 7, 4, 3], "of 28 weights half, half of the rest, half of that, and what is free"
    assert all(head.classifier.weight.requires_grad for head in strategy.model.wrappee.classifier.classifiers.values())
