"""The parts of a record: plain data, validated, each number with its meaning."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lifelong.measures.detection import DriftKind
from lifelong.records.bounds import MAX_EXPERIENCES, Fraction, Name, NonNegative, Number, Positive
from lifelong.records.spec import Strict

_NOTHING: set[str] = set()


class _Many(Strict):
    """One of many entries in a record.

    pydantic remembers which fields were given, which takes half of an entry's memory. Here that is forgotten.
    """

    def model_post_init(self, _context: Any, /) -> None:
        object.__setattr__(self, "__pydantic_fields_set__", _NOTHING)


class Capacity(_Many):
    """The size of the network after an experience, and what training it has cost so far."""

    parameters: NonNegative = Field(description="entries of all parameters, including pruned ones")
    live_parameters: NonNegative = Field(description="entries that are not pruned")
    average_parameters: Positive = Field(
        description="mean of `parameters` over the training iterations so far; before the first, `parameters` itself"
    )
    units: NonNegative = Field(description="hidden neurons, channels and attention heads with a synapse to read with")
    macs: NonNegative = Field(description="multiply-accumulates of one forward pass of one sample, as without masks")
    live_macs: NonNegative = Field(description="the same, but a product counts by the share of the weight that is live")
    training_macs: NonNegative = Field(
        description="multiply-accumulates of training so far, as without masks: three forward passes for each sample "
        "trained on; what plug-ins compute besides is not counted",
    )
    steps: NonNegative = Field(description="training iterations so far")
    samples: NonNegative = Field(description="samples trained on so far; a sample counts each time")


class Learning(_Many):
    """How well the network learned an experience, and how well it could go on learning.

    A value that does not exist is None.
    """

    online_loss: Number | None = Field(
        None,
        description="mean loss over the samples of the first epoch, each before the update with it; in training mode, "
        "without penalties, on the strategy's own batches, including replayed samples",
    )
    online_accuracy: Fraction | None = Field(None, description="accuracy on the same batches")
    dormant_units: Number | None = Field(None, description="share of hidden units that are nonzero on < 1 % of samples")
    dormant_units_redo: Number | None = Field(
        None, description="share of hidden units whose mean |activation| is at most 0.025 of their layer's"
    )
    effective_rank: Number | None = Field(None, description="effective rank of the features that the head reads")
    stable_rank: Number | None = Field(None, description="stable rank of the features that the head reads")
    weight_norm: Number | None = Field(None, description="mean |w| over all weights")
    gradient_norm: Number | None = Field(None, description="norm of the loss's gradient over all trained parameters")
    gradient_norm_newborn: Number | None = Field(
        None, description="mean norm of the fan-in's gradient, over the units born during the experience"
    )
    gradient_norm_incumbent: Number | None = Field(None, description="the same over the other units")
    frozen_units: Number | None = Field(None, description="share of hidden units that are mutually frozen")
    protected_units: Number | None = Field(None, description="share of hidden units that are frozen on purpose")
    unread: dict[Name, Name] | None = Field(
        None, max_length=100, description="why readings that should exist are null, by their names"
    )


class Event(_Many):
    """One change that a rule made to one layer."""

    step: NonNegative = Field(description="training iterations before it, over the whole run")
    experience: NonNegative = Field(description="the experience in training, counted from zero")
    trigger: Name
    value: Number | None = Field(None, description="what the trigger saw")
    layer: Name
    operator: Name
    count: NonNegative = Field(description="units or synapses changed")
    parameters_before: NonNegative
    parameters_after: NonNegative
    loss_before: Number | None = None
    loss_after: Number | None = None
    note: Name | None = Field(None, description="what else a reader has to know, such as that the change was clipped")


class Drift(_Many):
    """A place where the stream changed. No learner was told of it."""

    start: NonNegative = Field(description="training iterations before it began")
    end: NonNegative = Field(description="training iterations before it was complete")
    kind: DriftKind


class Times(Strict):
    """How long the parts of a run took, in seconds of wall clock."""

    setup_s: Positive = 0.0
    train_s: list[Positive] = Field(default=[], max_length=MAX_EXPERIENCES, description="for each training")
    eval_s: list[Positive] = Field(
        default=[], max_length=MAX_EXPERIENCES + 1, description="before any training, then after each"
    )
    total_s: Positive = 0.0


TuningProtocol = Literal["first", "validation"]
"""What a trial sees. `first`: only the first experiences (Chaudhry et al. 2019, arXiv:1812.00420, section 3).
`validation`: the whole stream."""


class Tuned(Strict):
    """The study that chose some of a strategy's parameters, as `lifelong tune` writes it."""

    study: str = Field(
        pattern="^[0-9a-f]{64}$", description="hash of what its trials share, and of what they choose from"
    )
    board: Name
    protocol: TuningProtocol = Field(description="whether trials saw the first experiences, or the whole stream")
    validation: Fraction = Field(description="share of each class's training samples held out, to score on")
    seeds: list[NonNegative] = Field(max_length=MAX_EXPERIENCES, description="seeds of each trial; none is the board's")
    trials: NonNegative
    value: Fraction = Field(description="average accuracy on the samples held out, mean over the seeds")
    default: Fraction | None = Field(None, description="the same with the board's own parameters; null where they fail")
    chosen: dict[Name, bool | int | Number | Name] = Field(max_length=MAX_EXPERIENCES)


class Provenance(Strict):
    """Where a record comes from. It is no part of the run's identity."""

    started_utc: Name
    versions: dict[Name, Name] = Field(max_length=100)
    commit: Name | None = Field(None, description="commit of the package's own checkout; ends in -dirty where changed")
    machine: Name
    cpu: Name
    device: Name
    threads: NonNegative
    data_sha256: Name | None = None
    resumed: NonNegative = Field(0, description="how often the run went on from a checkpoint")
    tuned: Tuned | None = Field(None, description="the study that chose parameters, if there is one")
