"""What a strategy is made of: a network, its optimizer and a budget; a `Setup` makes an Avalanche strategy of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.supervised import Naive
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from lifelong.contracts import PROVIDES, Protocol, Strategy
from lifelong.data.loading import ResidentLoading
from lifelong.errors import UsageError
from lifelong.models.parts import Parts, outputs_of, parts_of
from lifelong.plasticity.plugin import Plasticity
from lifelong.plasticity.rule import Rule
from lifelong.records.spec import Budget
from lifelong.registry import strategies
from lifelong.training.dry_run import DryRun
from lifelong.training.limit import Limit
from lifelong.training.meter import meter_of
from lifelong.training.steps import steps_of
from lifelong.workarounds.evaluating import drop_idle_evaluator, no_evaluator


@dataclass
class Setup:
    """What a strategy is made of: the network, its optimizer and the budget that all strategies share.

    Attributes:
        model: the network, with its initial weights.
        optimizer: the optimizer, which holds all parameters of the network.
        budget: the length of the training, the batch sizes and the optimizer's settings.
        device: the device that the network is trained on.
        experiences: the number of experiences in the stream; None where it is not known.
        protocol: what the stream tells a learner; None where it is not known.
        inputs: an example of the arguments that the network is called with; empty where there is none.
        criterion: the loss that compares outputs with targets.
        dry_run: a way to find out how large another strategy's network becomes on this stream; None outside a board.
        before_training: functions to be called once, in this order, just before the first experience.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    budget: Budget = field(default_factory=Budget)
    device: str | torch.device = "cpu"
    experiences: int | None = None
    protocol: Protocol | None = None
    inputs: tuple[Any, ...] = ()
    criterion: nn.Module = field(default_factory=nn.CrossEntropyLoss)
    dry_run: DryRun | None = None
    before_training: list[Callable[[], None]] = field(default_factory=list)
    _checked: list[Plasticity] = field(default_factory=list, init=False, repr=False)

    @property
    def parts(self) -> Parts:
        """The network's feature extractor and classifier.

        Raises:
            UsageError: if the network has no such parts, or there is no example of its input.
        """
        return parts_of(self.model, self._example)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample, without the dimension of the batch.

        Raises:
            UsageError: if there is no example of the network's input.
        """
        return tuple(self._example.shape[1:])

    @property
    def _example(self) -> torch.Tensor:
        if not self.inputs:
            raise UsageError("what the network reads is not known: give load_strategy an example, such as inputs=(x,)")
        example: torch.Tensor = self.inputs[0]
        return example

    @property
    def classes(self) -> int | None:
        """How many classes the classifier, or its largest head, tells apart; None where there is no classifier."""
        classifier = getattr(self.model, "classifier", None)
        return outputs_of(classifier) if isinstance(classifier, nn.Module) else None

    def check_memory(self, mem_size: int, among: Literal["classes", "experiences"]) -> None:
        """Check that a memory is large enough to be shared equally.

        Args:
            mem_size: the samples that the memory holds.
            among: what shares it.

        Raises:
            UsageError: if there is less than one sample for each class or experience.
        """
        sharing = self.classes if among == "classes" else self.experiences
        if sharing is not None and mem_size < sharing:
            raise UsageError(f"mem_size = {mem_size} is less than one sample for each of the {sharing} {among}")

    def make(
        self, template: type[SupervisedTemplate], *, plugins: Sequence[SupervisedPlugin] = (), **parameters: Any
    ) -> SupervisedTemplate:
        """Make an Avalanche strategy of this network, optimizer and budget. It reads its data by the batch.

        Args:
            template: the Avalanche strategy's class.
            plugins: the Avalanche plug-ins that run in it.
            parameters: the other arguments of the class.

        Raises:
            UsageError: if a plug-in cannot work here (see `check`).
        """
        self.check(plugins)
        strategy = template(
            model=self.model,
            optimizer=self.optimizer,
            criterion=self.criterion,
            train_mb_size=self.budget.batch_size,
            train_epochs=self.budget.epochs,
            eval_mb_size=self.budget.eval_batch_size,
            device=self.device,
            plugins=list(plugins),
            evaluator=no_evaluator(),
            **parameters,
        )
        drop_idle_evaluator(strategy)
        strategy.plugins.append(ResidentLoading())
        if self.budget.length != "epochs":
            meter_of(strategy)
            strategy.plugins.append(Limit(self.budget))
        strategy.plugins.extend(steps_of(self.budget))
        return strategy

    def naive(self, *plugins: SupervisedPlugin) -> SupervisedTemplate:
        """Make an Avalanche strategy that only fine-tunes, with the given plug-ins."""
        return self.make(Naive, plugins=plugins)

    def other(self, name: str, parameters: Mapping[str, Any]) -> SupervisedTemplate:
        """Build another of the suite's strategies over this network.

        Args:
            name: a name of `lifelong list strategies`, or `file.py:name`.
            parameters: the parameters that differ from the strategy's defaults.

        Raises:
            UsageError: if there is no such strategy or parameter, or the strategy refuses this network or stream.
        """
        entry = strategies.get(name)
        return self.build(entry, entry.resolve(parameters))

    def build(self, entry: Strategy, parameters: Mapping[str, Any]) -> SupervisedTemplate:
        """Build a strategy over this network, and check it.

        Args:
            entry: the strategy.
            parameters: the value of every parameter.

        Raises:
            UsageError: if the strategy refuses this network or stream, or its function returns something else.
        """
        if "feature extractor" in entry.needs:
            _ = self.parts  # refuses a network that has none
        strategy = entry(self, **parameters)
        if not isinstance(strategy, SupervisedTemplate):
            raise UsageError(f"{entry.name} returned {type(strategy).__name__}, not an Avalanche SupervisedTemplate")
        self.check(strategy.plugins)  # its function may have added some after `make`
        return strategy

    def check(self, plugins: Iterable[SupervisedPlugin]) -> None:
        """Check plug-ins before any training.

        Each is checked only once, because what is built after it may change the network.

        Raises:
            UsageError: if a rule of a `Plasticity` cannot work on this network and stream, or if one of the plug-ins is
                itself a rule.
        """
        for plugin in plugins:
            if isinstance(plugin, Rule):
                raise UsageError("a rule is no plug-in: put it into one, such as Plasticity(rule)")
            if isinstance(plugin, Plasticity) and plugin not in self._checked:
                self._check(plugin)
                self._checked.append(plugin)

    def _check(self, plugin: Plasticity) -> None:
        if self.protocol is not None:
            classified = isinstance(self.criterion, nn.CrossEntropyLoss)
            if missing := sorted(plugin.needs - PROVIDES[self.protocol] - ({"class labels"} if classified else set())):
                stream = f"{self.protocol} stream" + ("" if classified else " of numbers")
                raise UsageError(f"the rules need {' and '.join(missing)}, which a {stream} does not give")
            plugin.boundaries = "task boundaries" in PROVIDES[self.protocol]
        if self.inputs:
            plugin.check(self.model, *self.inputs)


def make_optimizer(model: nn.Module, budget: Budget) -> torch.optim.Optimizer:
    """Make the budget's optimizer over all parameters of a network.

    Adam and AdamW are made in torch's fused form, which is three times as fast.
    """
    parameters = model.parameters()
    if budget.optimizer == "sgd":
        return torch.optim.SGD(parameters, budget.lr, momentum=budget.momentum, weight_decay=budget.weight_decay)
    adam = torch.optim.AdamW if budget.optimizer == "adamw" else torch.optim.Adam
    return adam(parameters, budget.lr, weight_decay=budget.weight_decay, fused=True)
