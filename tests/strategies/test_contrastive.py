"""Supervised contrastive replay: its views, its loss, its means, and what it cannot use."""

from __future__ import annotations

import pytest
import torch
from avalanche.core import SupervisedPlugin
from torch.nn.functional import normalize

from lifelong import UsageError, load_scenario
from lifelong.registry import scenarios, strategies
from lifelong.training.evaluation import evaluate


@pytest.fixture
def contrastive(beside):
    return beside("scr", "contrastive")


def test_views_are_parts_of_their_image(contrastive):
    torch.manual_seed(0)
    x = torch.rand(50, 3, 9, 7)
    whole = contrastive.Crops(least=1.0, flip=False, noise=0.0)(x)
    torch.testing.assert_close(whole, x)
    parts = contrastive.Crops(least=0.3, flip=False, noise=0.0)(x)
    assert parts.shape == x.shape
    assert (parts.amin((1, 2, 3)) >= x.amin((1, 2, 3)) - 1e-6).all()
    assert (parts.amax((1, 2, 3)) <= x.amax((1, 2, 3)) + 1e-6).all()
    same = x[:1].expand(50, -1, -1, -1)
    assert len(contrastive.Crops(least=0.3, flip=False, noise=0.0)(same).unique(dim=0)) == 50


def test_half_of_the_views_are_mirrored(contrastive):
    torch.manual_seed(0)
    x = torch.rand(1, 1, 4, 4).expand(400, -1, -1, -1)
    views = contrastive.Crops(least=1.0, flip=True, noise=0.0)(x)
    mirrored = torch.isclose(views, x.flip(3), atol=1e-5).flatten(1).all(1)
    assert (mirrored | torch.isclose(views, x, atol=1e-5).flatten(1).all(1)).all()
    assert 150 < mirrored.sum() < 250


def test_input_that_is_no_image_gets_noise(contrastive):
    torch.manual_seed(0)
    x = torch.zeros(300, 20)
    assert contrastive.Crops(least=0.5, flip=True, noise=0.2)(x).std() == pytest.approx(0.2, rel=0.05)


class Loss(SupervisedPlugin):
    """Works out equation 5 of Mai et al. for each batch: one anchor after the other."""

    def before_backward(self, strategy, **_):
        z = strategy.mb_output.transpose(0, 1).flatten(0, 1)
        torch.testing.assert_close(z.norm(dim=1), torch.ones(len(z)))
        y = strategy.mb_y.repeat(2)
        terms = []
        for i in range(len(z)):
            others = [a for a in range(len(z)) if a != i]
            alike = [p for p in others if y[p] == y[i]]
            normaliser = torch.logsumexp(torch.stack([z[i] @ z[a] / 0.07 for a in others]), dim=0)
            terms.append(-torch.stack([z[i] @ z[p] / 0.07 - normaliser for p in alike]).mean())
        torch.testing.assert_close(strategy.loss, torch.stack(terms).mean()[None], rtol=1e-4, atol=1e-4)
        strategy.stop_training()
        self.seen = True


def test_the_loss_is_the_papers(trained):
    watch = Loss()
    trained("scr", experiences=1, watch=watch)
    assert watch.seen


def test_means_are_those_of_the_memory_as_the_network_sees_it_now(trained):
    strategy = trained("scr", mem_size=20, batch_size_mem=20)
    network = strategy.model.eval()
    memory = strategy.replay_plugin.storage_policy
    assert len(memory.buffer_groups) == 4
    for label, group in memory.buffer_groups.items():
        x = torch.stack([sample[0] for sample in group.buffer])
        mean = normalize(network.feature_extractor(x)).mean(0)
        torch.testing.assert_close(network.eval_classifier.mean[label].float(), mean)


def test_it_keeps_what_naive_forgets(trained):
    tests = list(load_scenario("digits-class", seed=1).test_stream)[:2]
    forgotten, kept = (evaluate(trained(name, epochs=8), tests)[0] for name in ("naive", "scr"))
    assert forgotten < 0.2
    assert kept > 0.8


def test_what_it_cannot_use_is_refused(built):
    assert "single head" in (strategies.get("scr").refusal(scenarios.get("digits-task")) or "")
    with pytest.raises(UsageError, match="10 classes"):
        built("scr", mem_size=9)
    with pytest.raises(UsageError, match="batch_size_mem = 100 is more"):
        built("scr", mem_size=50)
