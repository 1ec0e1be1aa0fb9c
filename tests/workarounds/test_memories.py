"""What is wrong with Avalanche's strategies with a memory: those that are worked around, and those that ours replace.

A test named `..._fault` fails once Avalanche has mended it: then the workaround can go, or ours can be built on
Avalanche's.
"""

from __future__ import annotations

from typing import Any

import cloudpickle
import pytest
import torch
from avalanche.training import AMLCriterion
from avalanche.training.plugins import BiCPlugin, GEMPlugin, GSS_greedyPlugin, MIRPlugin, RARPlugin
from avalanche.training.regularization import ACECriterion
from avalanche.training.supervised import ER_AML
from avalanche.training.supervised.icarl import _ICaRLPlugin
from avalanche.training.supervised.lamaml_v2 import LaMAML
from qpsolvers import SolverNotFound
from torch import nn
from torch.nn import functional

from lifelong import Setup, load_strategy
from lifelong.contracts import Context
from lifelong.data.drawing import Draws, Reader
from lifelong.data.images import ImageData, Samples
from lifelong.data.streams import make_benchmark
from lifelong.models import build_model
from lifelong.records.spec import Budget
from lifelong.workarounds.metric import WorkingAML, WorkingERAML
from lifelong.workarounds.projection import WorkingGEM
from lifelong.workarounds.rehearsal import AddedLosses

CLASSES, EACH = 6, 8


def benchmark_of():
    """Three experiences of two classes, of images that are far apart."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(CLASSES * EACH) % CLASSES
    data = Samples(torch.randn(len(labels), 1, 2, 2, generator=generator), labels)
    return make_benchmark("class", ImageData(data, data, torch.zeros(1), ""), Context(), experiences=3)


def setup_of(benchmark, batch_size=4):
    torch.manual_seed(0)
    model = build_model("mlp", {"widths": [5]}, protocol="class", benchmark=benchmark)
    return Setup(model, torch.optim.SGD(model.parameters(), 0.1), Budget(epochs=1, batch_size=batch_size))


def train(strategy, benchmark, experiences=2):
    for experience in benchmark.train_stream[:experiences]:
        strategy.train(experience)
    return strategy


# GEM


def test_gem_names_a_solver_that_is_not_installed_fault():
    for plugin, solves in ((GEMPlugin(4, 0.0), False), (WorkingGEM(4, 0.0), True)):
        plugin.G = torch.tensor([[1.0, 0.0]])
        if solves:
            assert plugin.solve_quadprog(torch.tensor([-1.0, 1.0])).tolist() == pytest.approx([0.0, 1.0], abs=2e-3)
        else:
            with pytest.raises(SolverNotFound):
                plugin.solve_quadprog(torch.tensor([-1.0, 1.0]))


# GSS


def test_gss_compares_with_nothing_while_it_holds_less_than_a_batch_fault():
    benchmark = benchmark_of()
    plugin = GSS_greedyPlugin(mem_size=12, input_size=[1, 2, 2])
    plugin.ext_mem_list_current_index = 2
    with pytest.raises(ValueError, match="empty"):
        train(setup_of(benchmark).naive(plugin), benchmark)


def test_gss_leaves_gradients_to_be_stepped_along_fault():
    """With a rate for the step alone, weights move by more than the batch's gradient."""
    benchmark = benchmark_of()
    left = []

    class Watch(GSS_greedyPlugin):
        def before_backward(self, strategy, **_):
            left.append(any(w.grad is not None and w.grad.abs().max() > 0 for w in strategy.model.parameters()))

    train(setup_of(benchmark).naive(Watch(mem_size=12, input_size=[1, 2, 2])), benchmark, 1)
    assert any(left)


def test_gss_replays_what_it_never_stored_fault():
    """While its memory is not full: images of zeros, of class 0."""
    benchmark = benchmark_of()
    blank = []

    class Watch(GSS_greedyPlugin):
        def after_forward(self, strategy, **_):
            blank.append(bool((strategy.mb_x.flatten(1) == 0).all(dim=1).any()))

    plugin = Watch(mem_size=40, input_size=[1, 2, 2])
    plugin.ext_mem_list_x[0], plugin.ext_mem_list_current_index = 1.0, 1
    train(setup_of(benchmark).naive(plugin), benchmark, 1)
    assert any(blank)


# MIR


def test_mir_leaves_out_the_experience_that_it_has_to_remember_fault():
    benchmark = benchmark_of()
    plugin = MIRPlugin(batch_size_mem=2, mem_size=12)
    train(setup_of(benchmark, batch_size=16).naive(plugin), benchmark, 1)
    assert len(plugin.storage_policy.buffer) == 12
    assert plugin.replay_loader is None


# RAR


def test_rar_moves_inputs_by_more_than_it_says_fault():
    x = torch.full((1, 4), -1.0)
    moved = RARPlugin(batch_size_mem=2, epsilon_fgsm=0.1).mifgsm_attack(x, torch.ones_like(x))
    assert (moved - x).abs().max() > 0.5


def test_rar_moves_away_from_the_class_that_it_aims_at_fault():
    """The attack goes up the gradient of the loss in that class."""
    plugin = RARPlugin(batch_size_mem=2, epsilon_fgsm=0.1)
    x, slope = torch.full((1, 4), 0.5), torch.ones(1, 4)
    assert (plugin.mifgsm_attack(x, slope) > x).all()


# BiC


def test_bic_cannot_hold_samples_out_of_a_stream_of_data_sets_fault():
    benchmark = benchmark_of()
    with pytest.raises(AttributeError, match="dataset"):
        train(setup_of(benchmark).naive(BiCPlugin(mem_size=60)), benchmark)


def test_bic_asks_the_schedule_to_be_verbose_fault():
    benchmark = benchmark_of()
    plugin = BiCPlugin(mem_size=60)
    strategy = setup_of(benchmark).naive(plugin)
    strategy.adapted_dataset = benchmark.train_stream[0].dataset
    with pytest.raises(TypeError, match="verbose"):
        plugin.bias_correction_step(strategy)


def test_bic_takes_the_softmax_over_samples_fault():
    """The same logits make the least distillation loss where a teacher's are its own; here the batch decides."""
    plugin = BiCPlugin()
    one = torch.tensor([[3.0, 0.0]])
    alone = plugin.cross_entropy(one, one)
    together = plugin.cross_entropy(one.repeat(2, 1), one.repeat(2, 1))
    assert not torch.isclose(alone, together)


# iCaRL


def test_icarl_asks_for_a_benchmark_that_knows_its_classes_fault():
    benchmark = benchmark_of()
    with pytest.raises(AttributeError, match="benchmark"):
        train(setup_of(benchmark).naive(_ICaRLPlugin(12)), benchmark)


# La-MAML


@pytest.mark.filterwarnings("ignore:Avalanche is transitioning")
def test_la_maml_takes_networks_of_several_heads_only_fault():
    benchmark = benchmark_of()
    setup = setup_of(benchmark)
    strategy = LaMAML(model=setup.model, optimizer=setup.optimizer, train_mb_size=4)
    with pytest.raises(TypeError, match="positional argument"):
        train(strategy, benchmark)


@pytest.mark.filterwarnings("ignore:Avalanche is transitioning")
def test_la_maml_draws_all_weights_anew_fault():
    setup = setup_of(benchmark_of())
    before = setup.model.classifier.weight.detach().clone()
    LaMAML(model=setup.model, optimizer=setup.optimizer)
    assert not torch.equal(setup.model.classifier.weight, before)


# ER-AML


def er_aml(template, benchmark, batch_size=4):
    setup = setup_of(benchmark, batch_size)
    return setup.make(
        template, feature_extractor=setup.model.features, temp=0.1, base_temp=0.07, mem_size=6, batch_size_mem=2
    )


def test_er_aml_cannot_be_pickled_fault():
    benchmark = benchmark_of()
    with pytest.raises(TypeError, match="generator"):
        cloudpickle.dumps(train(er_aml(ER_AML, benchmark, 1), benchmark))
    cloudpickle.dumps(train(er_aml(WorkingERAML, benchmark, 1), benchmark))


def test_er_aml_waits_for_a_batch_that_never_comes_fault():
    """Its loaders drop batches that are not full, and begin again; ours gives what there is."""
    benchmark = benchmark_of()
    stock, ours = (er_aml(template, benchmark) for template in (ER_AML, WorkingERAML))
    for strategy in (stock, ours):
        for strategy.experience in benchmark.train_stream[:2]:
            strategy._before_training_exp()
    groups = stock.storage_policy.buffer_groups
    assert max(len(group.buffer) for group in groups.values()) < stock.train_mb_size
    assert all(loader.gi_frame.f_locals["loader"].drop_last for loader in stock.pos_neg_loaders)
    assert all(len(next(loader)[0]) > 0 for loader in ours.pos_neg_loaders)


def contrast_by_hand(anchors, others, anchor_labels, labels, temp, base_temp):
    """Khosla et al. 2020, equation 2, one anchor after the other."""
    losses = []
    for anchor, label in zip(anchors, anchor_labels, strict=True):
        similarity = torch.stack([anchor @ other / temp for other in others])
        total = similarity.exp().sum().log()
        losses.append(-torch.stack([s - total for s, y in zip(similarity, labels, strict=True) if y == label]).mean())
    return temp / base_temp * torch.stack(losses).mean()


def test_er_aml_takes_sums_from_other_anchors_fault():
    torch.manual_seed(0)
    anchors, others = (nn.functional.normalize(torch.randn(4, 3)) for _ in range(2))
    anchor_labels, labels = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1, 1, 0])
    expected = contrast_by_hand(anchors, others, anchor_labels, labels, 0.1, 0.07)
    stock = AMLCriterion(nn.Identity(), 0.1, 0.07)._AMLCriterion__sup_con_loss(anchors, others, anchor_labels, labels)
    assert not torch.isclose(stock, expected)
    ours = WorkingAML(nn.Identity(), 0.1, 0.07).contrast(anchors, others, anchor_labels, labels)
    torch.testing.assert_close(ours, expected)


def test_er_aml_has_nothing_to_draw_in_a_batch_of_one_class_fault():
    x, y, t = torch.randn(3, 2), torch.zeros(3, dtype=torch.long), torch.zeros(3, dtype=torch.long)
    with pytest.raises(RuntimeError, match="sum of probabilities"):
        AMLCriterion(nn.Identity())(x, y, t, torch.randn(3, 2), y, (x, y, t))


# Reading


def test_draws_go_on_after_pickling_as_if_never_pickled():
    data = benchmark_of().train_stream[0].dataset
    draws = Draws(data, 5)
    next(draws)
    again = cloudpickle.loads(cloudpickle.dumps(draws))
    torch.manual_seed(3)
    expected = next(draws)
    torch.manual_seed(3)
    assert all(torch.equal(a, b) for a, b in zip(expected, next(again), strict=True))
    assert len({tuple(row) for row in expected[0].flatten(1).tolist()}) == 5, "without repetition"
    assert len(next(Draws(data, 1000))[0]) == len(data)


def test_a_data_set_that_is_not_resident_is_read_too():
    benchmark = benchmark_of()
    data = benchmark.train_stream[0].dataset
    strange = data.replace_current_transform_group((lambda x: x + 1, None))
    plain, moved = (next(Reader(some).in_order(3)) for some in (data, strange))
    torch.testing.assert_close(moved[0], plain[0] + 1)
    assert torch.equal(moved[1], plain[1])
    assert [len(batch[0]) for batch in Reader(data).in_order(7)] == [7, 7, 2]


def test_er_ace_averages_its_losses_fault() -> None:
    torch.manual_seed(0)
    new, memory = torch.randn(5, 6), torch.randn(7, 6)
    y, y_memory = torch.tensor([1, 3, 3, 1, 3]), torch.tensor([0, 1, 2, 3, 4, 5, 0])
    among_the_batch = functional.cross_entropy(new[:, [1, 3]], (y == 3).long())
    added = among_the_batch + functional.cross_entropy(memory, y_memory)
    torch.testing.assert_close(ACECriterion()(new, y, memory, y_memory), added / 2)
    torch.testing.assert_close(AddedLosses(ACECriterion())(new, y, memory, y_memory), added)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    trained: Any = load_strategy("er-ace", network, torch.optim.SGD(network.parameters(), 0.1))
    assert isinstance(trained.ace_criterion, AddedLosses)
