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
    """Changes the structure of a strategy's network by rules; works in any Avalanche strategy, beside its plug-ins.

    The optimizer's state and that of Avalanche's EWC, SI, MAS and LwF plug-ins follow every change; so does any plug-in
    that has a method `carry(change, network)`, as another `Plasticity` has. What rules draw at random comes from a
    generator of their own, so that a rule that never fires leaves training as it would be without it, bit for bit.
    Where a strategy takes another network for an experience (GDumb), all that is known of single units is forgotten.

    Args:
        rules: applied in this order at each moment; they are copied, so that one rule may serve several plug-ins.
        boundaries: whether rules are told where experiences and epochs begin and end. By default they are, except on an
            online stream of Avalanche's that hides its task boundaries; the suite tells them nothing on a task-free
            stream. Where an online stream tells them, its many small experiences count as the one that they are of.

    Attributes:
        events: what happened, oldest first.

    Raises:
        UsageError: if there is no rule.
    """

    def __init__(self, *rules: Rule, boundaries: bool | None = None) -> None:
        super().__init__()
        if not rules or not all(isinstance(rule, Rule) for rule in rules):
            raise UsageError("Plasticity takes rules, as Plasticity(Rule(when=TaskArrives(), what=Grow(0.1)))")
        self.rules = tuple(deepcopy(rule) for rule in rules)  # one by one: a trigger that two rules share becomes two
        self.boundaries = boundaries
        self.events: list[Event] = []
        self._step = 0
        self._experience = -1
        self._memory = Memory(Generator())
        self._averages = Averages({name for rule in self.rules for name in rule.reads})
        self._activations = Activations()
        self._structure: Structure | None = None
        self._targets: list[dict[str, str]] = []
        self._batch: Batch | None = None
        self._network: nn.Module | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """What of the stream the rules cannot do without."""
        return frozenset({need for rule in self.rules for need in rule.when.needs})

    @property
    def births(self) -> Mapping[str, Tensor]:
        """For each layer that has changed, the update after which each unit was born, of shape (units,)."""
        return self._memory.births

    @property
    def widths(self) -> Mapping[str, int]:
        """Units of each layer whose units may change, as they are now."""
        return {name: layer.units for name, layer in self._memory.layers.items()}

    @property
    def initial(self) -> Mapping[str, int]:
        """How many units each of them had when it was first seen."""
        return self._memory.initial

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._step

    def check(self, network: nn.Module, *inputs: Any) -> None:
        """Refuse, before any training, rules that cannot work on a network.

        Args:
            network: as it will be trained.
            inputs: an example of what it is called with.

        Raises:
            UsageError: with the reason.
        """
        self._check(structure_of(network, inputs))

    def before_training_exp(self, strategy: Any, **_: object) -> None:
        experience = strategy.experience
        self._tell(experience)
        self._experience += is_end(experience, "first")
        self._attach(strategy)
        if self.boundaries and is_end(experience, "first"):
            self._ask(MomentKind.START, strategy)

    def before_forward(self, *_: object, **__: object) -> None:
        if self._activations.layers:
            self._activations.start(_known(self._structure))

    def after_forward(self, *_: object, **__: object) -> None:
        self._activations.stop()

    def before_update(self, *_: object, **__: object) -> None:
        self._step += 1  # before any plug-in is told of the update, so that all count alike

    def after_update(self, strategy: Any, **_: object) -> None:
        self._batch = Batch(
            strategy.mb_x, strategy.mb_y, strategy.mb_task_id, strategy.mb_output.detach(), strategy._criterion
        )
        self._averages.add(self._batch)
        self._ask(MomentKind.STEP, strategy)

    def after_training_epoch(self, strategy: Any, **_: object) -> None:
        if self.boundaries and is_end(strategy.experience, "last"):
            self._averages.close()
            self._ask(MomentKind.EPOCH, strategy)

    def after_training_exp(self, strategy: Any, **_: object) -> None:
        if self.boundaries and is_end(strategy.experience, "last"):
            self._ask(MomentKind.END, strategy)
        self._batch = None

    def carry(self, change: Change, network: nn.Module) -> None:
        """Follow a change of the network, which may be another plug-in's.

        Args:
            change: what was done.
            network: as it is after it.
        """
        del network
        layers = self._memory.layers
        for name in twins(layers, change.layer):
            self._activations.carry(change, name, layers[name].units)
        self._activations.rename(change)
        for rule, targets in zip(self.rules, self._targets or [{}] * len(self.rules), strict=True):
            mine = (name for name in twins(layers, change.layer) if name in targets.values())
            rule.carry(replace(change, layer=next(mine, change.layer)))  # by the name that the rule knows the units by
        self._memory.carry(change, self._step)
        if self._structure is not None:
            self._look()

    def _tell(self, experience: Any) -> None:
        """Find out what the stream tells.

        Raises:
            UsageError: if the rules need more.
        """
        if self.boundaries is None:
            self.boundaries = tells_boundaries(experience)
        if self.boundaries and not tells_boundaries(experience):
            raise UsageError("boundaries = True on an online stream that hides its boundaries; leave it out")
        if not self.boundaries and (missing := sorted(self.needs)):
            raise UsageError(f"the rules need {' and '.join(missing)}, which this stream does not give")

    def _attach(self, strategy: Any) -> None:
        """Look at the strategy's network, where it, its heads or its optimizer are not what is known."""
        network, known = strategy.model, self._structure
        is_other = self._network is not network
        if self._network is None:
            check_companions(strategy)
            self._memory.generator.manual_seed(torch.initial_seed() ^ SALT)
        elif is_other:
            self._forget(strategy)
        if known is None:
            inputs = example_inputs(network, strategy.experience.dataset, strategy.device)
        else:
            inputs = inputs_of(network, known.inputs[0][:1])
        if known is None or not is_of(known, strategy, inputs):
            self._structure = structure_of(network, inputs, strategy.optimizer)
            if is_other:
                self._check(self._structure)
        self._network = network
        self._look()

    def _check(self, structure: Structure) -> None:
        for rule in self.rules:
            rule.check(structure)

    def _forget(self, strategy: Any) -> None:
        """Another network has taken the known one's place: nothing is known of its units."""
        if self._network is not None:
            new = {id(parameter) for parameter in strategy.model.parameters()}
            drop_parameters(strategy.optimizer, [p for p in self._network.parameters() if id(p) not in new])
        self._memory.births.clear()
        for rule in self.rules:
            rule.forget()

    def _look(self) -> None:
        """Take note of the layers as they are now."""
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
        """Ask every rule; all take note of an update before any acts on it."""
        moments = [self._moment(kind, targets) for targets in self._targets]
        if kind is MomentKind.STEP:
            for rule, moment, targets in zip(self.rules, moments, self._targets, strict=True):
                rule.observe(moment, targets)
        for number, (rule, moment) in enumerate(zip(self.rules, moments, strict=True)):
            firing = asked(rule.when, moment)
            if firing is not None:
                with drawing_from(self._memory.generator):
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
        return {**vars(self), "_structure": None, "_batch": None}


SALT = 0x706C6173
"""Makes the rules' seed of training's; any constant would do."""


def _known(structure: Structure | None) -> Structure:
    if structure is None:
        raise UsageError("Plasticity was told of no experience: train with the strategy that it is in")
    return structure


__all__ = ["Event", "Plasticity"]
