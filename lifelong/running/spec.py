"""What a run is: one scenario, one strategy, one model, one budget and one seed, with nothing left implicit."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lifelong.running.bounds import Count, Name


class Strict(BaseModel):
    """Plain data: immutable, and no key that is not declared."""

    # infinity and NaN have no place in JSON: as constants they are refused, not hidden as null, where one is written
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")


class Budget(Strict):
    """What every strategy on a board may spend, and the optimizer that it spends it with."""

    epochs: int = Field(1, ge=1, description="passes over each experience")
    batch_size: int = Field(128, ge=1, description="samples in a training batch")
    eval_batch_size: int = Field(512, ge=1, description="samples in an evaluation batch; does not change the result")
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(0.01, gt=0, description="learning rate")
    momentum: float = Field(0.0, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(0.0, ge=0)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class Choice(Strict):
    """A scenario, strategy or model by name, with the value of every parameter."""

    name: Name
    version: Count = 1
    parameters: dict[str, Any] = {}
    code_sha256: Name | None = None
    """Of the user's file that it comes from; None for what is installed."""

    @property
    def identity(self) -> str:
        """Its content as JSON in one form: equal where the name and every parameter are."""
        return _CANONICAL.encode(self.model_dump(mode="json"))


class Spec(Strict):
    """The fully resolved specification of a run."""

    scenario: Choice
    strategy: Choice
    model: Choice
    budget: Budget
    seed: int = Field(ge=0, lt=2**32)

    @property
    def canonical(self) -> str:
        """The specification as JSON in one form, whatever the order of its parameters."""
        return _CANONICAL.encode(self.model_dump(mode="json"))

    @property
    def key(self) -> str:
        """The hash of the specification (64 hex digits): runs are the same run where their keys are equal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def setting(self) -> str:
        """The hash of all but the strategy and the seed: rows of one table share it."""
        shared = self.model_dump(mode="json", exclude={"strategy", "seed"})
        return hashlib.sha256(_CANONICAL.encode(shared).encode()).hexdigest()
