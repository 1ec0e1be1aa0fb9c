"""What a record is made of: plain data, validated, with what each number means."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lifelong.measures.detection import DriftKind
from lifelong.records.bounds import MAX_EXPERIENCES, Fraction, Name, NonNegative, Number, Positive
from lifelong.records.spec import Strict

_NOTHING: set[str] = set()


class _Many(Strict):
    """One of many in a record. Which fields were given, half of what pydantic keeps for each, is forgotten."""

    def model_post_init(self, _context: Any, /) -> None:
        object.__setattr__(self, "__pydantic_fields_set__", _NOTHING)


class Capacity(_Many):
    """The size of the network after an experience, and what training it has cost so far."""

    parameters: NonNegative = Field(description="entries of all parameters, pruned ones too")
    live_parameters: NonNegative = Field(description="those that are not pruned")
    average_parameters: Positive = Field(description="mean over the training steps so far; before any, those now")
    units: NonNegative = Field(description="hidden neurons, channels and attention heads with a synapse to read with")
    macs: NonNegative = Field(description="multiply-accumulates of one forward pass of one sample, masks not counted")
    live_macs: NonNegative = Field(description="the same, each product with a weight counted by that weight's density")
    training_macs: NonNegative = Field(
        description="of training so far: three times a forward pass, for each sample trained on, masks not counted; "
        "what plug-ins compute beside is not counted",
    )
    steps: NonNegative = Field(description="training iterations so far")
    samples: NonNegative = Field(description="samples trained on so far; each time that one is counts")


class Learning(_Many):
    """How well the network learned an experience, and how well it could learn on. None is what does not exist."""

    online_loss: Number | None = Field(
        None,
        description="mean over the samples of the first epoch, each before the update that it is in; in training mode, "
        "without penalties, on the batches as the strategy makes them, replayed samples among them",
    )
    online_accuracy: Fraction | None = Field(None, description="of the same batches")
    dormant_units: Number | None = Field(None, description="share of hidden units that are nonzero on < 1 % of samples")
    dormant_units_redo: Number | None = Field(
        None, description="share of hidden units whose mean |activation| is at most 0.025 of their layer's"
    )
    effective_rank: Number | None = Field(None, description="of the features that the head reads")
    stable_rank: Number | None = Field(None, description="of the same")
    weight_norm: Number | None = Field(None, description="mean |w|")
    gradient_norm: Number | None = None
    gradient_norm_newborn: Number | None = Field(None, description="of units born during the experience")
    gradient_norm_incumbent: Number | None = Field(None, description="of the others")
    frozen_units: Number | None = Field(None, description="share of hidden units that are mutually frozen")
    protected_units: Number | None = Field(None, description="share of hidden units that are frozen on purpose")


class Event(_Many):
    """One act of a rule on one layer."""

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
    note: Name | None = Field(None, description="what else has to be known, as that the change was clipped")


class Drift(_Many):
    """Where the stream changed, which no learner was told."""

    start: NonNegative = Field(description="training iterations before it")
    end: NonNegative = Field(description="training iterations before it was complete")
    kind: DriftKind


class Times(Strict):
    """Where a run's time went, in seconds of wall clock."""

    setup_s: Positive = 0.0
    train_s: list[Positive] = Field(default=[], max_length=MAX_EXPERIENCES, description="for each training")
    eval_s: list[Positive] = Field(
        default=[], max_length=MAX_EXPERIENCES + 1, description="before any training, then after each"
    )
    total_s: Positive = 0.0


TuningProtocol = Literal["first", "validation"]
"""`first`: a trial sees the first experiences alone (Chaudhry et al. 2019, arXiv:1812.00420, section 3); `validation`:
the whole stream."""


class Tuned(Strict):
    """The study that chose some of a strategy's parameters, as `lifelong tune` tells it."""

    study: str = Field(pattern="^[0-9a-f]{64}$", description="hash of the runs tried, but for the parameters chosen")
    board: Name
    protocol: TuningProtocol = Field(description="whether trials saw the first experiences, or the whole stream")
    validation: Fraction = Field(description="share of each class's training samples held out, to be scored on")
    seeds: list[NonNegative] = Field(max_length=MAX_EXPERIENCES, description="of each trial; none of the board's")
    trials: NonNegative
    value: Fraction = Field(description="average accuracy on the samples held out, mean over the seeds")
    default: Fraction | None = Field(None, description="the same with the board's own parameters; null where they fail")
    chosen: dict[Name, bool | int | Number | Name] = Field(max_length=MAX_EXPERIENCES)


class Provenance(Strict):
    """Where a record comes from. No part of the run's identity."""

    started_utc: Name
    versions: dict[Name, Name] = Field(max_length=100)
    commit: Name | None = Field(None, description="of the installed package's own checkout, with -dirty where changed")
    machine: Name
    cpu: Name
    device: Name
    threads: NonNegative
    data_sha256: Name | None = None
    resumed: NonNegative = Field(0, description="how often the run went on from a checkpoint")
    tuned: Tuned | None = Field(None, description="where a study has chosen parameters")


__all__ = ["Capacity", "Drift", "Event", "Learning", "Provenance", "Times", "Tuned"]
