"""What a run is: one scenario, one strategy, one model, one budget and one seed, with nothing left implicit."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lifelong.records.bounds import Name, NonNegative


class Strict(BaseModel):
    """Plain data: immutable, and no key that is not declared."""

    # infinity and NaN have no place in JSON: as constants they are refused, not hidden as null, where one is written
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")


LENGTHS = ("epochs", "iterations", "training_macs")
"""Fields of `Budget` of which one says how long each experience is trained on."""


class Budget(Strict):
    """What every strategy on a board may spend, and the optimizer that it spends it with.

    How long each experience is trained on is given as epochs, or instead as iterations or training MACs; a strategy
    that trains once, on all experiences, may spend theirs together.

    Raises:
        ValidationError: if more than one of these is given.
    """

    epochs: int = Field(1, ge=1, description="passes over each experience")
    iterations: int | None = Field(None, ge=1, description="training batches of each experience, instead of epochs")
    training_macs: int | None = Field(
        None,
        ge=1,
        description="multiply-accumulates of training on each experience, instead of epochs; the batch that reaches "
        "them is the last",
    )
    batch_size: int = Field(128, ge=1, description="samples in a training batch")
    eval_batch_size: int = Field(512, ge=1, description="samples in an evaluation batch; does not change the result")
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(0.01, gt=0, description="learning rate")
    momentum: float = Field(0.0, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _one_length(self) -> Budget:
        given = [name for name in LENGTHS if name in self.model_fields_set and getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are both given; a budget has one of them")
        return self

    @property
    def length(self) -> str:
        """Which of `LENGTHS` it is given in."""
        return next((name for name in LENGTHS[1:] if getattr(self, name) is not None), LENGTHS[0])

    def updates(self, batches: int) -> int | None:
        """How many updates an experience of so many batches gets; None where that depends on the network."""
        return {"epochs": self.epochs * batches, "iterations": self.iterations, "training_macs": None}[self.length]

    @model_serializer(mode="wrap")
    def _without_other_lengths(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What does not hold is not written: a budget in epochs reads as it did before there were others."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name not in LENGTHS or name == self.length}


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class Choice(Strict):
    """A scenario, strategy or model by name, with the value of every parameter."""

    name: Name
    version: NonNegative = 1
    parameters: dict[str, Any] = {}
    code_sha256: Name | None = None
    """Of the user's file that it comes from; None for what is installed."""

    @property
    def identity(self) -> str:
        """Its content as JSON in one form: equal where the name and every parameter are."""
        return _CANONICAL.encode(self.model_dump(mode="json"))


class Validation(Strict):
    """Marks a run that only helps to choose parameters: it is scored on training samples held out, and is no result."""

    experiences: int | None = Field(None, ge=1, description="the first of the stream, all that it sees; null for all")


class Spec(Strict):
    """The fully resolved specification of a run."""

    scenario: Choice
    strategy: Choice
    model: Choice
    budget: Budget
    seed: int = Field(ge=0, lt=2**32)
    validation: Validation | None = Field(None, description="only where the run is scored on samples held out")

    @property
    def canonical(self) -> str:
        """The specification as JSON in one form, whatever the order of its parameters."""
        return _CANONICAL.encode(self.model_dump(mode="json"))

    @property
    def key(self) -> str:
        """The hash of the specification (64 hex digits): runs are the same run where their keys are equal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @model_serializer(mode="wrap")
    def _without_none(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run that is scored on its test sets reads as it did before there were others."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name != "validation" or value is not None}

    @property
    def setting(self) -> str:
        """The hash of all but the strategy and the seed: rows of one table share it."""
        shared = self.model_dump(mode="json", exclude={"strategy", "seed"})
        return hashlib.sha256(_CANONICAL.encode(shared).encode()).hexdigest()
