"""Learning to prompt, on a transformer of 64 features with random weights: what moves, what holds, what is refused."""

from __future__ import annotations

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch import nn

from lifelong import UsageError, load_scenario, load_strategy

timm = pytest.importorskip("timm")
SMALL = {"backbone": "test_vit", "pretrained": False, "pool_size": 4, "prompt_length": 2, "top_k": 2}


def loaded(shape=(1, 4, 4), **parameters):
    size = torch.Size(shape).numel()
    network = nn.Module()
    network.features, network.classifier = nn.Sequential(nn.Flatten(), nn.Linear(size, 3)), nn.Linear(3, 6)
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    return load_strategy("l2p", network, optimizer, inputs=(torch.zeros(1, *shape),), **{**SMALL, **parameters})


class Watch(SupervisedPlugin):
    def before_backward(self, strategy, **_):
        absent = sorted(set(range(6)) - set(strategy.experience.classes_in_this_experience))
        assert strategy.mb_output[:, absent].isneginf().all()
        assert -1 <= float(strategy.model.match.detach()) / 2 <= 1  # the sum of the two prompts' cosines
        self.seen = True


def test_prompts_and_classifier_learn_and_the_transformer_holds():
    strategy, watch = loaded(), Watch()
    strategy.plugins.append(watch)
    network = strategy.model
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    strategy.train(load_scenario("toy", seed=0).train_stream[0])
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"prompt.prompt", "prompt.prompt_key", "classifier.weight", "classifier.bias"}
    assert watch.seen
    assert network.eval()(torch.zeros(2, 1, 4, 4)).shape == (2, 6)


@pytest.mark.parametrize(
    ("shape", "parameters", "reason"),
    [
        ((16,), {}, "one or three channels"),
        ((2, 4, 4), {}, "one or three channels"),
        ((1, 4, 4), {"top_k": 5}, "pool_size = 4"),
        ((1, 4, 4), {"backbone": "resnet18"}, "no such vision transformer"),
    ],
)
def test_what_it_cannot_use_is_refused(shape, parameters, reason):
    with pytest.raises(UsageError, match=reason):
        loaded(shape, **parameters)


def test_weights_that_cannot_be_had_are_said_to_be_missing(monkeypatch):
    def offline(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UsageError, match="weights of test_vit are not at hand"):
        loaded(pretrained=True)
