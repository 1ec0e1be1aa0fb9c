"""Which samples are kept, which are recalled, and how they are moved: against references of a few lines."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import avalanche_forward
from torch import nn
from torch.nn.functional import cross_entropy

from lifelong.errors import UsageError


class Batches(SupervisedPlugin):
    """Each batch that is trained on, with the experience's number."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def before_forward(self, strategy, **_):
        self.seen.append((strategy.clock.train_exp_counter, strategy.mb_x.clone(), strategy.mb_y.clone()))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4))


def step_of(model, count=6, lr=0.1):
    """What a plug-in sees of a strategy at a batch."""
    x, y = torch.randn(count, 3), torch.arange(count) % 4
    task_labels = torch.zeros(count, dtype=torch.long)
    return SimpleNamespace(
        model=model,
        mb_x=x,
        mb_y=y,
        mb_task_id=task_labels,
        mbatch=[x, y, task_labels],
        optimizer=torch.optim.SGD(model.parameters(), lr),
        _criterion=nn.CrossEntropyLoss(),
        device="cpu",
        clock=SimpleNamespace(train_exp_epochs=0),
    )


@pytest.mark.parametrize("name", ["gss", "mir", "rar"])
def test_batches_are_joined_by_samples_of_earlier_experiences(trained, name):
    watch = Batches()
    strategy = trained(name, experiences=2, watch=watch, mem_size=40, batch_size_mem=8)
    labels = [set(y.tolist()) for number, _, y in watch.seen if number == 0]
    first = set().union(*labels)
    for number, _, y in watch.seen:
        recalled = [label for label in y.tolist()[32:] if label in first]
        if number == 1 and len(y) > 32:
            assert len(recalled) > 0
    assert strategy.mb_output is None
    alone = max(len(y) for number, _, y in watch.seen if number == 0)
    joined = {len(y) for number, _, y in watch.seen if number == 1}
    assert max(joined) == {"gss": 40, "mir": 40, "rar": 48}[name]
    assert alone == (40 if name == "gss" else 32), "gss remembers within the first experience"


# Maximally interfered retrieval


def test_interference_is_what_a_step_does(beside):
    model = network()
    step = step_of(model)
    x, y, t = torch.randn(5, 3), torch.tensor([0, 1, 2, 3, 0]), torch.zeros(5, dtype=torch.long)
    before = deepcopy(model.state_dict())
    raised = beside("mir", "interference").interference(step, x, y, t)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    other = deepcopy(model)
    optimizer = torch.optim.SGD(other.parameters(), 0.1)
    old = cross_entropy(other(x), y, reduction="none")
    cross_entropy(other(step.mb_x), step.mb_y).backward()
    optimizer.step()
    torch.testing.assert_close(raised, cross_entropy(other(x), y, reduction="none") - old)


def test_those_most_interfered_with_are_recalled(beside):
    module = beside("mir", "interference")
    plugin = module.MaximallyInterfered(mem_size=20, batch_size=3, candidates=20)
    x, y, t = torch.randn(20, 3), torch.arange(20) % 4, torch.zeros(20, dtype=torch.long)
    plugin._draws = iter([[x, y, t]])
    step = step_of(network())
    chosen, *_ = plugin.recall(step)
    raised = module.interference(step, x, y, t)
    assert {tuple(row) for row in chosen.tolist()} == {tuple(row) for row in x[raised.argsort()[-3:]].tolist()}


def test_mir_needs_enough_to_choose_from(built):
    with pytest.raises(UsageError, match="subsample = 10 is less than the 32 samples"):
        built("mir", subsample=10)


# Gradient-based sample selection


@pytest.mark.parametrize("scenario", ["digits-class", "digits-task"])
def test_gradients_of_samples_are_those_of_each_alone(built, beside, scenario):
    prepared = built("naive", scenario)
    model = prepared.strategy.model
    parts = [prepared.benchmark.train_stream[i].dataset[j] for i in range(2) for j in range(3)]
    x, y, t = (
        torch.stack([p[0] for p in parts]),
        torch.tensor([p[1] for p in parts]),
        torch.tensor([p[2] for p in parts]),
    )
    found = beside("gss", "sample_gradients").gradients(model, nn.CrossEntropyLoss(), x, y, t)
    for i in range(len(x)):
        model.zero_grad()
        cross_entropy(avalanche_forward(model, x[i : i + 1], t[i : i + 1]), y[i : i + 1]).backward()
        alone = [torch.zeros_like(w) if w.grad is None else w.grad for w in model.parameters()]
        torch.testing.assert_close(found[i], torch.cat([slope.flatten() for slope in alone]))


def convolution():
    return nn.Sequential(nn.Conv1d(1, 4, 2), nn.Flatten(), nn.Linear(8, 4, bias=False))


def frozen():
    model = network()
    model[0].requires_grad_(False)
    return model


def tied():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(3, 4))


@pytest.mark.parametrize("scenario", ["digits-class", "digits-task"])
def test_cosines_are_those_of_whole_gradients(built, beside, scenario):
    prepared = built("naive", scenario)
    where, network = beside("gss", "sample_gradients"), prepared.strategy.model
    parts = [prepared.benchmark.train_stream[i].dataset[j] for i in range(2) for j in range(5)]
    x, y, t = zip(*parts, strict=True)
    batch = where.Batch(torch.stack(x), torch.tensor(y), torch.tensor(t))
    some, others = (where.Batch(*(column[at] for column in batch)) for at in (slice(0, None, 2), slice(1, None, 2)))
    assert where._factors(network, nn.CrossEntropyLoss(), some) is not None, "an MLP needs no whole gradients"
    compare_with_gradients(where, network, some, others)


@pytest.mark.parametrize("make", [network, convolution, frozen, tied])
def test_cosines_are_those_of_whole_gradients_in_any_network(beside, make):
    torch.manual_seed(1)
    where, model = beside("gss", "sample_gradients"), make()
    shape = (1, 3) if make is convolution else (3,)
    some, others = (
        where.Batch(torch.randn(n, *shape), torch.arange(n) % 4, torch.zeros(n, dtype=torch.long)) for n in (7, 3)
    )
    compare_with_gradients(where, model, some, others)


def compare_with_gradients(where, model, some, others):
    found = where.cosines(model, nn.CrossEntropyLoss(), some, others)
    ours, theirs = (where.gradients(model, nn.CrossEntropyLoss(), *batch) for batch in (some, others))
    torch.testing.assert_close(found, torch.cosine_similarity(ours[:, None], theirs[None], dim=2))
    assert all(weight.grad is None for weight in model.parameters())


def full_memory(beside, model, scores):
    plugin = beside("gss", "diversity").GreedySelection(mem_size=4, batch_size=2, compared=4)
    step = step_of(model, count=4)
    plugin.recall(step)
    plugin.scores = torch.tensor(scores)
    return plugin, step


def test_what_is_like_the_memory_does_not_enter(beside):
    plugin, step = full_memory(beside, network(), [1.0, 1.0, 1.0, 1.0])
    kept = plugin.memory[0].clone()
    plugin._offer(step)  # the memory itself: each gradient has a cosine of one with some of it
    assert torch.equal(plugin.memory[0], kept)


def test_what_points_away_enters_by_the_odds_of_the_scores(beside):
    """With a score of 0.5 against 1.5 a sample wins in three of four draws: algorithm 2, c_i / (c_i + c)."""
    model, wins = network(), 0
    for _ in range(400):
        plugin, step = full_memory(beside, model, [0.0, 0.0, 0.0, 1.5])
        new = [column[:1].clone() for column in step.mbatch]
        new[0] += 100
        plugin._replace(new, torch.tensor([0.5]))
        won = plugin.memory[0][3, 0] == new[0][0, 0]
        assert bool(won) is (plugin.scores[3].item() == 0.5)
        wins += int(won)
    assert wins / 400 == pytest.approx(0.75, abs=0.08)


def test_the_memory_fills_and_stays_full(trained):
    strategy = trained("gss", experiences=2, mem_size=40)
    (plugin,) = (plugin for plugin in strategy.plugins if hasattr(plugin, "compared"))
    assert [len(column) for column in plugin.memory] == [40, 40, 40]
    assert len(plugin.scores) == 40
    assert ((plugin.scores >= 0) & (plugin.scores <= 2)).all()


def test_choosing_leaves_no_gradient_behind(beside):
    model = network()
    plugin, step = full_memory(beside, model, [1.0] * 4)
    plugin._offer(step)
    assert all(weight.grad is None for weight in model.parameters())


# Retrospective adversarial replay


def test_the_nearest_new_sample_of_another_class(beside):
    find = beside("rar", "adversarial").nearest_others
    new_x, new_y = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([0, 1, 2])
    x, y = torch.tensor([[0.1], [0.1], [4.0]]), torch.tensor([0, 1, 2])
    assert find(nn.Identity(), x, y, new_x, new_y).tolist() == [1, 0, 1]
    assert find(nn.Identity(), x, y, new_x, torch.tensor([1, 1, 1])).tolist() == [1, -1, 1]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_an_attack_moves_towards_its_class_and_not_too_far(beside, steps):
    model = network()
    x, towards = torch.randn(10, 3), torch.arange(10) % 4
    moved = beside("rar", "adversarial").attacked(model, x, towards, epsilon=0.05, steps=steps, decay=1.0)
    assert 0 < (moved - x).abs().max() <= 0.05 + 1e-6
    before, after = (cross_entropy(model(some), towards, reduction="none") for some in (x, moved))
    assert (after < before).all()
    if steps == 1:
        x.requires_grad_()
        cross_entropy(model(x), towards).backward()
        torch.testing.assert_close(moved, (x - 0.05 * x.grad.sign()).detach())


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_losses_are_weighed(trained, beta):
    losses = []

    class Watch(SupervisedPlugin):
        def before_backward(self, strategy, **_):
            if len(strategy.mb_y) == 48:
                output, y = strategy.mb_output.detach(), strategy.mb_y
                parts = [cross_entropy(output[a:b], y[a:b]) for a, b in ((0, 32), (32, 40), (40, 48))]
                losses.append(
                    (float(strategy.loss.detach()), float(parts[0] + (1 - beta) * parts[1] + beta * parts[2]))
                )
                assert torch.equal(y[32:40], y[40:])

    trained("rar", experiences=2, watch=Watch(), batch_size_mem=8, beta=beta)
    assert losses
    assert [ours for ours, _ in losses] == pytest.approx([theirs for _, theirs in losses])
