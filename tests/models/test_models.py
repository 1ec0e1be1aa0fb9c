"""Networks fit their benchmark, and are whole before any training."""

from __future__ import annotations

import subprocess
import sys
from math import exp
from typing import get_args

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.models import IncrementalClassifier, MTSlimResNet18, MultiTaskModule, SlimResNet18
from avalanche.training import LwF
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from lifelong import load_scenario
from lifelong.contracts import Context, Protocol
from lifelong.data.images import ImageData, Samples
from lifelong.data.streams import make_benchmark
from lifelong.errors import UsageError
from lifelong.models import build_model, models
from lifelong.models.activations import CReLU, SmoothLeaky
from lifelong.models.contract import as_stored
from lifelong.models.networks._layers import Activation, Normalization
from lifelong.structure import Structure, create_units
from lifelong.workarounds.evaluating import no_evaluator

SHAPES = [(1, 4, 4), (1, 8, 8), (1, 28, 28), (3, 32, 32)]


def benchmark_of(shape: tuple[int, ...], protocol: Protocol = "class") -> CLScenario:
    data = Samples(torch.zeros(12, *shape), torch.arange(12) % 6)
    images = ImageData(data, data, torch.zeros(shape[0]), "")
    assert protocol != "task-free"
    return make_benchmark(protocol, images, Context(), experiences=3)


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.clone() for name, parameter in model.state_dict().items()}


SEQUENTIAL = {"cnn1d", "gru", "lstm"}
"""The networks for sequences, to which a gray image is a sequence of rows; colour is nothing to them."""


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in models.all() for shape in SHAPES if name not in SEQUENTIAL or shape[0] == 1],
)
def test_every_model_takes_every_image(name: str, shape: tuple[int, ...]) -> None:
    model = build_model(name, {}, protocol="class", benchmark=benchmark_of(shape))
    x = torch.randn(5, *shape)
    assert model(x).shape == (5, 6)
    assert [part for part, _ in model.named_children()] == ["features", "classifier"]
    model(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_mlp_by_hand() -> None:
    model = build_model("mlp", {"widths": [7, 5]}, protocol="class", benchmark=benchmark_of((3, 4, 4)))
    x = torch.randn(2, 3, 4, 4)
    (a, p), (b, q), (c, r) = [(m.weight, m.bias) for m in model.modules() if isinstance(m, nn.Linear)]
    hidden = torch.relu(torch.relu(x.flatten(1) @ a.T + p) @ b.T + q)
    assert (a.shape, b.shape, c.shape) == ((7, 48), (5, 7), (6, 5))
    torch.testing.assert_close(model(x), hidden @ c.T + r)


def test_mlp_without_hidden_layers_is_linear() -> None:
    model = build_model("mlp", {"widths": []}, protocol="class", benchmark=benchmark_of((1, 4, 4)))
    assert sum(parameter.numel() for parameter in model.parameters()) == 16 * 6 + 6


def test_slim_resnet_is_avalanches_on_its_own_input_size() -> None:
    model = build_model("slim-resnet18", {}, protocol="class", benchmark=benchmark_of((3, 32, 32)))
    reference = SlimResNet18(6)
    assert len(reference.state_dict()) == len(model.state_dict())
    reference.load_state_dict(
        {name.removeprefix("features.").replace("classifier", "linear"): w for name, w in model.state_dict().items()}
    )
    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(model(x), reference(x))


@pytest.mark.parametrize(
    ("name", "values", "shape", "count"),
    [
        # torchvision's has 1,000 classes and a first convolution of 7 x 7
        ("resnet18", {}, (3, 32, 32), 11_689_512 - 1000 * 513 + 6 * 513 - 64 * 3 * (49 - 9)),
        # He et al. 2016, Table 6: 0.46 million for ten classes
        ("resnet32", {}, (3, 32, 32), 464_154 - 4 * 65),
        ("lstm", {"width": 7, "layers": 2}, (9, 5), 4 * 7 * (5 + 7 + 2) + 4 * 7 * (7 + 7 + 2) + 6 * 8),
        ("gru", {"width": 7}, (9, 5), 3 * 7 * (5 + 7 + 2) + 6 * 8),
        ("cnn1d", {"channels": [4], "widths": []}, (5, 9), 4 * (5 * 3 + 1) + 6 * (4 * 5 + 1)),
    ],
)
def test_networks_have_the_weights_of_their_papers(
    name: str, values: dict[str, object], shape: tuple[int, ...], count: int
) -> None:
    data = Samples(torch.zeros(12, *shape), torch.arange(12) % 6)
    benchmark = make_benchmark("class", ImageData(data, data, torch.zeros(shape[0]), ""), Context(), experiences=3)
    model = build_model(name, values, protocol="class", benchmark=benchmark)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert model(torch.randn(3, *shape)).shape == (3, 6)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "cnn1d"])
@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("normalization", get_args(Normalization))
def test_every_activation_and_normalization_can_grow(kind: str, activation: str, normalization: str) -> None:
    values = {"widths": [6], "activation": activation, "normalization": normalization}
    model = build_model(kind, values, protocol="class", benchmark=benchmark_of((1, 8, 8)))
    x = torch.randn(5, 1, 8, 8)
    structure = Structure(model.eval(), x)
    before = model(x)
    assert before.shape == (5, 6)
    for name in [layer.name for layer in structure.layers.values() if not layer.fixed]:
        create_units(structure, name, 2)
    grown = model(x)
    if normalization == "layer":  # units are normalised together, so that new ones change what the others look like
        assert not torch.allclose(grown, before)
    else:
        torch.testing.assert_close(grown, before)
    grown.sum().backward()


def test_concatenated_rectifiers_and_smooth_leaky_ones_by_hand() -> None:
    x = torch.tensor([[-2.0, 0.0, 3.0]])
    assert CReLU()(x).tolist() == [[0, 0, 3, 2, 0, 0]]
    expected = [value * (0.1 + 0.9 / (1 + exp(-5 / 3 * value))) for value in (-2.0, 0.0, 3.0)]
    torch.testing.assert_close(SmoothLeaky()(x), torch.tensor([expected]))
    sharp = SmoothLeaky(slope=0.01, sharpness=1e6)(x)
    torch.testing.assert_close(sharp, nn.functional.leaky_relu(x))


def test_a_recurrent_network_gives_its_last_state() -> None:
    model = build_model("lstm", {"width": 4}, protocol="class", benchmark=benchmark_of((1, 8, 8)))
    (cells,) = (module for module in model.modules() if isinstance(module, nn.LSTM))
    x = torch.randn(3, 1, 8, 8)
    h, c = torch.zeros(3, 4), torch.zeros(3, 4)
    for row in range(8):  # the cell's equations, as in torch's documentation
        gates = x[:, 0, row] @ cells.weight_ih_l0.T + cells.bias_ih_l0 + h @ cells.weight_hh_l0.T + cells.bias_hh_l0
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    torch.testing.assert_close(model.features(x), h)


def test_a_vision_transformer_is_torchvisions() -> None:
    model = build_model("vit", {"depth": 2}, protocol="class", benchmark=benchmark_of((3, 8, 8)))
    reference = VisionTransformer(8, 4, 2, 4, 64, 128, num_classes=6)
    reference.heads = model.classifier
    reference.load_state_dict({**reference.state_dict(), **model.features.state_dict()})
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(model.eval()(x), reference.eval()(x))


def test_weights_come_from_the_global_generator() -> None:
    def built(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        return parameters(build_model("cnn", {}, protocol="task", benchmark=benchmark_of((1, 8, 8), "task")))

    first, again, other = built(0), built(0), built(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["features.conv1.weight"], other["features.conv1.weight"])


def test_batch_statistics_are_untouched_by_building() -> None:
    model = build_model("slim-resnet18", {}, protocol="class", benchmark=benchmark_of((1, 8, 8)))
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(int(m.num_batches_tracked) == 0 for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_each_task_has_its_head_before_training() -> None:
    benchmark = benchmark_of((1, 8, 8), "task")
    model = build_model("mlp", {}, protocol="task", benchmark=benchmark)
    assert isinstance(model, MultiTaskModule)
    x = torch.randn(6, 1, 8, 8)
    heads = [model.forward_single_task(x, task) for task in range(3)]
    assert all(head.shape == (6, 2) for head in heads)
    tasks = torch.tensor([0, 1, 2, 2, 1, 0])
    torch.testing.assert_close(model(x, tasks), torch.stack([heads[t][i] for i, t in enumerate(tasks.tolist())]))
    assert model(x, None) == {}, "no task has been trained"


def test_features_of_a_batch_of_many_tasks_are_computed_together() -> None:
    model = build_model("slim-resnet18", {"width": 4}, protocol="task", benchmark=benchmark_of((3, 32, 32), "task"))
    reference = MTSlimResNet18(2, nf=4)
    x, tasks = torch.randn(6, 3, 32, 32), torch.tensor([0, 1, 2, 2, 1, 0])
    reference.linear = model.classifier
    weights = {name.removeprefix("features."): w for name, w in model.state_dict().items()}
    reference.load_state_dict({name: weights[name.replace("linear", "classifier")] for name in reference.state_dict()})
    torch.testing.assert_close(model(x, tasks), reference(x, tasks))


@pytest.mark.parametrize(
    ("scenario", "protocol", "head"),
    [("toy", "class", "protocol"), ("toy", "class", "incremental"), ("toy-task", "task", "protocol")],
)
def test_training_and_evaluation_add_nothing(scenario: str, protocol: Protocol, head: str) -> None:
    benchmark = load_scenario(scenario)
    model = build_model("mlp", {"head": head}, protocol=protocol, benchmark=benchmark)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    shapes = {name: value.shape for name, value in model.named_parameters()}
    strategy = LwF(
        model=model,
        optimizer=optimizer,
        criterion=nn.CrossEntropyLoss(),
        alpha=1.0,
        temperature=2.0,
        evaluator=no_evaluator(),
    )
    held = {id(parameter) for parameter in model.parameters()}
    strategy.eval(benchmark.test_stream)
    for experience in benchmark.train_stream:
        strategy.train(experience)
        strategy.eval(benchmark.test_stream)
    assert {name: value.shape for name, value in model.named_parameters()} == shapes
    assert {id(parameter) for parameter in model.parameters()} == held
    if protocol == "task":
        assert set(model(torch.randn(2, 1, 4, 4), None)) == {0, 1, 2}


def test_an_incremental_head_masks_what_it_has_not_seen() -> None:
    benchmark = benchmark_of((1, 8, 8))
    model = build_model("mlp", {"head": "incremental"}, protocol="class", benchmark=benchmark)
    assert isinstance(model.classifier, IncrementalClassifier)
    first = benchmark.train_stream[0]
    model.classifier.adaptation(first)
    logits = model(torch.randn(3, 1, 8, 8))
    seen = sorted(first.classes_in_this_experience)
    unseen = sorted(set(range(6)) - set(seen))
    assert logits.shape == (3, 6)
    assert (logits[:, unseen] == -1000).all()
    assert (logits[:, seen] > -100).all()


def test_a_single_head_may_be_asked_for_in_spite_of_task_labels() -> None:
    model = build_model("mlp", {"head": "single"}, protocol="task", benchmark=benchmark_of((1, 8, 8), "task"))
    assert not isinstance(model, MultiTaskModule)
    assert model(torch.randn(3, 1, 8, 8)).shape == (3, 2)


@pytest.mark.parametrize(
    ("name", "values", "shape", "message"),
    [
        ("mpl", {}, (1, 8, 8), "did you mean 'mlp'"),
        ("mlp", {"width": [3]}, (1, 8, 8), "did you mean 'widths'"),
        ("mlp", {"widths": "wide"}, (1, 8, 8), "mlp.widths"),
        ("mlp", {"widths": [3, 0]}, (1, 8, 8), r"widths = \[3, 0\]: each must be at least 1"),
        ("mlp", {"dropout": 1.0}, (1, 8, 8), r"dropout = 1.0 is not in \[0, 1\)"),
        ("mlp", {"head": "multi"}, (1, 8, 8), "mlp.head"),
        ("cnn", {"channels": [0]}, (1, 8, 8), "channels"),
        ("mlp", {"activation": "rleu"}, (1, 8, 8), "mlp.activation = 'rleu'"),
        ("resnet32", {"blocks": 0}, (1, 8, 8), r"blocks = \[0\]: each must be at least 1"),
        ("vit", {"patch": 3}, (1, 8, 8), "takes square images in patches of 3 pixels, not 8 x 8"),
        ("vit", {"width": 10}, (1, 8, 8), "width = 10 is not divisible by heads = 4"),
        ("lstm", {}, (3, 8, 8), "takes sequences of two dimensions and gray images"),
    ],
)
def test_wrong_requests_are_explained(
    name: str, values: dict[str, object], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build_model(name, values, protocol="class", benchmark=benchmark_of(shape))


def test_a_convolution_refuses_what_is_no_image() -> None:
    with pytest.raises(ValueError, match="'mlp' takes any input"):
        models.get("cnn")((7,))


def test_resolved_parameters_are_plain_data_of_every_model() -> None:
    assert as_stored(models.get("mlp").resolve({"widths": [3]})) == {
        "widths": [3],
        "dropout": 0.0,
        "activation": "relu",
        "normalization": "none",
        "head": "protocol",
    }
    assert as_stored(models.get("mlp").resolve({}))["widths"] == [400, 400]
    assert all(model.resolve({})["head"] == "protocol" for model in models.all().values())


def test_listing_the_models_loads_neither_torch_nor_avalanche() -> None:
    code = (
        "import sys; from lifelong.models import models; [(m.parameters, m.summary) for m in models.all().values()];"
        "sys.exit(bool({'torch', 'avalanche', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
