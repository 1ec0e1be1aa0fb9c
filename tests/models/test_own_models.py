"""A user's networks: a function or a class in a file, with any head, and the networks of other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.models import MultiTaskModule
from torch import nn
from torchvision.models import resnet18

from lifelong import load_scenario
from lifelong.errors import UsageError
from lifelong.models import build_model, models
from lifelong.models.parts import parts_of
from lifelong.structure import Structure

IMPORTS = """
import torch
from collections import namedtuple
from dataclasses import dataclass
from torch import nn
"""

PLAIN = """
class Net(nn.Module):
    def __init__(self, outputs, width: int = 12):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU())
        self.answer = nn.Linear(width, outputs)

    def forward(self, x):
        return self.answer(self.body(x))

def net(outputs, width: int = 12):
    return Net(outputs, width)

def features(input_shape, width: int = 12):
    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[1] * input_shape[2], width), nn.ReLU())
"""

RICH = """
Named = namedtuple("Named", "hidden logits")

@dataclass
class Output:
    hidden: torch.Tensor
    logits: torch.Tensor

class Rich(nn.Module):
    def __init__(self, outputs, wrap):
        super().__init__()
        self.body, self.answer, self.wrap = nn.Sequential(nn.Flatten(), nn.Linear(64, 12)), nn.Linear(12, outputs), wrap

    def forward(self, x):
        hidden = self.body(x)
        return self.wrap(hidden, self.answer(hidden))

def as_named_tuple(num_classes):
    return Rich(num_classes, Named)

def as_dataclass(num_classes):
    return Rich(num_classes, Output)

def as_dict(num_classes):
    return Rich(num_classes, lambda hidden, logits: {"hidden": hidden, "logits": logits})
"""


@pytest.fixture
def benchmark() -> CLScenario:
    return load_scenario("digits-class")


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a file, and return what its names are referred to by."""

    def written(code: str) -> str:
        (tmp_path / "net.py").write_text(IMPORTS + code)
        return f"{tmp_path / 'net.py'}:"

    return written


@pytest.mark.parametrize("name", ["net", "Net"])
def test_a_whole_network_computes_what_it_did_and_has_its_parts(write: Any, benchmark: CLScenario, name: str) -> None:
    reference = write(PLAIN) + name
    assert models.get(reference).parameters.keys() == {"width", "head"}
    torch.manual_seed(3)
    model = build_model(reference, {"width": 7}, protocol="class", benchmark=benchmark)
    torch.manual_seed(3)
    alone = models.get(reference).function(10, 7)
    x = torch.randn(4, 1, 8, 8)
    assert torch.equal(model(x), alone(x))
    parts = parts_of(model, x)
    assert (parts.width, parts.outputs) == (7, 10)
    assert not Structure(model, x).layers["features.body.1"].fixed


@pytest.mark.parametrize("name", ["net", "features"])
@pytest.mark.parametrize("head", ["protocol", "single", "incremental"])
def test_it_gets_the_head_that_is_asked_for(write: Any, name: str, head: str) -> None:
    reference = write(PLAIN) + name
    tasks = build_model(reference, {"head": head}, protocol="task", benchmark=load_scenario("digits-task"))
    assert isinstance(tasks, MultiTaskModule) == (head == "protocol")
    x = torch.randn(3, 1, 8, 8)
    assert (tasks(x, 4) if head == "protocol" else tasks(x)).shape == (3, 2)


@pytest.mark.parametrize("name", ["as_named_tuple", "as_dataclass", "as_dict"])
def test_logits_are_found_in_what_a_network_returns(write: Any, benchmark: CLScenario, name: str) -> None:
    torch.manual_seed(3)
    model = build_model(write(RICH) + name, {}, protocol="class", benchmark=benchmark)
    x = torch.randn(4, 1, 8, 8)
    assert model(x).shape == (4, 10)
    hidden = model.features(x)
    assert hidden.shape == (4, 12)
    assert torch.equal(model.classifier(hidden), model(x))


def test_a_network_that_ends_otherwise_is_used_as_it_is(write: Any, benchmark: CLScenario) -> None:
    code = """
def cosine(outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs), nn.Softplus())
"""
    model = build_model(write(code) + "cosine", {}, protocol="class", benchmark=benchmark)
    assert isinstance(model[2], nn.Softplus)
    with pytest.raises(UsageError, match="Sequential cannot be used: its feature extractor and its classifier must be"):
        parts_of(model, torch.zeros(1, 1, 8, 8))
    with pytest.raises(UsageError, match="cosine: it does not end in a linear layer, which a head for each task"):
        build_model(write(code) + "cosine", {}, protocol="task", benchmark=load_scenario("digits-task"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def it(outputs, width): ...", "the parameter 'width' needs a type and a default.*input_shape, outputs, num_"),
        ("def it(outputs, head: int = 3): ...", "every model has a parameter 'head' already"),
        ("def it(outputs): return 3", "it returns int, not a torch.nn.Module"),
        ("def it(outputs):\n    return nn.Lineal(3, outputs)", r"it cannot be built: AttributeError.*\(net.py:7\)"),
        ("def it(outputs): return nn.Linear(64, outputs)", "it does not take samples of shape .*: RuntimeError"),
        ("def it(outputs): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))", "it has 3 outputs, and .* needs 10"),
        (
            "def it(input_shape): return nn.Conv2d(1, 3, 3)",
            r"it: it gives features of shape \(1, 3, 6, 6\)",
        ),
        (
            "def it(outputs): return nn.LSTM(8, outputs)",
            "it does not take samples of shape",
        ),
        ("it = 3", "no model in net.py 'it'"),
    ],
)
def test_what_is_wrong_with_a_network_is_told(write: Any, benchmark: CLScenario, code: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model(write(code) + "it", {}, protocol="class", benchmark=benchmark)


def test_a_network_of_torchvision_reads_gray_images_of_any_size(benchmark: CLScenario) -> None:
    torch.manual_seed(3)
    model = build_model("torchvision:resnet18", {"size": 16}, protocol="class", benchmark=benchmark)
    torch.manual_seed(3)
    theirs = resnet18().eval()
    x = torch.randn(2, 1, 8, 8)
    larger = nn.functional.interpolate(x, (16, 16), mode="bilinear").expand(-1, 3, -1, -1)
    expected = theirs.avgpool(theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(
        theirs.maxpool(torch.relu(theirs.bn1(theirs.conv1(larger))))
    ))))).flatten(1)  # fmt: skip
    torch.testing.assert_close(model.eval().features(x), expected)
    assert model(x).shape == (2, 10)


def test_a_network_of_timm_has_a_head_for_each_task() -> None:
    pytest.importorskip("timm")
    model = build_model("timm:resnet10t", {"size": 32}, protocol="task", benchmark=load_scenario("digits-task"))
    assert model(torch.randn(2, 1, 8, 8), 3).shape == (2, 2)


@pytest.mark.parametrize(
    ("reference", "parameters", "message"),
    [
        ("torchvision:resnet81", {}, "no network of torchvision 'resnet81'.*did you mean 'resnet18'"),
        ("torchvision:resnet18", {"pretrain": True}, "did you mean 'pretrained'"),
        ("torchvision:squeezenet1_0", {"size": 64}, "torchvision:squeezenet1_0: it does not end in a linear layer"),
        ("torchvision:vit_b_16", {}, "torchvision:vit_b_16 cannot be built: .*Wrong image height"),
        ("tochvision:resnet18", {}, "no model 'tochvision:resnet18'"),
    ],
)
def test_wrong_networks_of_libraries_are_explained(
    benchmark: CLScenario, reference: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build_model(reference, parameters, protocol="class", benchmark=benchmark)


def test_weights_that_cannot_be_had_are_told(benchmark: CLScenario, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(UsageError, match="torchvision:resnet18: its weights are not at hand, and cannot be downloaded"):
        build_model("torchvision:resnet18", {"pretrained": True}, protocol="class", benchmark=benchmark)
