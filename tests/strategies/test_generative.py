"""Replay of what a generator draws, and of features: losses against ones worked out anew, and what is kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from avalanche.benchmarks.utils import _make_taskaware_tensor_classification_dataset
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn.functional import cross_entropy

from lifelong import UsageError, load_scenario, load_strategy
from lifelong.registry import scenarios, strategies
from lifelong.training.evaluation import evaluate


@pytest.fixture
def generative(beside):
    return beside("generative-replay", "dream_replay")


@pytest.fixture
def generator(generative):
    torch.manual_seed(0)
    return generative.VAE((2, 3, 3), units=7, latent=4)


def test_the_generator_is_trained_on_the_evidence_lower_bound(generator):
    """As torch's distributions have it, for the same noise."""
    x = torch.rand(5, 2, 3, 3)
    code = generator.encoder(x.flatten(1))
    posterior = Normal(generator.to_mean(code), (0.5 * generator.to_log_variance(code)).exp())
    torch.manual_seed(1)
    drawn = posterior.mean + posterior.stddev * torch.randn_like(posterior.mean)
    likelihood = Bernoulli(logits=generator.decoder(drawn), validate_args=False).log_prob(x.flatten(1)).sum(1)
    bound = likelihood - kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    torch.manual_seed(1)
    torch.testing.assert_close(generator.loss(x), -bound.mean())


def test_the_generator_draws_within_the_range_of_each_channel(generator):
    bright, dark = torch.rand(8, 1, 3, 3) * 4 + 3, torch.rand(8, 1, 3, 3) - 9
    x = torch.cat([bright, dark], dim=1)
    generator.rescale([x[:5], x[5:]])
    drawn = generator.sample(100)
    assert drawn.shape == (100, 2, 3, 3)
    for channel in range(2):
        assert drawn[:, channel].min() >= x[:, channel].min()
        assert drawn[:, channel].max() <= x[:, channel].max() + 1e-5
    assert drawn.std(0).max() > 0


def test_input_without_channels_or_without_a_spread_is_drawn_too(generative):
    flat = generative.VAE((6,), units=5, latent=2)
    flat.rescale([torch.full((3, 6), 2.0)])
    assert flat.loss(torch.full((3, 6), 2.0)).isfinite()
    assert ((flat.sample(4) >= 2) & (flat.sample(4) <= 3)).all()


@pytest.mark.parametrize("temperature", [None, 2.0])
def test_replayed_samples_weigh_what_the_experiences_before_do(generative, generator, temperature):
    """In the second experience half, labelled by the network of before: by its best class, or softly."""
    plugin = generative.DreamReplay(generator, 0.01, temperature)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(18, 4))
    strategy = SimpleNamespace(
        model=teacher,
        adapted_dataset=_make_taskaware_tensor_classification_dataset(
            torch.rand(6, 2, 3, 3), torch.zeros(6, dtype=torch.long)
        ),
        eval_mb_size=4,
        device="cpu",
        mb_x=torch.rand(5, 2, 3, 3),
    )
    plugin.before_training_exp(strategy)
    plugin.after_training_exp(strategy)
    before = plugin.generator.decoder[0].weight.clone()
    strategy.model, strategy.loss = nn.Sequential(nn.Flatten(), nn.Linear(18, 4)), torch.tensor(3.0)
    plugin.before_training_exp(strategy)
    plugin.before_training_iteration(strategy)
    plugin.before_backward(strategy)
    plugin.after_training_iteration(strategy)

    x = strategy.mb_buffer_x
    assert x.shape == strategy.mb_x.shape
    answers, labels = strategy.model(x), teacher(x)
    if temperature is None:
        replayed = cross_entropy(answers, labels.argmax(1))
    else:
        replayed = -4 * ((labels / 2).softmax(1) * (answers / 2).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(strategy.loss, 3.0 / 2 + replayed / 2)
    assert not torch.equal(plugin.generator.decoder[0].weight, before)  # trained, while the one that draws holds still
    assert torch.equal(plugin._earlier[1].decoder[0].weight, before)


def remembered(strategy):
    """Accuracy on the first experience after the second."""
    return evaluate(strategy, list(load_scenario("digits-class", seed=1).test_stream)[:2])[0]


def test_generative_replay_keeps_what_naive_forgets(trained):
    forgotten, kept = (remembered(trained(name, epochs=15)) for name in ("naive", "generative-replay"))
    assert forgotten < 0.2
    assert kept > 0.6


def test_every_earlier_head_is_replayed(trained):
    """Its weights move while a later task is learnt."""
    once, twice = (trained("generative-replay", "digits-task", experiences=count) for count in (1, 2))
    naive = trained("naive", "digits-task", experiences=2)
    first = [made.model.classifier.classifiers["0"].classifier.weight for made in (once, twice, naive)]
    assert not torch.equal(first[0], first[1])
    torch.testing.assert_close(
        first[2], trained("naive", "digits-task", experiences=1).model.classifier.classifiers["0"].classifier.weight
    )


# Replay of features


def test_feature_replay_keeps_what_naive_forgets(trained):
    forgotten, kept = (remembered(trained(name, epochs=15)) for name in ("naive", "feature-replay"))
    assert forgotten < 0.2
    assert kept > 0.6


def test_the_memory_is_of_features_shared_among_classes(trained):
    strategy = trained("feature-replay", mem_size=30)
    features, labels = strategy._memory
    assert features.shape == (30, 16)
    assert sorted(labels.bincount()[labels.unique()].tolist()) == [7, 7, 8, 8]


class Losses:
    """Works out the loss of the last batch anew, from what the network gave."""

    def before_backward(self, strategy, **_):
        if strategy._memory is None:
            return
        torch.random.manual_seed(5)
        ours = strategy.criterion()
        torch.random.manual_seed(5)
        features, labels = strategy._memory
        rows = torch.randperm(len(labels))[: strategy.batch_size_mem]
        network = strategy.model
        new = sorted(strategy.experience.classes_in_this_experience)
        places = torch.tensor([new.index(label) for label in strategy.mb_y.tolist()])
        among_new = cross_entropy(strategy.mb_output[:, new], places)
        old = cross_entropy(network.train_classifier(features[rows]), labels[rows])
        all_classes = cross_entropy(network.train_classifier(network.features.detach()), strategy.mb_y)
        torch.testing.assert_close(ours, among_new / 2 + old / 4 + all_classes / 4)
        self.seen = True


def test_the_loss_is_asymmetric_for_the_features_and_balanced_for_the_classifier(trained):
    from avalanche.core import SupervisedPlugin

    watch = type("Watch", (Losses, SupervisedPlugin), {})()
    trained("feature-replay", watch=watch, alpha=0.0)
    assert watch.seen


def test_what_they_cannot_use_is_refused():
    for name in ("generative-replay", "feature-replay"):
        assert "class labels" in (strategies.get(name).refusal(scenarios.get("slowly-changing-regression")) or "")
    assert "single head" in (strategies.get("feature-replay").refusal(scenarios.get("digits-task")) or "")
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(UsageError, match="inputs"):
        load_strategy("generative-replay", plain, torch.optim.SGD(plain.parameters()))
    with pytest.raises(UsageError, match="features"):
        load_strategy("feature-replay", plain, torch.optim.SGD(plain.parameters()), inputs=(torch.zeros(1, 64),))


def test_a_feature_memory_smaller_than_the_classes_is_refused(built):
    with pytest.raises(UsageError, match="10 classes"):
        built("feature-replay", mem_size=9)
