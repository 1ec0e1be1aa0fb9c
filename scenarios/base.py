"""What the families of data share: a scenario for each way to make a stream from one data set.

Listing the scenarios must cost nothing, so torch, Avalanche and the data are imported only when a benchmark is built.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifelong.contracts import Context, Protocol, Scenario, scenario

if TYPE_CHECKING:
    from avalanche.benchmarks import CLScenario

    from lifelong.data.images import ImageData, Name
    from lifelong.data.streams import StreamKind

VAN_DE_VEN = "van de Ven & Tolias 2019, arXiv:1904.07734"


@dataclass(frozen=True)
class Way:
    """Describes one way to make a stream: its name, what a learner is told, and who introduced it."""

    kind: StreamKind
    protocol: Protocol
    summary: str
    source: str
    detail: str


SPLITS = (
    Way(
        "class",
        "class",
        "{title} in parts of as many classes each; the learner must tell all classes apart.",
        VAN_DE_VEN,
        "Labels are the data set's own, and no task label is given. The seed draws the order of the classes.",
    ),
    Way(
        "domain",
        "domain",
        "{title} in parts of as many classes each, under labels that all parts share.",
        VAN_DE_VEN,
        "A label is the class's place within its part, and no task label is given. The seed draws the order of the\n"
        "classes.",
    ),
    Way(
        "task",
        "task",
        "{title} in parts of as many classes each; the learner is told which part a sample is from.",
        VAN_DE_VEN,
        "Labels count from zero within each part, and the task label is the part's index. The seed draws the order of\n"
        "the classes.",
    ),
)

VIEWS = (
    Way(
        "permuted",
        "domain",
        "{title}, all classes in every experience, with the pixels in another order each time.",
        "Goodfellow et al. 2013, arXiv:1312.6211",
        "The first experience is not permuted. The seed draws the other orders, which all channels share.",
    ),
    Way(
        "rotated",
        "domain",
        "{title}, all classes in every experience, turned further each time.",
        "Lopez-Paz & Ranzato 2017, arXiv:1706.08840",
        "The angles are evenly spaced from 0 to under 180 degrees.",
    ),
)


@dataclass(frozen=True)
class DataSet:
    """Holds what a family of scenarios has to know about its data.

    Attributes:
        name: the scenarios' common prefix.
        title: the data set's name in prose.
        load: returns the images for a context.
        source: the paper or collection that the data come from.
        licence: the data's.
        input_shape: (channels, height, width).
        model: the default model.
        budget: the default budget.
        download_mb: size of what is downloaded on first use, in megabytes.
        check: raises, before any training, if the data cannot be read.
        experiences: default length of a stream that splits the classes.
        views: default length of a stream that shows all classes in every experience.
        notes: sentences on what is particular to these data.
    """

    name: str
    title: str
    load: Callable[[Context], ImageData]
    source: str
    licence: str
    input_shape: tuple[int, ...]
    model: Mapping[str, Any]
    budget: Mapping[str, Any]
    download_mb: float = 0.0
    check: Callable[[Context], None] | None = None
    experiences: int = 5
    views: int = 10
    notes: str = ""


def family(data: DataSet, ways: tuple[Way, ...] = (*SPLITS, *VIEWS)) -> tuple[Scenario, ...]:
    """Make a scenario for each way, called `<data set>-<way>`."""
    caller = sys._getframe(1).f_globals["__name__"]  # it is that file's scenario, as a namedtuple is its file's class
    return tuple(_scenario(data, way, caller) for way in ways)


def _scenario(data: DataSet, way: Way, module: str) -> Scenario:
    length = data.experiences if way in SPLITS else data.views

    def build(context: Context, experiences: int = length, validation: float = 0.0) -> CLScenario:
        from lifelong.data.streams import make_benchmark

        return make_benchmark(way.kind, data.load(context), context, experiences=experiences, validation=validation)

    build.__module__ = module
    build.__doc__ = "\n\n".join(
        filter(None, (way.summary.format(title=data.title), way.detail, data.notes, PARAMETERS))
    )
    decorate = scenario(
        name=f"{data.name}-{way.kind}",
        protocol=way.protocol,
        source=f"{way.source}; data: {data.source}",
        licence=data.licence,
        download_mb=data.download_mb,
        input_shape=data.input_shape,
        model=data.model,
        budget=data.budget,
        check=data.check,
    )
    return decorate(build)


PARAMETERS = """Args:
    experiences: number of experiences in the stream.
    validation: share of each class's training samples that is held out for the stream `valid`, in [0, 0.9]."""


def downloaded(name: Name) -> dict[str, Any]:
    """Return `load` and `check` of a data set that torchvision downloads and reads."""

    def load(context: Context) -> ImageData:
        from lifelong.data import images

        return images.load(name, context)

    def check(context: Context) -> None:
        from lifelong.data import images

        images.ensure(name, context)

    return {"load": load, "check": check}
