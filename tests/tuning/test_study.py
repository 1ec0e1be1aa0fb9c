"""A study: what is tried first and what next, and what it comes to; the same each time, however often it was left."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.errors import UsageError
from lifelong.records.provenance import provenance
from lifelong.records.record import Record
from lifelong.running.launch import Options
from lifelong.training.job import Job
from lifelong.tuning.outcome import outcome_of
from lifelong.tuning.study import Parameters, Study
from lifelong.tuning.tune import tune

Ask = Callable[..., list[Study]]
Objective = Callable[[Job], float | None]


def record(job: Job, value: float | None) -> Record:
    """What a run has come to; None is a failure."""
    content = {"schema": 1, "key": job.spec.key, "board": job.board, "spec": job.spec, "provenance": provenance("cpu")}
    if value is None:
        return Record.model_validate({**content, "status": "failed", "error": "ValueError: it diverged"})
    return Record.model_validate({**content, "status": "ok", "accuracy": [[0, 0], [1, 0], [value, value]]})


def peak(job: Job) -> float:
    """Best where ewc_lambda is 100 and the mode is online."""
    chosen = job.spec.strategy.parameters
    return math.exp(-abs(math.log10(chosen["ewc_lambda"]) - 2)) * (1.0 if chosen["mode"] == "online" else 0.9)


def tried(study: Study, objective: Objective = peak, most: int = 100) -> list[Parameters]:
    """Make the trials that are missing, or so many of them; what all of them were."""
    while most and (chosen := study.proposal()) is not None:
        study.add(chosen, [record(job, objective(job)) for job in study.runs(chosen)])
        most -= 1
    return [trial.params for trial in study.done]


def test_the_first_trial_is_the_boards_own_parameters(studies: Ask) -> None:
    (study,) = studies()
    assert study.proposal() == {"ewc_lambda": 10.0, "mode": "separate"}
    (job,) = study.runs(study.proposal() or {})
    assert job.spec == study.jobs[0].spec
    assert job.spec.strategy.parameters == {"ewc_lambda": 10.0, "mode": "separate", "decay_factor": 0.9}


def test_a_study_comes_out_the_same_however_often_it_is_left(studies: Ask) -> None:
    whole = tried(studies(trials=14, out="whole")[0])
    assert len(whole) == 14
    assert len({*map(repr, whole)}) > 10
    for count in range(1, 15):  # the study is read anew each time
        assert tried(studies(trials=14, out="parts")[0], most=1) == whole[:count]
    assert studies(trials=14, out="parts")[0].proposal() is None
    assert tried(studies(trials=16, out="parts")[0])[:14] == whole


@pytest.mark.parametrize("cut", [1, 40, 10_000])
def test_a_study_goes_on_after_half_a_line_was_written(studies: Ask, tmp_path: Path, cut: int) -> None:
    whole = tried(studies()[0])
    (file,) = tmp_path.rglob("study-*.journal")
    content = file.read_bytes()
    file.write_bytes(content[:-cut])
    assert len(studies()[0].done) < 6
    assert tried(studies()[0]) == whole


def test_it_searches(studies: Ask) -> None:
    (study,) = studies(trials=30)
    values = [peak(study.runs(chosen)[0]) for chosen in tried(study)]
    by_chance, guided = values[1:10], values[10:]  # the sampler looks around first
    assert sum(guided) / len(guided) > sum(by_chance) / len(by_chance)
    best = outcome_of(study)
    assert best.value == max(values) > 0.9
    assert best.chosen == study.done[values.index(max(values))].params
    assert best.default == values[0]


@pytest.mark.parametrize(
    "change",
    [
        {"without": "[1, 1000]", "with_": "[1, 2000]"},
        {"without": "epochs = 1", "with_": "epochs = 2"},
        {"without": "= 10.0", "with_": "= 20.0"},
        {"seeds": [101]},
        {"seeds": [100, 101]},
        {"protocol": "validation"},
        {"validation": 0.5},
    ],
)
def test_what_is_changed_makes_another_study(studies: Ask, change: dict[str, Any]) -> None:
    (before,) = studies()
    tried(before, most=2)
    (after,) = studies(**change)
    assert after.key != before.key
    assert after.done == []
    assert len(studies()[0].done) == 2


def test_every_strategy_gets_the_same_seeds_and_trials(studies: Ask) -> None:
    edit = {
        "without": "[closed.ewc]",
        "with_": "[set.replay]\nmem_size = 30\n[closed.replay]\nmem_size = [6, 60]\n[closed.ewc]",
    }
    found = studies("naive", "ewc", "replay", seeds=[101, 100], **edit)
    assert [study.trials for study in found if study.space] == [6, 6]
    assert [study.trials for study in found if not study.space] == [1]
    assert {tuple(job.spec.seed for job in study.jobs) for study in found} == {(100, 101)}


def test_of_equal_trials_the_first_is_chosen(studies: Ask) -> None:
    (study,) = studies()
    tried(study, lambda _: 0.5)
    assert outcome_of(study).chosen == study.done[0].params


def test_a_trial_that_fails_is_the_worst_and_the_study_goes_on(studies: Ask) -> None:
    (study,) = studies(seeds=[100, 101])
    tried(study, lambda job: None if job.spec.seed == 101 and job.spec.strategy.parameters["ewc_lambda"] < 50 else 0.0)
    found = outcome_of(study)
    assert 0 < len(found.failures) < found.tried == 6
    assert found.failures[0] == "seed 101: failed: ValueError: it diverged"
    assert found.default is None
    assert found.value == 0.0
    assert (found.chosen or {})["ewc_lambda"] >= 50


def test_where_all_trials_fail_nothing_is_chosen(studies: Ask) -> None:
    (study,) = studies()
    tried(study, lambda _: None)
    found = outcome_of(study)
    assert (found.tried, len(found.failures), found.chosen, found.value) == (6, 6, None, None)


def test_a_trial_is_the_mean_over_its_seeds(studies: Ask) -> None:
    (study,) = studies(seeds=[100, 101])
    tried(study, lambda job: 0.25 if job.spec.seed == 100 else 0.5)
    assert [trial.value for trial in study.done] == [0.375] * 6


def test_names_and_seeds_that_cannot_be_tuned_with_are_refused(studies: Ask) -> None:
    with pytest.raises(UsageError, match="1 is one of the board's own seeds"):
        studies(seeds=[1, 100])
    with pytest.raises(UsageError, match="leaves nothing of replay to choose"):
        studies("replay")
    with pytest.raises(UsageError, match=r"closed.ewc: no parameter of ewc 'mod'; did you mean 'mode'"):
        studies(without="mode =", with_="mod =")
    with pytest.raises(UsageError, match="online-permuted-digits holds no samples out"):
        studies(without='"toy"', with_='"online-permuted-digits"')


@pytest.mark.slow
@pytest.mark.parametrize("finished", [1, 2, 3])
def test_runs_that_are_over_are_not_made_again_after_a_kill(studies: Ask, finished: int) -> None:
    """Two studies of two trials each, stopped after so many runs and taken up again, are those of one go."""

    def stopping(event: Any) -> None:
        if hasattr(event, "record"):
            ended.append(event.record.key)
            if len(ended) == finished:
                raise KeyboardInterrupt

    ended: list[str] = []
    names = ("naive", "ewc")
    options = {"trials": 2, "out": "left"}
    with pytest.raises(KeyboardInterrupt):
        tune(studies(*names, **options), Options(workers=1), stopping)
    tune(studies(*names, **options), Options(workers=1), stopping)
    assert len(ended) == len(set(ended)) == 3
    if finished == 1:
        whole = studies(*names, trials=2, out="whole")
        tune(whole, Options(workers=1), lambda _: None)
        left = studies(*names, **options)
        assert [[(trial.params, trial.value, trial.user_attrs) for trial in study.done] for study in left] == [
            [(trial.params, trial.value, trial.user_attrs) for trial in study.done] for study in whole
        ]
