"""Selections: they turn scores into the units, or synapses, that a rule changes.

To write a selection of your own, derive from `Selection` and write `_choose`. An example of one layer with four units:

>>> from torch import Generator, nn
>>> from lifelong.plasticity import WeightNorm
>>> from lifelong.plasticity.activations import Activations
>>> from lifelong.plasticity.moment import Memory, MomentKind
>>> from lifelong.structure import Structure
>>> network = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
>>> network[0].weight.data = torch.tensor([[3.0], [0.5], [2.0], [1.0]])
>>> structure = Structure(network, torch.zeros(1, 1))
>>> memory = Memory(Generator(), layers=dict(structure.layers))
>>> moment = Moment(MomentKind.STEP, 1, ["0"], structure, None, memory, Activations())

>>> Lowest(WeightNorm(), count=3).select(moment, ["0"])
{'0': tensor([1, 3, 2])}
>>> Lowest(WeightNorm(), share=0.5).select(moment, ["0"])
{'0': tensor([1, 3])}
>>> Below(WeightNorm(), threshold=0.5).select(moment, ["0"])
{'0': tensor([1])}
>>> rate = Rate(WeightNorm(), rate=0.125, mature=0)  # half a unit each time
>>> [rate.select(moment, ["0"])["0"].tolist() for _ in range(4)]
[[], [1], [], [1]]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lifelong.errors import UsageError, unknown
from lifelong.plasticity.amounts import Schedule, check_share
from lifelong.plasticity.candidates import free_units, live_synapses
from lifelong.plasticity.following import renamed_keys
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.operators.base import NOTHING, Operator
from lifelong.plasticity.ranking import lowest
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.plasticity.triggers.base import Reading
from lifelong.structure import Change

Scope = Literal["layer", "network"]
"""Says whether shares and counts are taken of each layer alone, or of all layers of the rule together."""


class Selection(ABC):
    """Chooses, by a score, which units or synapses a rule changes.

    Attributes:
        score: a score of units or of synapses.
        mature: units are left out until they are older than this many updates.
        reads: which means over an epoch it reads, `loss` or `accuracy`.
    """

    score: UnitScore | SynapseScore
    mature: int = 0
    reads: frozenset[Reading] = frozenset()

    def check(self, operator: Operator) -> None:
        """Refuse an operator for which this selection cannot choose.

        Raises:
            UsageError: if one is about units and the other about synapses.
        """
        if isinstance(self.score, SynapseScore) != (operator.selects == "synapses"):
            names = type(operator).__name__, type(self.score).__name__
            raise UsageError(f"{names[0]} is about {operator.selects}; {names[1]} scores something else")

    def select(self, moment: Moment, names: Sequence[str], operator: Operator | None = None) -> dict[str, Tensor]:
        """Choose units of each layer, or synapses of each weight.

        Args:
            moment: the present moment.
            names: names of layers, or of weights where the score is a score of synapses.
            operator: the operator for which they are chosen; it says which may be chosen. By default these are all
                that are not frozen, and of synapses those that are not pruned.

        Returns:
            For each layer the numbers of its chosen units, int64, lowest score first; or for each weight which of its
            synapses are chosen, bool, of its shape.
        """
        candidates = {name: self._candidates(moment, name, operator) for name in names}
        chosen = self._choose(moment, candidates, operator)
        if not isinstance(self.score, SynapseScore):
            return {name: chosen.get(name, NOTHING) for name in names}
        return {name: _marked(free, chosen.get(name, NOTHING)) for name, free in candidates.items()}

    def carry(self, change: Change) -> None:
        """Let what is known of each unit or synapse follow a change of the network."""
        self.score.carry(change)

    def forget(self) -> None:
        """Forget what is known of units, because another network has taken the place of the known one."""
        self.score.forget()

    def _scored(self, moment: Moment, name: str, free: Tensor) -> Tensor:
        """Return the scores, in the shape of `free`.

        Raises:
            UsageError: if the score returns something else than a tensor of this shape.
        """
        score = self.score(moment, name)
        if not isinstance(score, Tensor) or score.shape != free.shape:
            said = f"shape {tuple(score.shape)}" if isinstance(score, Tensor) else f"{score!r}"
            raise UsageError(
                f"{type(self.score).__name__} says {said} of {name!r}; a score is a tensor of shape {tuple(free.shape)}"
            )
        return score

    def _candidates(self, moment: Moment, name: str, operator: Operator | None) -> Tensor:
        """Return which units or synapses may be chosen: bool, in the shape of the scores."""
        if operator is not None:
            free = operator.candidates(moment, name)
        else:
            free = (live_synapses if isinstance(self.score, SynapseScore) else free_units)(moment, name)
        # Synapses have no ages; `check_selection` refuses `mature` for them.
        return free & (moment.ages(name) > self.mature).to(free.device) if self.mature else free

    @abstractmethod
    def _choose(self, moment: Moment, candidates: Mapping[str, Tensor], operator: Operator | None) -> dict[str, Tensor]:
        """Choose among the candidates.

        Args:
            moment: the present moment.
            candidates: for each name which may be chosen: bool, in the shape of the scores.
            operator: the operator for which they are chosen, if it is known.

        Returns:
            For each name, positions in its flattened scores, int64, lowest first. A name may be left out where nothing
            is chosen.
        """


@dataclass
class Lowest(Selection):
    """Selects the lowest scores: a share of those that may be chosen, a count, or as many as a target needs.

    Exactly one of the three is given. Numbers that follow from a share or a target are rounded down. Of equal scores
    the first one is taken. The module shows examples.

    Args:
        score: a score of units or of synapses.
        share: the share of those that may be chosen now, in (0, 1], or a schedule of it.
        count: how many, at least 1.
        target: the share of all that the operator shall reach, in (0, 1], or a schedule of it. As many are chosen as
            are still missing until this share is pruned (`PruneSynapses`), alive (`CreateSynapses`), frozen (`Freeze`),
            or removed from the units that the layer had at first (`Remove`).
        scope: `layer` to choose in each layer alone, `network` to choose among all layers of the rule together.
        mature: units are left out until they are older than this many updates.

    Raises:
        UsageError: if an argument is out of range, or not exactly one of the three is given.
    """

    score: UnitScore | SynapseScore
    share: float | Schedule | None = None
    count: int | None = None
    target: float | Schedule | None = None
    scope: Scope = "layer"
    mature: int = 0

    def __post_init__(self) -> None:
        check_selection(self)
        if sum(given is not None for given in (self.share, self.count, self.target)) != 1:
            raise UsageError("Lowest takes a share, a count or a target: one of them")
        for name in ("share", "target"):
            check_share("Lowest", given := getattr(self, name), name)
            # A schedule may read the accuracy of an epoch; the plug-in averages only what somebody reads.
            self.reads |= getattr(given, "reads", frozenset())
        if self.count is not None and self.count < 1:
            raise UsageError(f"Lowest: count = {self.count}; the least is 1")
        if self.scope not in ("layer", "network"):
            raise unknown("scope", self.scope, ("layer", "network"))

    def check(self, operator: Operator) -> None:
        super().check(operator)
        if self.target is not None and type(operator).progress is Operator.progress:
            raise UsageError(f"{type(operator).__name__} has no target to reach: give a share or a count")

    def _choose(self, moment: Moment, candidates: Mapping[str, Tensor], operator: Operator | None) -> dict[str, Tensor]:
        given = self.share if self.target is None else self.target
        # A schedule is asked once at each firing, not once for each layer, because it may keep count.
        share = given if given is None or isinstance(given, int | float) else given.share(moment)
        pools = [list(candidates)] if self.scope == "network" else [[name] for name in candidates]
        chosen: dict[str, Tensor] = {}
        for pool in pools:
            free = {name: candidates[name] for name in pool}
            if count := self._wanted(moment, free, share, operator):
                chosen.update(lowest({name: self._scored(moment, name, free[name]) for name in pool}, free, count))
        return chosen

    def _wanted(
        self, moment: Moment, free: Mapping[str, Tensor], share: float | None, operator: Operator | None
    ) -> int:
        """Return how many to choose of one pool of layers, at most all that may be chosen."""
        most = sum(int(each.sum()) for each in free.values())
        if share is None:
            return min(self.count or 0, most)
        if self.target is None or operator is None:
            return int(share * most + 1e-9)  # so that .29 x 100, which computes to a little less than 29, is 29
        done, whole = map(sum, zip(*(operator.progress(moment, name) for name in free), strict=True))
        # More may be done already than the target says, because a schedule may fall and layers may grow.
        return min(max(int(share * whole + 1e-9) - done, 0), most)


@dataclass
class Below(Selection):
    """Selects all whose score is at or below a threshold. The module shows an example.

    Args:
        score: a score of units or of synapses.
        threshold: the highest score that is selected.
        relative: whether the threshold is multiplied by the mean of the layer's scores, as in ReDo (Sokar et al. 2023).
        mature: units are left out until they are older than this many updates.

    Raises:
        UsageError: if the score is no score, or `mature` is out of range.
    """

    score: UnitScore | SynapseScore
    threshold: float
    relative: bool = False
    mature: int = 0

    def __post_init__(self) -> None:
        check_selection(self)

    def _choose(self, moment: Moment, candidates: Mapping[str, Tensor], operator: Operator | None) -> dict[str, Tensor]:
        del operator
        chosen: dict[str, Tensor] = {}
        for name, free in candidates.items():
            score = self._scored(moment, name, free)
            # The mean is over all units, protected ones too: they belong to the layer that is the measure.
            low = score <= (self.threshold * score.mean() if self.relative else self.threshold)
            chosen |= lowest({name: score}, {name: low & free.to(low.device)})
        return chosen


@dataclass
class Rate(Selection):
    """Selects the lowest of the mature units, at a rate.

    Continual backpropagation does so (Dohare et al. 2024, Nature 632). At each firing, each layer adds rate x (its
    mature units) to what it owes. As soon as it owes one unit or more, it pays the whole units: so many are chosen, and
    the fraction stays for the next firing. The module shows an example.

    Args:
        score: a score of units.
        rate: the share of the mature units at each firing, in (0, 1].
        mature: units are left out until they are older than this many updates.

    Raises:
        UsageError: if an argument is out of range.
    """

    score: UnitScore
    rate: float
    mature: int = 100
    _owed: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        check_selection(self)
        check_share("Rate", self.rate, "rate")

    def carry(self, change: Change) -> None:
        super().carry(change)
        self._owed = renamed_keys(self._owed, change)

    def forget(self) -> None:
        super().forget()
        self._owed.clear()

    def _choose(self, moment: Moment, candidates: Mapping[str, Tensor], operator: Operator | None) -> dict[str, Tensor]:
        del operator
        chosen: dict[str, Tensor] = {}
        for name, free in candidates.items():
            mature = int(free.sum())
            owed = self._owed.get(name, 0.0) + self.rate * mature
            count = min(int(owed), mature)
            # Nothing is lost: a small layer at a small rate has a unit chosen once in many firings.
            self._owed[name] = owed - count
            if count:
                chosen |= lowest({name: self._scored(moment, name, free)}, {name: free}, count)
        return chosen


def check_selection(selection: Selection) -> None:
    """Refuse a selection whose score is no score, or that asks for the age of synapses, which have none.

    Raises:
        UsageError: if so; the message says what was expected.
    """
    name, score = type(selection).__name__, selection.score
    if not isinstance(score, UnitScore | SynapseScore):
        raise UsageError(f"{name} takes a score, such as WeightNorm(), not {score!r}")
    if selection.mature < 0:
        raise UsageError(f"{name}: mature = {selection.mature}; the least is 0")
    if selection.mature and isinstance(score, SynapseScore):
        raise UsageError(f"{name}: mature = {selection.mature}, but no age is known of synapses; leave it out")


def _marked(free: Tensor, places: Tensor) -> Tensor:
    """Return a mask in the shape of `free` that is True at these positions of its flattened form."""
    return torch.zeros_like(free).flatten().index_fill(0, places.to(free.device), True).view_as(free)
