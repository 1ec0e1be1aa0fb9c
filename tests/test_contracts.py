"""What a decorated function says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from annotated_types import Gt, Lt
from hypothesis import given
from hypothesis import strategies as st

from lifelong.contracts import PROVIDES, Need, Protocol, Strategy, Weight, scenario, strategy
from lifelong.errors import UsageError
from lifelong.parameters import Parameter, parameters_of

if TYPE_CHECKING:
    from nowhere import Setup


@strategy(source="a paper", needs={"task boundaries"}, version=2)
def my_method(
    setup: Setup, share: float = 0.1, size: int = 3, mode: Literal["a", "b"] = "a", widths: tuple[int, ...] = (1, 2)
) -> Any:
    """What it does.

    At length.
    """
    return setup, share, size, mode, widths


def test_a_strategy_is_its_function_with_a_name() -> None:
    assert isinstance(my_method, Strategy)
    assert (my_method.name, my_method.summary, my_method.version) == ("my-method", "What it does.", 2)
    assert my_method("setup", share=0.5) == ("setup", 0.5, 3, "a", (1, 2))
    assert {name: parameter.type_name for name, parameter in my_method.parameters.items()} == {
        "share": "float",
        "size": "int",
        "mode": "Literal['a', 'b']",
        "widths": "tuple[int, ...]",
    }


def test_types_are_told_as_a_person_writes_them() -> None:
    lists = Parameter("weights", Weight | list[Weight] | None, None)
    assert lists.type_name == "float >= 0 | list[float >= 0] | None"
    assert Parameter("size", Annotated[int, Gt(1), Lt(9)] | None, None).type_name == "int > 1 < 9 | None"


def test_values_are_brought_into_their_types() -> None:
    assert my_method.resolve({}) == {"share": 0.1, "size": 3, "mode": "a", "widths": (1, 2)}
    given_ = {"share": 1, "size": 4.0, "mode": "b", "widths": [5]}
    resolved = my_method.resolve(given_)
    assert resolved == {"share": 1.0, "size": 4, "mode": "b", "widths": (5,)}
    assert {name: type(value) for name, value in resolved.items()} == {
        "share": float,
        "size": int,
        "mode": str,
        "widths": tuple,
    }


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"shar": 1}, "no parameter of my-method 'shar'; did you mean 'share'?"),
        ({"share": "much"}, "my-method.share = 'much': .* (its type is float)"),
        ({"size": 1.5}, "my-method.size = 1.5: .* (its type is int)"),
        ({"mode": "c"}, "my-method.mode = 'c': .* (its type is Literal['a', 'b'])"),
        ({"widths": 3}, "my-method.widths = 3: "),
        ({"share": float("inf")}, "my-method.share = inf: write a finite number"),
        ({"share": float("nan")}, "my-method.share = nan: write a finite number"),
    ],
)
def test_values_of_another_type_are_refused(overrides: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as error:
        my_method.resolve(overrides)
    assert all(part in str(error.value) for part in told.split(".*"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_finite_numbers_are_kept_as_they_are(value: float) -> None:
    assert my_method.resolve({"share": value})["share"] == value


def test_every_parameter_has_a_type_and_a_default() -> None:
    def no_default(setup: object, share: float) -> None: ...

    def no_type(setup, share=0.1): ...

    for function in (no_default, no_type):
        with pytest.raises(UsageError, match="'share' needs a type and a default, as in share: float"):
            parameters_of(function)


@pytest.mark.parametrize(
    ("need", "given_by"),
    [
        ("task labels", {"task"}),
        ("task boundaries", {"class", "domain", "task"}),
        ("single head", {"class", "domain", "task-free"}),
    ],
)
def test_who_may_run_where(need: Need, given_by: set[str]) -> None:
    needy = strategy(needs={need})(lambda setup: setup)
    for protocol in PROVIDES:
        stream = scenario(protocol=protocol, name="stream")(lambda context: context)
        refusal = needy.refusal(stream)
        assert (refusal is None) == (protocol in given_by)
        assert refusal is None or f"needs {need}, which stream ({protocol}) does not give" in refusal


def test_a_strategy_without_needs_runs_everywhere() -> None:
    protocols: tuple[Protocol, ...] = tuple(PROVIDES)
    content = strategy()(lambda setup: setup)
    assert not any(content.refusal(scenario(protocol=one)(lambda context: context)) for one in protocols)


def test_who_trains_once_cannot_be_scored_as_it_goes() -> None:
    once = strategy(offline=True)(lambda setup: setup)
    for scored, refused in (("all", False), ("current", True)):
        stream = scenario(protocol="domain", scored=scored, name="stream")(lambda context: context)  # type: ignore[arg-type]
        assert bool(once.refusal(stream)) == refused
