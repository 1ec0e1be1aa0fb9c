"""The removal of the layers between two modules, at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from lifelong.errors import UsageError, unknown
from lifelong.plasticity import Firing, Moment, MomentKind, Outcome, RemoveLayer, Trigger
from lifelong.structure import Structure


@dataclass
class Arrival(Trigger):
    """Fires when one experience starts.

    Args:
        number: number of the experience, counted from 1.
    """

    number: int
    needs = frozenset({"task boundaries"})
    _arrived: int = field(default=0, init=False)

    def fires(self, moment: Moment) -> Firing | None:
        self._arrived += moment.kind is MomentKind.START
        arrives = moment.kind is MomentKind.START and self._arrived == self.number
        return Firing(self.name, float(self.number)) if arrives else None


@dataclass
class Injure(RemoveLayer):
    """Removes the layers that run after one module and before another; translators replace them where shapes differ.

    Args:
        origin: name of the module before; empty for the first layer.
        destination: name of the module after; empty for the output layer.
    """

    origin: str = ""
    destination: str = ""

    def check(self, structure: Structure, names: tuple[str, ...]) -> None:
        for name in filter(None, (self.origin, self.destination)):
            if name not in structure.flows:
                raise unknown("module", name, filter(None, structure.flows))
        between = self._between(structure)
        if not set(names) & set(between):
            raise UsageError(
                f"there is no hidden layer between {self.origin or 'the first layer'!r} and "
                f"{self.destination or 'the output layer'!r}; the layers are {', '.join(structure.layers)}"
            )
        super().check(structure, tuple(name for name in names if name in between))

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        return super().apply(moment, name, chosen) if name in self._between(moment.structure) else None

    def _between(self, structure: Structure) -> list[str]:
        """Return the names of the layers in between, in the order in which they run."""
        known = {*structure.layers, self.origin, self.destination} - {""}
        order = [name for name in structure.flows if name in known]
        begin = order.index(self.origin) + 1 if self.origin else 1
        end = order.index(self.destination) if self.destination else len(order)
        return order[begin:end]
