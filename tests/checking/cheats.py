"""Strategies that each do one thing that none may do, and one that does nothing wrong."""

from __future__ import annotations

import threading

import numpy as np
import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import ReplayPlugin

from lifelong import Setup, UsageError, strategy


class Honest(SupervisedPlugin):
    """Keeps a count, draws noise from the run's generator, looks at what it is given."""

    def __init__(self):
        super().__init__()
        self.trained = 0

    def before_training_exp(self, trained, **_):
        self.trained += 1
        for weight in trained.model.parameters():
            weight.data.add_(torch.randn_like(weight), alpha=0.01 * self.trained)


@strategy(source="ours")
def honest(setup: Setup, mem_size: int = 12):
    """Replay, with noise before each experience.

    Args:
        mem_size: samples in the memory.
    """
    return setup.naive(Honest(), ReplayPlugin(mem_size))


class ChangesWeightsInEvaluation(SupervisedPlugin):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def before_eval_exp(self, *_, **__):
        self.network.classifier.weight.data.add_(0.01)


class GrowsInEvaluation(ChangesWeightsInEvaluation):
    def before_eval_exp(self, *_, **__):
        self.network.add_module("column", torch.nn.Linear(2, 2))


class CountsEvaluations(SupervisedPlugin):
    def __init__(self):
        super().__init__()
        self.evaluations = 0

    def before_eval_exp(self, *_, **__):
        self.evaluations += 1

    def before_backward(self, trained, **_):
        trained.loss = trained.loss * (1 + self.evaluations)


class TiresOfEvaluation(CountsEvaluations):
    def before_backward(self, *_, **__):
        pass

    def after_eval_forward(self, trained, **_):
        trained.mb_output = trained.mb_output.roll(self.evaluations, dims=1)


class ReadsTestLabels(SupervisedPlugin):
    def after_eval_forward(self, trained, **_):
        trained.mb_output = torch.nn.functional.one_hot(trained.mb_y, trained.mb_output.shape[1]).float()


class ReadsTestClasses(SupervisedPlugin):
    def after_eval_forward(self, trained, **_):
        there = torch.zeros(trained.mb_output.shape[1])
        there[list(trained.experience.classes_in_this_experience)] = 100.0
        trained.mb_output = trained.mb_output + there


class ReadsTheIndexOfATestSet(SupervisedPlugin):
    def after_eval_forward(self, trained, **_):
        trained.mb_output = trained.mb_output * (1 + trained.experience.current_experience)


class PeeksAhead(SupervisedPlugin):
    def before_training_exp(self, trained, **_):
        x, y, _ = trained.experience.origin_stream[-1].dataset[0]
        trained.model.classifier.bias.data[0].add_(float(x.mean()) + y)


class PeeksAtTests(SupervisedPlugin):
    def __init__(self):
        super().__init__()
        self.seen = 0.0

    def after_eval_iteration(self, trained, **_):
        self.seen += float(trained.mb_x.mean())

    def before_training_exp(self, trained, **_):
        trained.model.classifier.bias.data[0].add_(self.seen)


RANDOM = np.random.default_rng(0)


class DrawsFromTheModule(SupervisedPlugin):
    def before_training_exp(self, trained, **_):
        trained.model.classifier.bias.data[0].add_(float(RANDOM.normal()))


class SetsASeed(SupervisedPlugin):
    def before_training_exp(self, *_, **__):
        torch.manual_seed(0)


class HoldsALock(SupervisedPlugin):
    def __init__(self):
        super().__init__()
        self.held = {"lock": threading.Lock()}


class LosesItsCount(Honest):
    def __getstate__(self):
        return vars(self) | {"trained": 0}


class CannotBeReadAgain(Honest):
    def __setstate__(self, state):
        raise KeyError("memory")


class Divides(SupervisedPlugin):
    def after_training_exp(self, trained, **_):
        trained.model.classifier.bias.data.div_(0)


class Stumbles(SupervisedPlugin):
    def before_training_exp(self, trained, **_):
        if trained.experience.current_experience == 1:
            raise KeyError("memory")


class LearnsNothing(SupervisedPlugin):
    def before_update(self, trained, **_):
        trained.optimizer.zero_grad()


def cheat(name, plugin):
    def made(setup: Setup):
        return setup.naive(plugin(setup))

    return strategy(name=name)(made)


CHEATS = [
    cheat("changes-weights-in-evaluation", lambda setup: ChangesWeightsInEvaluation(setup.model)),
    cheat("grows-in-evaluation", lambda setup: GrowsInEvaluation(setup.model)),
    cheat("counts-evaluations", lambda _: CountsEvaluations()),
    cheat("tires-of-evaluation", lambda _: TiresOfEvaluation()),
    cheat("reads-test-labels", lambda _: ReadsTestLabels()),
    cheat("reads-test-classes", lambda _: ReadsTestClasses()),
    cheat("reads-the-index-of-a-test-set", lambda _: ReadsTheIndexOfATestSet()),
    cheat("peeks-ahead", lambda _: PeeksAhead()),
    cheat("peeks-at-tests", lambda _: PeeksAtTests()),
    cheat("draws-from-the-module", lambda _: DrawsFromTheModule()),
    cheat("sets-a-seed", lambda _: SetsASeed()),
    cheat("holds-a-lock", lambda _: HoldsALock()),
    cheat("loses-its-count", lambda _: LosesItsCount()),
    cheat("cannot-be-read-again", lambda _: CannotBeReadAgain()),
    cheat("divides", lambda _: Divides()),
    cheat("stumbles", lambda _: Stumbles()),
    cheat("learns-nothing", lambda _: LearnsNothing()),
]


@strategy()
def spends_much(setup: Setup):
    """Thrice the epochs."""
    made = setup.naive()
    made.train_epochs *= 3
    return made


@strategy()
def refuses(setup: Setup, mem_size: int = 5):
    raise UsageError(f"mem_size = {mem_size} is not enough for {setup.experiences} experiences")


@strategy(role="control", name="looks-ahead-as-a-control")
def looks_ahead(setup: Setup):
    """A control."""
    return setup.naive(PeeksAhead())


@strategy(needs={"task labels"})
def needs_labels(setup: Setup):
    """Where task labels are given."""
    return setup.naive()
