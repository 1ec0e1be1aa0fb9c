"""Classifiers computed from class statistics, against scikit-learn and against distances worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestCentroid
from torch import nn

from lifelong import UsageError, load_scenario, load_strategy
from lifelong.registry import scenarios, strategies

NAMES = ("ncm", "fecam", "slda")


@pytest.fixture
def prototypes(beside):
    return beside("ncm", "class_statistics")


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    x = torch.from_numpy(data.data).float()
    return x[:, x.std(0) > 0.5], torch.from_numpy(data.target)


def fed(statistics, x, y, seed=0):
    """Some samples in an order of its own, in batches of all sizes."""
    generator = torch.Generator().manual_seed(seed)
    for rows in torch.randperm(len(x), generator=generator).split([1, 2, 50, 300, len(x) - 353]):
        statistics.update(x[rows], y[rows])
    statistics.finish()
    return statistics


def test_nearest_means_are_those_of_scikit_learn(prototypes, digits):
    x, y = digits
    ours = fed(prototypes.NearestMean(10, x.shape[1], unit=False), x, y)
    theirs = NearestCentroid().fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(ours.mean, theirs.centroids_, rtol=1e-5, atol=1e-5)
    assert (ours(x).argmax(1).numpy() == theirs.predict(x.numpy())).all()


def test_means_of_length_one(prototypes):
    ours = prototypes.NearestMean(2, 2, unit=True)
    ours.update(torch.tensor([[9.0, 0.0], [0.0, 1.0], [3.0, 3.0]]), torch.tensor([0, 0, 1]))
    half = 0.5**0.5  # both means point to (1, 1): the first's by directions, in which the length of 9 does not count
    np.testing.assert_allclose(ours(torch.tensor([[5.0, 0.0]])), -np.full((1, 2), np.hypot(1 - half, half)), rtol=1e-6)


def test_linear_discriminants_are_those_of_scikit_learn(prototypes, digits):
    x, y = digits
    ours = fed(prototypes.LinearDiscriminants(10, x.shape[1], shrinkage=0.0), x, y)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(10, 0.1), store_covariance=True)
    theirs.fit(x.double().numpy(), y.numpy())
    within = sum(np.cov(x[y == label].double().T, ddof=0) * (y == label).sum().item() for label in range(10)) / len(x)
    np.testing.assert_allclose(ours.scatter[0] / len(x), within, rtol=1e-6, atol=1e-8)
    agreed = (ours(x).argmax(1).numpy() == theirs.predict(x.double().numpy())).mean()
    assert agreed > 0.995  # scikit-learn weighs each class's covariance alike, and ours each sample's


def test_discriminants_of_equal_classes_score_as_scikit_learn(prototypes, digits):
    """With as many samples of each class, both weigh covariances alike."""
    x, y = digits
    rows = torch.cat([torch.nonzero(y == label)[:150, 0] for label in range(10)])
    x, y = x[rows], y[rows]
    ours = prototypes.LinearDiscriminants(10, x.shape[1], shrinkage=0.0)
    ours.update(x, y)
    ours.finish()
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(10, 0.1)).fit(x.double().numpy(), y.numpy())
    scores = theirs.decision_function(x.double().numpy())
    np.testing.assert_allclose(
        torch.diff(ours(x), dim=1), np.diff(scores, axis=1), rtol=1e-3, atol=2e-3
    )  # up to what all classes share


def test_the_order_and_the_batches_do_not_matter(prototypes, digits):
    x, y = digits
    one, other = (fed(prototypes.ShrunkMahalanobis(10, x.shape[1], 0.5, 1.0, 1.0), x, y, seed) for seed in (1, 2))
    for mine, yours in zip(one.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-4, atol=1e-6)


def test_mahalanobis_distances_by_hand(prototypes):
    """Features of class 0 are 0, 1, 4 and 9 wide, so 0 to 3 after the root; the second never differs from 1."""
    ours = prototypes.ShrunkMahalanobis(3, 2, power=0.5, diagonal=1.0, elsewhere=1.0)
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [4.0, 1.0], [9.0, 1.0]])
    ours.update(x, torch.zeros(4, dtype=torch.long))
    ours.finish()
    # variances 5/3 and 0, mean 5/6, covariance 0: shrunk 5/2 and 5/6, whose correlation matrix is the identity
    torch.testing.assert_close(ours.precision[0], torch.eye(2))
    mean = np.array([1.5, 1.0]) / np.hypot(1.5, 1.0)
    asked = np.array([2.0, 1.0]) / np.hypot(2.0, 1.0)
    scores = ours(torch.tensor([[4.0, 1.0]]))
    np.testing.assert_allclose(scores[0, 0], -np.square(asked - mean).sum(), rtol=1e-5)


def test_covariances_are_shrunk_off_the_diagonal_too(prototypes):
    ours = prototypes.ShrunkMahalanobis(1, 2, power=1.0, diagonal=1.0, elsewhere=1.0)
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 1.0], [5.0, 2.0]])
    ours.update(x, torch.zeros(4, dtype=torch.long))
    ours.finish()
    (a, b), (_, d) = np.cov(x.T)
    shrunk = np.array([[a + (a + d) / 2, 2 * b], [2 * b, d + (a + d) / 2]])
    deviations = np.sqrt(np.diag(shrunk))
    np.testing.assert_allclose(ours.precision[0], np.linalg.inv(shrunk / np.outer(deviations, deviations)), rtol=1e-5)


def test_features_without_a_sign_or_a_spread_give_finite_scores(prototypes):
    ours = prototypes.ShrunkMahalanobis(2, 3, power=0.5, diagonal=1.0, elsewhere=1.0)
    ours.update(torch.tensor([[-1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([0, 0, 1]))
    ours.finish()
    assert ours(torch.tensor([[-3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_class_not_seen_is_never_the_answer(trained, name):
    """On the first experience of five, with samples of all of them."""
    network = trained(name, experiences=1).model.eval()
    answers = network(torch.randn(200, 1, 8, 8)).argmax(1)
    assert set(answers.tolist()) <= set(
        load_scenario("digits-class", seed=1).train_stream[0].classes_in_this_experience
    )


@pytest.mark.parametrize("name", NAMES)
def test_features_are_learnt_on_the_first_experience_and_then_held(trained, built, name):
    def weights(strategy):
        return torch.cat([parameter.flatten() for parameter in strategy.model.features.parameters()])

    fresh, never, once, twice, always = (
        weights(built(name, widths=(20, 16)).strategy),
        weights(trained(name, experiences=2, learn="never")),
        weights(trained(name, experiences=1, learn="first")),
        weights(trained(name, experiences=2, learn="first")),
        weights(trained(name, experiences=2, learn="always")),
    )
    assert torch.equal(fresh, never)
    assert torch.equal(once, twice)
    assert not torch.equal(never, once)
    assert not torch.equal(twice, always)


def test_a_strategy_answers_as_scikit_learn_would_on_all_features_so_far(trained):
    strategy = trained("ncm", experiences=2, learn="never", unit=False)
    network = strategy.model.eval()
    stream = load_scenario("digits-class", seed=1).train_stream
    x = torch.cat([torch.stack([sample[0] for sample in experience.dataset]) for experience in stream[:2]])
    y = np.concatenate([np.array(list(experience.dataset.targets)) for experience in stream[:2]])
    with torch.no_grad():
        features = network.features(x)
        assert (network(x).argmax(1).numpy() == NearestCentroid().fit(features.numpy(), y).predict(features)).all()


def test_what_they_cannot_use_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for name in NAMES:
        entry = strategies.get(name)
        assert "single head" in (entry.refusal(scenarios.get("digits-task")) or "")
        assert "class labels" in (entry.refusal(scenarios.get("slowly-changing-regression")) or "")
        with pytest.raises(UsageError, match="features"):
            load_strategy(name, plain, torch.optim.SGD(plain.parameters()), inputs=(torch.zeros(1, 64),))
        with pytest.raises(UsageError, match="inputs"):
            load_strategy(name, plain, torch.optim.SGD(plain.parameters()))
