"""Finds the layers whose units may change, and every place in the network's tensors where those units lie.

The dependency graphs of pruning (Fang et al. 2023, DepGraph, arXiv:2301.12900) serve the same end. Here everything is
found index by index from one forward pass, so that flattening, concatenation, residual sums, grouped convolutions and
tied weights need no cases of their own.

`labels` leaves components: sets of labels that have to change together. A layer is the dimension of a weight that makes
units. Its units are the components along it, in order. Wherever else these components appear, there is a slot:

>>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
>>> layers = Analysis(network, (torch.zeros(1, 3),))
>>> layers["0"].units
5
>>> for slot in layers["0"].slots:
...     print(slot.tensor, slot.dim, slot.role, slot.positions.flatten().tolist())
0.weight 0 fan-in [0, 1, 2, 3, 4]
0.bias 0 own [0, 1, 2, 3, 4]
2.weight 1 fan-out [0, 1, 2, 3, 4]
>>> layers["2"].fixed
"they are the network's outputs"

Behind a `Flatten` a channel lies at several positions of one dimension: its slot there is wider than 1.

>>> network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 4, 2))
>>> Analysis(network, (torch.zeros(1, 1, 4, 4),))["0"].slots[-1].positions.tolist()
[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from lifelong.structure.reading.labels import Labels, Site
from lifelong.structure.reading.layer import Layer, Role, Slot
from lifelong.structure.reading.tracing import Call, Flow, trace


class Analysis(Mapping[str, Layer]):
    """Holds the layers of a network by name; each is worked out when it is first asked for.

    Args:
        network: a network of any modules.
        inputs: an example of the arguments that the network is called with.

    Raises:
        StructureError: if the network cannot be followed.
    """

    def __init__(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        traced = trace(network, inputs)
        self._labels = traced.labels
        self._component = traced.labels.components()
        self._reasons = traced.labels.reasons(self._component)
        self._mixers = traced.labels.mixers(self._component)
        self._starts = torch.tensor([site.start for site in traced.labels.sites])
        self._sites = _named_layers(network, traced.labels, self._is_free)
        # Layers whose weight is computed from others have no weight to be found by; they are listed, with the reason.
        self._computed = {
            name: int(module.out_features if isinstance(module, nn.Linear) else module.out_channels)
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear | _ConvNd) and "weight" not in module._parameters and name in traced.calls
            if name not in self._sites
        }
        self._layers: dict[str, Layer] = {}
        self._shared: dict[tuple[int, ...], tuple[tuple[Slot, ...], str | None]] = {}
        ended = {one for labels in traced.labels.outputs for one in self._component[labels].tolist()}
        self.flows = {name: self._flow(call, ended) for name, call in traced.calls.items()}

    def __getitem__(self, name: str) -> Layer:
        if name in self._computed:
            return Layer(name, self._computed[name], (), "its weight is computed from others (parametrised)")
        if name not in self._layers:
            self._layers[name] = self._layer(name, self._sites[name])
        return self._layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._sites, *self._computed])

    def __len__(self) -> int:
        return len(self._sites) + len(self._computed)

    def __repr__(self) -> str:
        return f"<{len(self)} layers: {', '.join(self)}>"

    def _flow(self, call: Call, ended: set[int]) -> Flow:
        inputs = tuple(value.shape if isinstance(value, Tensor) else None for value in call.args)
        if not isinstance(call.output, Tensor):
            return Flow(inputs, None, call.count)
        # A module ends the network if a unit that it returns is among the network's outputs.
        units = [one for labels in self._labels.of(call.output).values() for one in self._component[labels].tolist()]
        return Flow(inputs, call.output.shape, call.count, ends=not ended.isdisjoint(units))

    def _is_free(self, site: Site) -> bool:
        components = self._component[site.start : site.start + site.size].tolist()
        return not self._reasons.keys() & set(components)

    def _layer(self, name: str, site: Site) -> Layer:
        # Several labels of the dimension may be one component: the channels of a group are one unit.
        own = self._component[site.start : site.start + site.size]
        units = _in_order(own)
        fixed = next((self._reasons[unit] for unit in units.tolist() if unit in self._reasons), None)
        mixed = tuple(sorted({name for unit in units.tolist() for name in self._mixers.get(unit, [])}))
        if fixed:
            return Layer(name, len(units), (), fixed, mixed)
        key = tuple(units.tolist())
        if key not in self._shared:  # the layers of a residual stream have the same units
            self._shared[key] = self._slots(units)
        slots, fixed = self._shared[key]
        return Layer(name, len(units), slots, fixed, mixed)

    def _slots(self, units: Tensor) -> tuple[tuple[Slot, ...], str | None]:
        """Return the slots of these components; or none, and the reason why they may not change."""
        # For each label of the network: the number of its unit in this layer, or -1.
        numbers = torch.full((self._labels.total,), -1)
        numbers[units] = torch.arange(len(units))
        unit_of = numbers[self._component]
        # A grouped convolution counts its channels off: a new one would push others into the next group.
        if any(_crosses(unit_of[row], len(units), size) for row, size in self._labels.groups):
            return (), "they are taken in groups that new ones would shift"
        places = (unit_of >= 0).nonzero().flatten()
        slots = []
        # Sites are numbered along the line of labels, so that a label's site is found by where the site starts.
        for index in sorted(set((torch.searchsorted(self._starts, places, right=True) - 1).tolist())):
            site = self._labels.sites[index]
            positions = _positions(unit_of[site.start : site.start + site.size], len(units))
            ends = None if positions is None else _ends(positions, site.size // self._labels.blocks.get(site, 1))
            if positions is None or ends is None:
                return (), f"its units are only a part of those of {site.tensor!r}, unevenly"
            slots.append(Slot(site.tensor, site.dim, _role(self._labels, site), positions, ends))
        return tuple(sorted(slots, key=lambda slot: _ORDER[slot.role])), None


_ORDER = {Role.FAN_IN: 0, Role.OWN: 1, Role.TIED: 2, Role.FAN_OUT: 3}
"""Fan-out comes last, so that it is written last where it crosses fan-in (a layer that reads its own units)."""


def _role(labels: Labels, site: Site) -> Role:
    roles = labels.roles.get(site, set())
    return Role.TIED if len(roles) == 2 else next(iter(roles), Role.OWN)


def _in_order(values: Tensor) -> Tensor:
    """Return each value once, in the order in which they first appear."""
    return torch.tensor(list(dict.fromkeys(values.tolist())))


def _positions(unit_of: Tensor, units: int) -> Tensor | None:
    """Return where each unit lies, of shape (units, width); None if some lie at more positions than others."""
    places = (unit_of >= 0).nonzero().flatten()
    counts = torch.bincount(unit_of[places], minlength=units)
    if not bool((counts == counts[0]).all()):
        return None
    return places[unit_of[places].argsort(stable=True)].view(units, -1)


def _crosses(unit_of: Tensor, units: int, size: int) -> bool:
    """Tell whether a unit's stretch crosses the end of a group of this size, where the next unit's would not fit."""
    positions = _positions(unit_of, units) if bool((unit_of >= 0).any()) else None
    if positions is None:
        return False
    behind = positions[:, 1:]
    return bool(((behind == positions[:, :-1] + 1) & (behind % size == 0)).any())


def _ends(positions: Tensor, block: int) -> Tensor | None:
    """Return after which position the next unit's values go, of shape (width,); None if units' stretches differ.

    A unit's positions are a few stretches: one in most layers, one for each group of a grouped convolution, or for each
    of the places that a concatenation put it in. New units are put behind the last unit's stretch of each kind.
    """
    # A stretch ends where positions stop being neighbours, and at the end of a block (queries, keys, values).
    breaks = (positions.diff(dim=1) != 1) | (positions[:, 1:] // block != positions[:, :-1] // block)
    if not bool((breaks == breaks[:1]).all()):
        return None
    # For each column the number of its stretch, and for each stretch the last position that any unit has in it.
    stretch = torch.cat([torch.zeros(1, dtype=torch.long), breaks[0].long().cumsum(0)])
    last = torch.zeros(int(stretch[-1]) + 1, dtype=torch.long).scatter_reduce_(0, stretch, positions.amax(0), "amax")
    return last[stretch]


def _named_layers(network: nn.Module, labels: Labels, free: Callable[[Site], bool]) -> dict[str, Site]:
    """Return the dimensions along which weights make units, by the shortest name that tells them apart."""
    making = [site for site, roles in labels.roles.items() if Role.FAN_IN in roles]
    order = {name: place for place, (name, _) in enumerate(network.named_parameters())}
    # Where one module makes units twice, the dimension whose units may change gets the shorter name.
    making.sort(key=lambda site: (not free(site), order.get(site.tensor, len(order)), site.dim))
    named: dict[str, Site] = {}
    for site in making:
        module = site.tensor.rpartition(".")[0]
        names = [module, site.tensor, f"{site.tensor}[{site.dim}]"]
        named[next(name for name in names if name and name not in named)] = site
    return dict(sorted(named.items(), key=lambda item: (order.get(item[1].tensor, len(order)), item[1].dim)))
