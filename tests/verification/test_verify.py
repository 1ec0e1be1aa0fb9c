"""What is found in a folder of results: nothing where they are sound, and each thing that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.errors import UsageError
from lifelong.records.published import as_lines
from lifelong.records.record import Record
from lifelong.records.store import Store
from lifelong.verification.verify import Verification, verify

Make = Callable[..., Record]


def said(found: Verification, level: str = "fails") -> list[str]:
    return [f"{one.check}: {Path(one.where).name}: {one.what}" for one in found.findings if one.level == level]


def write(folder: Path, *records: Record) -> None:
    for record in records:
        Store(folder, record.board).write(record)


def test_sound_results(everything: Path, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(as_lines(Store(everything, "toy-v1").load()[0].values()))
    for place in (everything, everything / "toy-v1", tmp_path / "p.jsonl", tmp_path):
        found = verify(place)
        assert said(found) == said(found, "open") == []
        assert said(found, "note") == ["coverage: toy-v1: 6 of 6 cells are done, 0 failed, 0 missing"]
        assert found.records == (12 if place == tmp_path else 6)


def test_what_is_no_record(everything: Path) -> None:
    path = next(everything.rglob("*.json"))
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"key": "0" * 64}))
    (everything / "half.json").write_text("{")
    assert {one.split(": ", 1)[1] for one in said(verify(everything)) if one.startswith("schema")} == {
        f"{path.name}: the key is not the hash of the specification",
        "half.json: Invalid JSON: EOF while parsing an object at line 1 column 1",
    }


def test_a_record_in_anothers_place(everything: Path) -> None:
    path = next(everything.rglob("0-*.json"))
    path.rename(path.with_name(path.name.replace("0-", "1-", 1)))
    (only,) = said(verify(everything))
    assert only.startswith(f"keys: 1{path.name[1:]}: belongs at toy-v1/")


def test_a_contradiction(everything: Path, sound: Make) -> None:
    write(everything, sound(learning=[]))
    assert [one.split(": ", 2)[2] for one in said(verify(everything))] == [
        "learning: 0 entries, where 3 trainings leave 3"
    ]


def test_missing_seeds_and_floors(everything: Path, sound: Make) -> None:
    store = Store(everything, "toy-v1")
    store.path(sound("replay", 1).spec).unlink()
    for seed in (0, 1):
        store.path(sound("joint", seed).spec).unlink()
    found = verify(everything)
    assert said(found) == [
        "seeds: toy-v1 · toy · replay: no record of seed 1",
        "floor and ceiling: toy-v1 · toy: no record of joint, the ceiling",
    ]
    assert said(found, "note") == [
        "coverage: toy-v1: 3 of 6 cells are done, 0 failed, 3 missing",
        "coverage: toy-v1 · toy · joint: missing: seeds 0, 1",
        "coverage: toy-v1 · toy · replay: missing: seed 1",
    ]


def test_a_strategy_of_the_board_may_be_left_out(everything: Path, sound: Make) -> None:
    for seed in (0, 1):
        Store(everything, "toy-v1").path(sound("replay", seed).spec).unlink()
    found = verify(everything)
    assert said(found) == []
    assert "coverage: toy-v1 · toy · replay: missing: seeds 0, 1" in said(found, "note")


def test_a_failed_run_is_told(everything: Path, sound: Make) -> None:
    write(everything, sound("replay", 1, status="failed", accuracy=None, error="no\nmore"))
    found = verify(everything)
    assert said(found) == []
    assert "coverage: toy-v1 · toy · replay: seed 1: no" in said(found, "note")


def test_a_seed_that_was_copied(everything: Path, sound: Make) -> None:
    copied, into = sound("replay", 0), sound("replay", 1)
    write(everything, copied.model_copy(update={"spec": into.spec, "key": into.key}))
    (only,) = said(verify(everything))
    assert only.startswith("seeds: toy-v1 · toy · replay: seeds ")
    assert only.endswith("have the same results, bit for bit")


def test_other_data(everything: Path, sound: Make) -> None:
    record = sound("replay", 1)
    write(everything, sound("replay", 1, provenance=record.provenance.model_copy(update={"data_sha256": "ab" * 32})))
    (only,) = said(verify(everything))
    assert only.endswith("made of the data abababababab, and most others of data without a hash")


def test_data_drawn_by_the_seed(everything: Path, sound: Make) -> None:
    def made_of(strategy: str, seed: int, data: str) -> Record:
        told = sound(strategy, seed).provenance.model_copy(update={"data_sha256": data * 32})
        return sound(strategy, seed, provenance=told)

    strategies = ("naive", "joint", "replay")
    write(everything, *(made_of(strategy, seed, f"0{seed}") for strategy in strategies for seed in (0, 1)))
    found = verify(everything)
    assert said(found) == []
    assert "data: toy-v1 · toy: each seed has data of its own, which fits a scenario that draws its data" in said(
        found, "note"
    )
    write(everything, made_of("replay", 1, "ab"))
    (only,) = said(verify(everything))
    assert only.endswith("made of the data abababababab, and most others of the data 010101010101")


def test_mixed_versions_are_a_note(everything: Path, sound: Make) -> None:
    told = sound().provenance
    other = told.model_copy(update={"versions": told.versions | {"torch": "1.0"}})
    write(everything, sound("replay", 1, provenance=other))
    found = verify(everything)
    assert said(found) == []
    assert any(one.startswith("versions: toy-v1: torch: ") and "1.0 (1)" in one for one in said(found, "note"))


def test_an_older_version_of_a_strategy_is_a_note(everything: Path, sound: Make) -> None:
    spec = sound("replay").spec
    old = spec.model_copy(update={"strategy": spec.strategy.model_copy(update={"version": 0})})
    write(everything, sound("replay", spec=old, key=old.key))
    assert "versions: toy-v1: replay is installed in version 1" in said(verify(everything), "note")


def test_open_runs_are_labelled(everything: Path, sound: Make) -> None:
    for seed in (0, 1):
        spec = sound("replay", seed).spec
        strategy = spec.strategy.model_copy(update={"parameters": spec.strategy.parameters | {"mem_size": 7}})
        changed = spec.model_copy(update={"strategy": strategy})
        write(everything, sound("replay", seed, spec=changed, key=changed.key))
    found = verify(everything)
    assert said(found) == []
    assert [one.split(": ", 2)[2] for one in said(found, "open")] == ["mem_size = 7, not 200"] * 2


def test_the_same_run_in_two_places(everything: Path, sound: Make, tmp_path: Path) -> None:
    again = tmp_path / "again.jsonl"
    again.write_text(as_lines([sound()]))
    assert said(verify(tmp_path)) == []
    again.write_text(as_lines([sound(), sound()]))
    assert said(verify(tmp_path)) == ["keys: again.jsonl:2: the same run stands at line 1 already"]
    again.write_text(as_lines([sound(accuracy=[[0.1] * 3, *[[0.9] * 3] * 3])]))
    (only,) = said(verify(tmp_path))
    assert "R differs by up to 0.5 from that of " in only
    (everything / "x.json.conflict-01234567").touch()
    assert any("another result of the same run" in one for one in said(verify(everything)))


def test_a_board_that_is_not_installed(sound: Make, tmp_path: Path) -> None:
    write(tmp_path / "own", *(sound(seed=seed, board="mine") for seed in (0, 1)))
    assert said(verify(tmp_path / "own"), "note") == ["boards: mine: not known here: give its file with --board"]
    (tmp_path / "mine.toml").write_text('scenarios = ["toy"]\nstrategies = ["naive"]\nseeds = 3\n')
    found = verify(tmp_path / "own", [str(tmp_path / "mine.toml")])
    assert "seeds: mine · toy · naive: no record of seed 2" in said(found)


def test_rows_held_against_published_numbers_need_no_floor(sound: Make, tmp_path: Path) -> None:
    write(tmp_path / "own", *(sound("replay", seed, board="mine") for seed in (0, 1)))
    board = tmp_path / "mine.toml"
    board.write_text('scenarios = ["toy"]\nstrategies = ["replay"]\nseeds = 2\n')
    lacking = [
        f"floor and ceiling: mine · toy: no record of {row}" for row in ("naive, the floor", "joint, the ceiling")
    ]
    assert set(lacking) <= set(said(verify(tmp_path / "own", [str(board)])))
    target = '[[targets]]\nscenario = "toy"\nstrategy = "replay"\nvalue = 0.9\ntolerance = 0.1\nsource = "a paper"\n'
    board.write_text(board.read_text() + target)
    found = verify(tmp_path / "own", [str(board)])
    assert not set(lacking) & set(said(found))
    assert set(lacking) <= set(said(found, "note"))


def test_a_board_is_never_taken_from_what_is_verified(sound: Make, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / "own.toml").write_text('scenarios = ["toy"]\nstrategies = ["own.py:x"]\n')
    write(tmp_path, sound(board=str(tmp_path / "own.toml")))
    verify(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_nothing_to_verify(tmp_path: Path) -> None:
    for place, why in ((tmp_path, "no records in"), (tmp_path / "none", "no folder or file")):
        with pytest.raises(UsageError, match=why):
            verify(place)
    (tmp_path / "table.csv").touch()
    with pytest.raises(UsageError, match="the name of a file of records ends in"):
        verify(tmp_path / "table.csv")
