"""The specification of a run: one scenario, strategy, model, budget and seed, with the value of every parameter."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lifelong.records.bounds import Name, NonNegative


class Strict(BaseModel):
    """Plain data: immutable, and no key that is not declared."""

    # JSON has neither infinity nor NaN. As constants they are refused on writing; else they would be hidden as null.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")


LENGTHS = ("epochs", "iterations", "training_macs")
"""The fields of `Budget` that can say how long each experience is trained on. A budget has one of them."""


EXTRAS = ("clip_norm", "label_smoothing", "renew_optimizer")
"""The fields of `Budget` that are written only where they ask for something."""


class Budget(Strict):
    """How long every strategy on a board may train, and with which batches and optimizer.

    The length of the training on each experience is given in epochs, or instead in iterations or in training MACs. A
    strategy that trains once, on all experiences, may spend the budgets of all of them together.

    Raises:
        ValidationError: if more than one of these is given.
    """

    epochs: int = Field(1, ge=1, description="passes over each experience")
    iterations: int | None = Field(None, ge=1, description="training batches of each experience, instead of epochs")
    training_macs: int | None = Field(
        None,
        ge=1,
        description="multiply-accumulates of training on each experience, instead of epochs; the batch that reaches "
        "this number is the last",
    )
    batch_size: int = Field(128, ge=1, description="samples in a training batch")
    eval_batch_size: int = Field(512, ge=1, description="samples in an evaluation batch; no result depends on it")
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(0.01, gt=0, description="learning rate")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum of SGD")
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float | None = Field(
        None, gt=0, description="largest norm of the whole gradient; a larger one is scaled down to it"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of each target that is spread over all classes; only for classes"
    )
    renew_optimizer: bool = Field(
        False, description="whether the optimizer's state starts again with each experience; else it is kept"
    )

    @model_validator(mode="after")
    def _one_length(self) -> Budget:
        given = [name for name in LENGTHS if name in self.model_fields_set and getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are both given; a budget has one of them")
        return self

    @property
    def length(self) -> str:
        """Which of `LENGTHS` the budget is given in."""
        return next((name for name in LENGTHS[1:] if getattr(self, name) is not None), LENGTHS[0])

    def updates(self, batches: int) -> int | None:
        """Return how many updates an experience of so many batches gets; None where that depends on the network.

        >>> Budget(epochs=2).updates(10), Budget(iterations=50).updates(10)
        (20, 50)
        """
        return {"epochs": self.epochs * batches, "iterations": self.iterations, "training_macs": None}[self.length]

    @model_serializer(mode="wrap")
    def _as_asked(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write only the length that the budget has, and what it asks for besides, so that hashes stay as ever."""
        written: dict[str, Any] = write(self)
        absent = {name for name in LENGTHS if name != self.length} | {name for name in EXTRAS if not written[name]}
        return {name: value for name, value in written.items() if name not in absent}


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class Choice(Strict):
    """A scenario, a strategy or a model: its name, with the value of every parameter."""

    name: Name
    version: NonNegative = 1
    parameters: dict[str, Any] = {}
    code_sha256: Name | None = None
    """The hash of the user's file that it comes from; None for what is installed."""

    @property
    def identity(self) -> str:
        """Its content as JSON in one form: equal for two choices if the name and every parameter are equal."""
        return _CANONICAL.encode(self.model_dump(mode="json"))


class Validation(Strict):
    """Marks a run that only helps to choose parameters. It is scored on training samples held out, and is no result."""

    experiences: int | None = Field(None, ge=1, description="how many of the first experiences it sees; null for all")


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
        """The specification as JSON in one form, whatever the order in which its parameters were given."""
        return _CANONICAL.encode(self.model_dump(mode="json"))

    @property
    def key(self) -> str:
        """The hash of the specification (64 hex digits). Runs with equal keys are the same run.

        >>> choice = Choice(name="toy")
        >>> spec = Spec(scenario=choice, strategy=Choice(name="naive"), model=choice, budget=Budget(), seed=0)
        >>> spec.key[:8], spec.key == spec.model_copy(update={"seed": 1}).key
        ('4eb800ec', False)
        """
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @model_serializer(mode="wrap")
    def _without_none(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `validation` out where there is none, so that an ordinary run has the same hash as ever."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name != "validation" or value is not None}

    @property
    def setting(self) -> str:
        """The hash of all but the strategy and the seed. All rows of one table share it."""
        shared = self.model_dump(mode="json", exclude={"strategy", "seed"})
        return hashlib.sha256(_CANONICAL.encode(shared).encode()).hexdigest()
