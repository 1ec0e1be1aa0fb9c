"""Faults in replay and distillation of features, in contrastive replay, and in classifiers and generators of which we
have our own. A test named `..._fault` fails once Avalanche has mended it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import cloudpickle
import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.models import FeCAMClassifier, NCMClassifier, SCRModel
from avalanche.models.generator import MlpVAE
from avalanche.training.losses import MaskedCrossEntropy, SCRLoss
from avalanche.training.plugins.feature_distillation import FeatureDistillationPlugin
from avalanche.training.supervised import SCR, FeatureReplay, StreamingLDA
from torch import nn

from lifelong import Setup
from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.streams import make_benchmark
from lifelong.models import build_model
from lifelong.records.spec import Budget
from lifelong.workarounds.evaluating import no_evaluator
from lifelong.workarounds.features import WorkingFeatureDistillation, WorkingFeatureReplay


@pytest.fixture
def benchmark() -> CLScenario:
    generator = torch.Generator().manual_seed(1)
    data = Samples(torch.randn(24, 1, 2, 2, generator=generator), torch.arange(24) % 6)
    return make_benchmark("class", ImageData(data, data, torch.zeros(1), ""), Context(), experiences=3)


def setup_of(benchmark: CLScenario) -> Setup:
    torch.manual_seed(0)
    model = build_model("mlp", {"widths": [5], "dropout": 0.5}, protocol="class", benchmark=benchmark)
    return Setup(model, torch.optim.SGD(model.parameters(), 0.1), Budget(batch_size=4, eval_batch_size=3))


@pytest.fixture
def stock(benchmark: CLScenario) -> Any:
    strategy = setup_of(benchmark).make(FeatureReplay, mem_size=6, batch_size_mem=4)
    strategy.train(benchmark.train_stream[0])
    return strategy


@pytest.fixture
def ours(benchmark: CLScenario) -> Iterator[Any]:
    strategy = setup_of(benchmark).make(WorkingFeatureReplay, mem_size=6, batch_size_mem=4)
    strategy.train(benchmark.train_stream[0])
    return strategy


def test_feature_replay_pickling_fault(stock: Any) -> None:
    with pytest.raises(TypeError, match="generator"):
        cloudpickle.dumps(stock.replay_loader)


def test_feature_replay_copying_fault(stock: Any) -> None:
    with pytest.raises(RuntimeError, match="deepcopy"):
        deepcopy(stock.model)


def test_feature_replay_evaluation_draws_fault(stock: Any, benchmark: CLScenario) -> None:
    stock.model.features = None  # what hinders copies
    before = torch.get_rng_state()
    stock.replay_loader, drawn = _counting(stock.replay_loader)
    stock.eval(benchmark.test_stream)
    assert drawn
    torch.set_rng_state(before)


def _counting(batches: Iterator[Any]) -> tuple[Iterator[Any], list[int]]:
    drawn: list[int] = []

    def count() -> Iterator[Any]:
        for number, batch in enumerate(batches):
            drawn.append(number)
            yield batch

    return count(), drawn


def test_asymmetric_mask_fault() -> None:
    """Old classes are pushed down by new samples, though the loss of feature replay is to leave them out."""
    loss = MaskedCrossEntropy()
    loss._adaptation({0, 1})
    loss._adaptation({2, 3})
    logits = torch.zeros(1, 4, requires_grad=True)
    loss(logits, torch.tensor([2])).backward()
    assert logits.grad is not None
    assert (logits.grad[0, :2] > 0).all()


def test_our_feature_replay_is_copied_pickled_and_evaluated(ours: Any, benchmark: CLScenario) -> None:
    deepcopy(ours.model)
    ours.eval(benchmark.test_stream)
    again = cloudpickle.loads(cloudpickle.dumps(ours))
    state = torch.get_rng_state()
    for strategy in (ours, again):
        torch.set_rng_state(state)
        strategy.train(benchmark.train_stream[1])
    for mine, other in zip(ours.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_distillation_teacher_fault(ours: Any) -> None:
    stock, mended = FeatureDistillationPlugin(1.0), WorkingFeatureDistillation(1.0)
    teachers = []
    for plugin in (stock, mended):
        ours.model.train()
        ours.experience = None
        plugin.after_training_exp(ours)
        teachers.append(plugin.prev_model)
    assert teachers[0].training
    assert not any(module.training for module in teachers[1].modules())
    assert not any(parameter.requires_grad for parameter in teachers[1].parameters())


# Contrastive replay


def test_contrastive_means_of_moved_features_fault(benchmark: CLScenario) -> None:
    model = SCRModel(nn.Flatten(), nn.Linear(4, 2))
    strategy: Any = SCR(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), 0.0),
        mem_size=6,
        batch_size_mem=2,
        train_mb_size=4,
        eval_mb_size=4,
        evaluator=no_evaluator(),
    )
    strategy.train(benchmark.train_stream[0])
    labels = list(model.eval_classifier.class_means_dict)
    for label in labels:
        model.eval_classifier.class_means_dict[label] = torch.full((4,), 100.0)
    strategy.compute_class_means()
    assert all(mean.norm() > 50 for mean in model.eval_classifier.class_means_dict.values())


def test_contrastive_criterion_fault() -> None:
    with pytest.raises(ValueError, match="at least 3 dimensions"):
        SCRLoss()(torch.zeros(4, 3), torch.zeros(4))


def test_contrastive_projection_fault() -> None:
    """Its loss is of projections of length one."""
    model = SCRModel(nn.Flatten(), nn.Linear(4, 2)).train()
    assert not torch.allclose(model(torch.randn(5, 4)).norm(dim=1), torch.ones(5))


# Classifiers and generators of which we have our own


def test_nearest_mean_of_unseen_classes_fault() -> None:
    classifier = NCMClassifier()
    classifier.update_class_means_dict({0: torch.tensor([1.0, 0.0]), 2: torch.tensor([0.0, 1.0])})
    assert classifier(torch.tensor([[-1.0, -1.0]])).argmax() == 1


def test_mean_of_means_fault() -> None:
    """A class of three samples and then of one counts both halves alike."""
    classifier = NCMClassifier()
    for samples in (torch.tensor([[1.0], [1.0], [1.0]]), torch.tensor([[5.0]])):
        classifier.update_class_means_dict({0: samples.mean(0)})
    assert classifier.class_means_dict[0] == 3.0


def test_covariance_is_shrunk_twice_fault() -> None:
    shrunk = FeCAMClassifier(covnorm=False).apply_cov_transforms({0: torch.tensor([[2.0, 1.0], [1.0, 2.0]])})
    assert shrunk[0].tolist() == [[8.0, 4.0], [4.0, 8.0]]


def test_discriminant_of_unseen_classes_fault() -> None:
    strategy: Any = StreamingLDA(
        slda_model=nn.Identity(), criterion=nn.CrossEntropyLoss(), input_size=2, num_classes=3, evaluator=no_evaluator()
    )
    for x, y in (([2.0, 0.0], 0), ([2.0, 1.0], 0), ([0.0, 2.0], 1), ([1.0, 2.0], 1)):
        strategy.fit(torch.tensor([x]), torch.tensor([y]))
    scores = strategy.predict(torch.tensor([[-2.0, -2.0]]))
    assert scores[0, 2] == 0
    assert scores.argmax() == 2


def test_generator_of_mnists_range_fault() -> None:
    """Whatever it is trained on, it draws between what MNIST's black and white become."""
    drawn = MlpVAE((1, 3, 3)).generate(500)
    assert drawn.min() >= -0.1307 / 0.3081 - 1e-6
    assert drawn.max() <= (1 - 0.1307) / 0.3081 + 1e-6


def test_generator_noise_fault() -> None:
    torch.manual_seed(0)
    drawn = MlpVAE((1, 3, 3)).sampling(torch.zeros(20_000), torch.zeros(20_000))
    assert drawn.std().item() == pytest.approx(0.5, rel=0.02)  # of a unit variance


def test_prompted_network_fault() -> None:
    pytest.importorskip("timm")
    import warnings

    from avalanche.models.vit import create_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(TypeError, match="subscriptable"):
            create_model(model_name="vit_tiny_patch16_224", pretrained=False)
