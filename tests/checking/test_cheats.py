"""Each check catches who does what it is there for, says what happened, and leaves who does nothing wrong alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifelong.checking.check import CHECKS, check
from lifelong.checking.report import as_json
from lifelong.errors import UsageError

CHEATS = Path(__file__).with_name("cheats.py")
SHORT = ("toy.budget.epochs=4", "toy-task.budget.epochs=4", "toy-domain.budget.epochs=4")


def looked_at(name, *scenarios):
    """The report of one of the strategies beside this file."""
    settings = [setting for setting in SHORT if setting.partition(".")[0] in scenarios]
    (report,) = check([f"{CHEATS}:{name}"], settings, scenarios or ("toy",))
    return report


def failures(report):
    return {result.check.name: result.answer for result in report.results if result.answer.verdict == "failed"}


def answers(report, verdict):
    return {result.check.name: result.answer.happened for result in report.results if result.answer.verdict == verdict}


def test_who_does_nothing_wrong_passes_everything():
    report = looked_at("honest", "toy", "toy-domain", "toy-task")
    assert report.ok
    assert not failures(report)
    assert len(report.results) == 3 * len(CHECKS)
    assert answers(report, "not applicable") == {"answers without boundaries": "task labels are given here"}
    assert report.hints == []


@pytest.mark.parametrize(
    ("name", "failing", "told"),
    [
        ("changes-weights-in-evaluation", "evaluation changes nothing", "`classifier.weight` differs by up to 0.0"),
        ("grows-in-evaluation", "evaluation changes nothing", "`column.weight` is new"),
        ("counts-evaluations", "evaluation changes nothing", "trains differently: `"),
        (
            "tires-of-evaluation",
            "evaluation changes nothing",
            "the second time in reversed order, the outputs on test set",
        ),
        ("reads-test-labels", "answers without test labels", "its answers differ on 24 of 24 samples"),
        ("reads-test-classes", "answers without boundaries", "its answers differ on "),
        ("reads-the-index-of-a-test-set", "answers without boundaries", "its outputs differ"),
        ("peeks-ahead", "learns without the future", "with other experiences to follow, `"),
        ("peeks-at-tests", "learns without test sets", "with other images and labels in the test sets, `"),
        ("draws-from-the-module", "seeds repeat", "run twice with seed 0: `"),
        ("sets-a-seed", "seeds differ", "with seeds 0 and 1 the generator of torch ends in the same state"),
        ("holds-a-lock", "survives a resume", "it cannot be saved: `HoldsALock.held['lock']` (lock): TypeError"),
        ("loses-its-count", "survives a resume", "its result differs: `"),
        ("cannot-be-read-again", "survives a resume", "could not be read again: KeyError: 'memory'"),
        ("divides", "trains", "`classifier.bias` is no longer finite after training 1"),
        ("stumbles", "trains", "KeyError: 'memory' (cheats.py:"),
        ("learns-nothing", "learns", "its accuracy on the test sets of what it was just trained on is"),
    ],
)
def test_each_check_catches_who_does_what_it_is_there_for(name, failing, told):
    report = looked_at(name, "toy")
    found = failures(report)
    assert not report.ok
    assert told in found[failing].happened, found
    assert name == "stumbles" or (found[failing].cause and found[failing].remedy)


def test_others_are_not_blamed_for_it():
    """What one thing does wrong is found by the check for it alone."""
    for name in ("sets-a-seed", "holds-a-lock", "loses-its-count", "peeks-ahead"):
        assert len(failures(looked_at(name, "toy"))) == 1, name


def test_nothing_else_is_looked_at_where_it_does_not_train():
    report = looked_at("stumbles", "toy")
    assert list(failures(report)) == ["trains"]
    assert set(answers(report, "not applicable").values()) == {"not reached: trains failed"}


def test_who_may_look_ahead_is_not_blamed():
    report = looked_at("looks-ahead-as-a-control", "toy")
    assert report.ok
    assert answers(report, "note") == {"learns without the future": "it looks ahead, which a control may do"}


def test_what_it_spends_is_told_and_no_failure():
    report = looked_at("spends-much", "toy")
    assert report.ok
    told = answers(report, "note")["keeps the budget"]
    assert told.startswith("it takes 3.0 times the iterations of naive and 3.0 times the samples of naive")


def test_what_it_cannot_do_is_told_with_the_reason():
    report = looked_at("needs-labels", "toy", "toy-task")
    assert report.ok
    on_toy = {one.answer.happened for one in report.results if one.scenario == "toy"}
    assert on_toy == {"needs-labels needs task labels, which toy (class) does not give"}
    with pytest.raises(UsageError, match="needs task labels, which toy"):
        looked_at("needs-labels", "toy")


def test_who_is_refused_everywhere_does_not_pass():
    report = looked_at("refuses", "toy")
    assert not report.built
    assert not report.ok
    assert set(answers(report, "not applicable").values()) == {"refused: mem_size = 5 is not enough for 3 experiences"}
    assert [hint.partition(":")[0] for hint in report.hints] == [
        "it has no docstring",
        "it has no source",
        "its docstring does not tell what mem_size is",
    ]


def test_programs_get_all_of_it():
    reports = [looked_at("holds-a-lock", "toy")]
    (told,) = json.loads(as_json(reports))
    assert (told["strategy"], told["ok"]) == ("holds-a-lock", False)
    failed = [one for one in told["results"] if one["verdict"] == "failed"]
    assert [(one["scenario"], one["check"]) for one in failed] == [("toy", "survives a resume")]
    assert failed[0]["remedy"]
    assert failed[0]["expected"]
