"""Herding, nearest means, corrected and rectified scores: against references of a few lines, and scikit-learn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from avalanche.core import SupervisedPlugin
from scipy.optimize import minimize
from sklearn.neighbors import NearestCentroid
from torch import nn
from torch.nn.functional import binary_cross_entropy, cross_entropy, normalize

from lifelong.data.drawing import Reader
from lifelong.errors import UsageError
from lifelong.training.evaluation import evaluate

METHODS = ("icarl", "bic", "il2m")


def plugin_of(strategy):
    (found,) = (plugin for plugin in strategy.plugins if hasattr(plugin, "kept"))
    return found


def samples(dataset):
    x, y, *_ = Reader(dataset).batch(range(len(dataset)))
    return x, y


# Exemplars


@pytest.mark.parametrize("seed", range(3))
def test_herding_takes_each_time_what_brings_the_mean_nearest(beside, seed):
    generator = torch.Generator().manual_seed(seed)
    features = normalize(torch.randn(30, 5, generator=generator, dtype=torch.float64))
    chosen = beside("icarl", "herding").herd(features, 12)
    mean, expected = features.mean(dim=0), []
    for _ in range(12):
        left = [i for i in range(30) if i not in expected]
        expected.append(min(left, key=lambda i: float((mean - features[[*expected, i]].mean(dim=0)).norm())))
    assert chosen == expected


def test_herding_takes_all_once(beside):
    assert sorted(beside("icarl", "herding").herd(torch.ones(4, 2), 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", METHODS)
def test_each_class_has_its_share_of_the_memory(trained, name):
    strategy = trained(name, experiences=3, mem_size=60)
    plugin = plugin_of(strategy)
    held_out = getattr(plugin, "validation", {})
    sizes = {label: len(kept) + len(held_out.get(label, ())) for label, kept in plugin.kept.items()}
    assert len(sizes) == 6
    assert set(sizes.values()) == {10}
    for label, kept in plugin.kept.items():
        assert set(samples(kept)[1].tolist()) == {label}


def test_a_class_that_comes_back_is_chosen_anew_from_old_and_new_samples(trained):
    strategy = trained("icarl", scenario="digits-domain", experiences=3, mem_size=60)
    assert {label: len(kept) for label, kept in plugin_of(strategy).kept.items()} == {0: 30, 1: 30}


@pytest.mark.parametrize("name", METHODS)
def test_where_no_class_is_new_it_is_trained_as_replay(trained, name):
    """All classes come back, so that none is distilled and no score is corrected."""
    plugin = plugin_of(trained(name, scenario="digits-domain", experiences=2))
    assert plugin.past == []


@pytest.mark.parametrize("name", METHODS)
def test_a_memory_smaller_than_the_classes_is_refused(built, name):
    with pytest.raises(UsageError, match="less than one sample for each of the 10 classes"):
        built(name, mem_size=9)


# iCaRL


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")
def test_classes_are_those_of_the_nearest_mean_of_exemplars(built):
    prepared = built("icarl", epochs=2)
    strategy = prepared.strategy
    for experience in prepared.benchmark.train_stream:
        strategy.train(experience)
    network = strategy.model.eval()
    with torch.no_grad():
        kept = [samples(some) for some in plugin_of(strategy).kept.values()]
        x, y = (torch.cat(column) for column in zip(*kept, strict=True))
        features = normalize(network.features(x)).double().numpy()
        means = NearestCentroid().fit(features, y)
        means.centroids_ /= np.linalg.norm(means.centroids_, axis=1, keepdims=True)
        right = []
        for experience in prepared.benchmark.test_stream:
            x, y = samples(experience.dataset)
            right.append((means.predict(normalize(network.features(x)).double().numpy()) == y.numpy()).mean())
    assert evaluate(strategy, prepared.benchmark.test_stream) == pytest.approx(right, abs=0.03)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_icarl_learns_labels_of_new_classes_and_probabilities_of_old(trained, temperature):
    pairs = []

    class Watch(SupervisedPlugin):
        def before_backward(self, strategy, **_):
            plugin = plugin_of(strategy)
            probability = strategy.mb_output.detach().sigmoid()
            loss = 0.0
            for label in plugin.current:
                loss += binary_cross_entropy(probability[:, label], (strategy.mb_y == label).float())
            for label in plugin.past:
                before = plugin.teacher(strategy.mb_x)[:, label] / temperature
                loss += binary_cross_entropy(probability[:, label], before.sigmoid())
            pairs.append((float(strategy.loss.detach()), float(loss)))

    trained("icarl", experiences=2, watch=Watch(), temperature=temperature)
    assert [ours for ours, _ in pairs] == pytest.approx([theirs for _, theirs in pairs], rel=1e-4)


# BiC


def test_the_correction_is_the_one_that_lowers_the_loss(beside):
    module = beside("bic", "bias_correction")
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 4
    logits = torch.randn(60, 4, generator=generator) + 2 * nn.functional.one_hot(labels, 4)
    logits[:, 2:] = 2 * logits[:, 2:] + 1.5
    found = module.fitted(logits, labels, [2, 3], steps=200, rate=0.1)

    def loss(numbers):
        scale, offset = numbers
        corrected = logits.double().clone()
        corrected[:, 2:] = scale * corrected[:, 2:] + offset
        return float(cross_entropy(corrected, labels)) + 0.05 * offset**2

    best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    assert best.x[0] < 0.9
    assert [found.scale, found.offset] == pytest.approx(best.x.tolist(), abs=0.02)
    assert torch.equal(found(logits)[:, :2], logits[:, :2])
    torch.testing.assert_close(found(logits)[:, 2:], found.scale * logits[:, 2:] + found.offset)


def test_what_is_held_out_is_never_trained_on(trained):
    seen = set()

    class Watch(SupervisedPlugin):
        def before_forward(self, strategy, **_):
            seen.update(map(tuple, strategy.mb_x.flatten(1).tolist()))

    plugin = plugin_of(trained("bic", experiences=3, epochs=2, watch=Watch()))
    held_out = torch.cat([samples(some)[0] for some in plugin.validation.values()])
    assert len(held_out) == 18, "a tenth of 200 places, shared by six classes"
    assert not seen & set(map(tuple, held_out.flatten(1).tolist()))


def test_distillation_has_the_weight_of_the_old_classes(trained):
    pairs = []

    class Watch(SupervisedPlugin):
        def before_backward(self, strategy, **_):
            plugin = plugin_of(strategy)
            if not plugin.past:
                return
            old = plugin.correction(plugin.teacher(strategy.mb_x))[:, plugin.past]
            output = strategy.mb_output.detach()
            labels = cross_entropy(output, strategy.mb_y)
            distilled = -((old / 2).softmax(1) * (output[:, plugin.past] / 2).log_softmax(1)).sum(1).mean()
            weight = {2: 1 / 2, 4: 2 / 3}[len(plugin.past)]
            pairs.append((float(strategy.loss.detach()), float((1 - weight) * labels + weight * distilled)))

    trained("bic", experiences=3, watch=Watch())
    assert [ours for ours, _ in pairs] == pytest.approx([theirs for _, theirs in pairs], rel=1e-4)


def test_bic_needs_two_samples_of_each_class(built):
    with pytest.raises(UsageError, match="the least is 20"):
        built("bic", mem_size=19)
    with pytest.raises(UsageError, match="leaves no exemplars"):
        built("bic", val_share=1.0)


# IL2M


def test_scores_of_old_classes_are_raised_where_a_new_one_wins(beside):
    """Class 0 is old: 0.9 when it was new, by a network that was 0.8 sure, and 0.3 now, by one that is 0.6 sure."""
    module = beside("il2m", "dual_memory")
    plugin = module.DualMemory(10)
    plugin.origins = {0: module.Origin(score=0.9, confidence=0.8)}
    plugin.now, plugin.confidence = {0: 0.3}, 0.6
    scores = torch.tensor([[0.3, 0.5, 0.2], [0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
    strategy = SimpleNamespace(mb_output=scores.log())
    plugin.after_eval_forward(strategy)
    factor = 0.9 / 0.3 * 0.6 / 0.8
    expected = torch.tensor([[0.3 * factor, 0.5, 0.2], [0.1 * factor, 0.7, 0.2], [0.6, 0.3, 0.1]])
    torch.testing.assert_close(strategy.mb_output.exp(), expected)
    assert strategy.mb_output.argmax(dim=1).tolist() == [0, 1, 0]


def test_statistics_are_means_over_samples_and_exemplars(built):
    prepared = built("il2m", epochs=2)
    strategy, stream = prepared.strategy, prepared.benchmark.train_stream
    strategy.train(stream[0])
    kept = {label: samples(some) for label, some in plugin_of(strategy).kept.items()}
    confidence = plugin_of(strategy).confidence
    strategy.train(stream[1])
    plugin, network = plugin_of(strategy), strategy.model.eval()
    with torch.no_grad():
        for label, (x, _) in kept.items():
            assert plugin.now[label] == pytest.approx(float(network(x).softmax(1)[:, label].mean()), rel=1e-4)
            assert plugin.origins[label].confidence == confidence
        x, y = samples(stream[1].dataset)
        scores = network(x).softmax(1)
    assert plugin.confidence == pytest.approx(float(scores.max(1).values.mean()), rel=1e-4)
    for label in y.unique().tolist():
        assert plugin.origins[label].score == pytest.approx(float(scores[y == label, label].mean()), rel=1e-4)
