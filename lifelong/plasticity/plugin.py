"""The Avalanche plug-in that applies rules while a strategy trains."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from torch import Generator, Tensor, nn

from lifelong.contracts import Need
from lifelong.errors import UsageError
from lifelong.plasticity.activations import Activations
from lifelong.plasticity.averages import Averages
from lifelong.plasticity.boundaries import is_end, tells_boundaries
from lifelong.plasticity.companions import check_companions
from lifelong.plasticity.events import Event, followed
from lifelong.plasticity.following import twins
from lifelong.plasticity.inputs import example_inputs, inputs_of, is_of, structure_of
from lifelong.plasticity.moment import Batch, Memory, Moment, MomentKind
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.triggers.base import asked
from lifelong.seeds import drawing_from
from lifelong.structure import Change, Structure
from lifelong.structure.holding.optimizers import drop_parameters


class Plasticity(SupervisedPlugin):
    """Changes the structure of a strategy's network by rules; works in any Avalanche strategy, beside other plug-ins.

    The state of the optimizer and of Avalanche's EWC, SI, MAS and LwF plug-ins follows every change. So does any
    plug-in that has a method `carry(change, network)`, such as another `Plasticity`. Rules draw random numbers from a
    generator of their own: with a rule that never fires, training is the same as without it, bit for bit. Where a
    strategy takes another network for an experience (GDumb), all that is known of single units is forgotten.

    Args:
        rules: applied in this order at each moment; they are copied, so that one rule may serve several plug-ins.
        boundaries: whether rules are told where experiences and epochs begin and end. By default they are told, except
            on an online stream of Avalanche that hides its task boundaries. The suite says False on a task-free stream.
            Where an online stream tells its boundaries, the many small experiences that were cut from one experience
            count as one.

    Attributes:
        events: what the rules did, oldest first.

    Raises:
        UsageError: if no rule is given, or something that is no rule.

    >>> from lifelong.plasticity import Grow, TaskArrives
    >>> network = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 3))
    >>> plasticity = Plasticity(Rule(when=TaskArrives(), what=Grow(0.1)))
    >>> plasticity.check(network, torch.zeros(1, 4))  # raises where a rule cannot work; the network stays as it is

    A strategy then takes it as any other plug-in: `Naive(model=network, ..., plugins=[plasticity])`.
    """

    def __init__(self, *rules: Rule, boundaries: bool | None = None) -> None:
        super().__init__()
        if not rules or not all(isinstance(rule, Rule) for rule in rules):
            raise UsageError("Plasticity takes rules, such as Plasticity(Rule(when=TaskArrives(), what=Grow(0.1)))")
        self.rules = tuple(deepcopy(rule) for rule in rules)  # one by one: a trigger that two rules share becomes two
        self.boundaries = boundaries
        self.events: list[Event] = []
        # Counted over the whole stream. No experience has begun, so that the first one gets the number 0.
        self._step = 0
        self._experience = -1
        self._memory = Memory(Generator())  # seeded from the training's seed when the first experience begins
        self._averages = Averages({name for rule in self.rules for name in rule.reads})
        self._activations = Activations()
        self._structure: Structure | None = None
        self._targets: list[dict[str, str]] = []
        self._batch: Batch | None = None
        self._network: nn.Module | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """Return what the stream has to give, because the rules cannot do without it, such as task boundaries."""
        needs = {need for rule in self.rules for need in rule.when.needs}
        return frozenset(needs | ({"class labels"} if any("accuracy" in rule.reads for rule in self.rules) else set()))

    @property
    def births(self) -> Mapping[str, Tensor]:
        """Return, for each layer that has changed, after which update each unit was born, int64 of shape (units,)."""
        return self._memory.births

    @property
    def widths(self) -> Mapping[str, int]:
        """Return how many units each layer whose units may change has now."""
        return {name: layer.units for name, layer in self._memory.layers.items()}

    @property
    def initial(self) -> Mapping[str, int]:
        """Return how many units each of these layers had when it was first seen."""
        return self._memory.initial

    @property
    def step(self) -> int:
        """Return the number of updates made so far, over the whole stream."""
        return self._step

    def check(self, network: nn.Module, *inputs: Any) -> None:
        """Refuse, before any training, rules that cannot work on a network.

        Args:
            network: the network that will be trained; it stays as it is.
            inputs: an example of what it is called with, such as a batch of one sample.

        Raises:
            UsageError: if a rule cannot work on it; the message gives the reason.
        """
        self._check(structure_of(network, inputs))

    def before_training_exp(self, strategy: Any, **_: object) -> None:
        experience = strategy.experience
        self._tell(experience)
        # An online stream cuts an experience into many small ones: only the first of them is a new experience.
        self._experience += is_end(experience, "first")
        # Looked at each time: a strategy may bring a new network, a new head or a new optimizer.
        self._attach(strategy)
        if self.boundaries and is_end(experience, "first"):
            self._ask(MomentKind.START, strategy)

    def before_forward(self, *_: object, **__: object) -> None:
        # Hooks exist during a training forward only, so that evaluations and other plug-ins' passes are not recorded.
        if self._activations.layers:
            self._activations.start(_known(self._structure))

    def after_forward(self, *_: object, **__: object) -> None:
        self._activations.stop()

    def before_update(self, *_: object, **__: object) -> None:
        # Counted before any plug-in is told that the update was made, so that several `Plasticity` count alike.
        self._step += 1

    def after_update(self, strategy: Any, **_: object) -> None:
        self._batch = Batch(
            strategy.mb_x, strategy.mb_y, strategy.mb_task_id, strategy.mb_output.detach(), strategy._criterion
        )
        # The averages get every batch, whether a rule acts at this step or not.
        self._averages.add(self._batch)
        self._ask(MomentKind.STEP, strategy)

    def after_training_epoch(self, strategy: Any, **_: object) -> None:
        if self.boundaries and is_end(strategy.experience, "last"):
            self._averages.close()
            self._ask(MomentKind.EPOCH, strategy)

    def after_training_exp(self, strategy: Any, **_: object) -> None:
        if self.boundaries and is_end(strategy.experience, "last"):
            self._ask(MomentKind.END, strategy)
        # The next experience has other data: an initialiser must not try new units on the batch of the former one.
        self._batch = None

    def carry(self, change: Change, network: nn.Module) -> None:
        """Follow a change of the network, made by this plug-in or by another one.

        Args:
            change: what was done.
            network: the network after the change.
        """
        del network
        # The layers as they were before the change, in whose names and widths the change is told. They are looked at
        # anew in the last step.
        layers = self._memory.layers
        for name in twins(layers, change.layer):
            self._activations.carry(change, name, layers[name].units)
        self._activations.rename(change)
        for rule, targets in zip(self.rules, self._targets or [{}] * len(self.rules), strict=True):
            # The change names one of several twins; a rule may know the same units by the name of another one.
            mine = (name for name in twins(layers, change.layer) if name in targets.values())
            rule.carry(replace(change, layer=next(mine, change.layer)))
        self._memory.carry(change, self._step)
        if self._structure is not None:
            self._look()

    def _tell(self, experience: Any) -> None:
        """Find out whether the stream tells its boundaries.

        Raises:
            UsageError: if the rules need more than it tells.
        """
        if self.boundaries is None:
            self.boundaries = tells_boundaries(experience)
        if self.boundaries and not tells_boundaries(experience):
            raise UsageError("boundaries = True on an online stream that hides its boundaries; leave it out")
        if not self.boundaries and (missing := sorted(self.needs & {"task boundaries"})):
            raise UsageError(f"the rules need {' and '.join(missing)}, which this stream does not give")

    def _attach(self, strategy: Any) -> None:
        """Analyse the strategy's network, if the network, its heads or its optimizer are not the known ones."""
        network, known = strategy.model, self._structure
        is_other = self._network is not network
        if self._network is None:
            check_companions(strategy)
            # The seed differs from training's own, else rules would draw the same numbers as training.
            self._memory.generator.manual_seed(torch.initial_seed() ^ SALT)
        elif is_other:
            self._forget(strategy)
        # An example is read from the data once only: its reading may cost time, and a stream may have many experiences.
        if known is None:
            inputs = example_inputs(network, strategy.experience.dataset, strategy.device)
        else:
            inputs = inputs_of(network, known.inputs[0][:1])
        if known is None or not is_of(known, strategy, inputs):
            self._structure = structure_of(network, inputs, strategy.optimizer)
            # A new head or optimizer needs no new check: rules were checked on this network.
            if is_other:
                self._check(self._structure)
        self._network = network
        self._look()

    def _check(self, structure: Structure) -> None:
        for rule in self.rules:
            rule.check(structure)

    def _forget(self, strategy: Any) -> None:
        """Forget what is known of units, because another network has taken the place of the known one."""
        if self._network is not None:
            # The optimizer may still hold parameters of the former network.
            new = {id(parameter) for parameter in strategy.model.parameters()}
            drop_parameters(strategy.optimizer, [p for p in self._network.parameters() if id(p) not in new])
        self._memory.births.clear()
        for rule in self.rules:
            rule.forget()

    def _look(self) -> None:
        """Take note of the layers as they are now, and of what each rule is about."""
        structure, memory = _known(self._structure), self._memory
        memory.layers.clear()
        memory.layers.update({name: layer for name, layer in structure.layers.items() if layer.fixed is None})
        for name, layer in memory.layers.items():
            memory.initial.setdefault(name, layer.units)
        self._targets = [rule.targets_in(structure) for rule in self.rules]
        pairs = zip(self.rules, self._targets, strict=True)
        self._activations.layers = tuple(
            dict.fromkeys(layer for rule, targets in pairs if rule.watches for layer in targets.values())
        )

    def _ask(self, kind: MomentKind, strategy: Any) -> None:
        """Ask every rule whether it acts; all take note of an update before any acts on it."""
        # Made before any rule acts, so that all rules are asked about the same moment.
        moments = [self._moment(kind, targets) for targets in self._targets]
        if kind is MomentKind.STEP:
            for rule, moment, targets in zip(self.rules, moments, self._targets, strict=True):
                rule.observe(moment, targets)
        for number, (rule, moment) in enumerate(zip(self.rules, moments, strict=True)):
            # A trigger is asked even where nothing can come of it, because triggers keep count.
            firing = asked(rule.when, moment)
            if firing is not None:
                # What operators and initialisers draw must not shift the numbers that training draws.
                with drawing_from(self._memory.generator):
                    # `_targets` is read anew here: a rule before this one may have renamed layers.
                    if chosen := rule.choose(moment, firing, self._targets[number]):
                        happenings = rule.act(moment, chosen, self._targets[number])
                        self.events.extend(followed(happenings, moment, strategy, self._experience))

    def _moment(self, kind: MomentKind, targets: dict[str, str]) -> Moment:
        return Moment(
            kind=kind,
            step=self._step,
            layers=tuple(dict.fromkeys(targets.values())),
            structure=_known(self._structure),
            batch=self._batch,
            memory=self._memory,
            recorded=self._activations,
            averages=self._averages.last,
        )

    def __getstate__(self) -> dict[str, Any]:
        # Neither belongs in a checkpoint: the structure is analysed anew, and the batch comes with the next update.
        return {**vars(self), "_structure": None, "_batch": None}


SALT = 0x706C6173
"""Turns the seed of training into another seed for rules; any constant would do."""


def _known(structure: Structure | None) -> Structure:
    """Return the structure.

    Raises:
        UsageError: if no experience has begun yet, so that there is none.
    """
    if structure is None:
        raise UsageError("Plasticity was told of no experience: train with the strategy that it is in")
    return structure
