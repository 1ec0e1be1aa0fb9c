"""Boards without a W&B server, without a key for it, or with a slow one."""

import multiprocessing
import time

import pytest

from lifelong.reporting.wandb.access import has_credentials
from lifelong.reporting.wandb.record import run_id
from lifelong.reporting.wandb.sink import WandbSink

KEY = "a" * 40


def test_online_without_a_key_is_offline_with_one_warning(make_record, store, directory, context, runs):
    assert not has_credentials()
    records = [make_record(seed=seed) for seed in range(2)]
    start = time.monotonic()
    sink = WandbSink("online", directory, context=context)
    for path in store(*records):
        sink.send(path)
    (warning,) = sink.close(60)
    assert time.monotonic() - start < 30
    assert "no API key" in warning
    assert set(runs()) == {run_id(record) for record in records}


@pytest.mark.parametrize("key", [KEY, "short"])
def test_online_without_a_server_is_offline_with_one_warning(
    make_record, store, directory, context, monkeypatch, capfd, key, runs
):
    monkeypatch.setenv("WANDB_API_KEY", key)
    records = [make_record(seed=seed) for seed in range(4)]
    paths = store(*records)
    before = [path.read_bytes() for path in paths]
    start = time.monotonic()
    sink = WandbSink("online", directory, timeout_s=2, context=context)
    for path in paths:
        sink.send(path)
    assert time.monotonic() - start < 2  # the board goes on
    (warning,) = sink.close(60)
    assert time.monotonic() - start < 30  # the server was asked once, not for each run
    assert warning.startswith("W&B: 4 runs were logged offline instead (")
    assert "records are safe, `lifelong wandb push DIR` sends them later" in warning
    assert set(runs()) == {run_id(record) for record in records}
    assert [path.read_bytes() for path in paths] == before
    assert capfd.readouterr() == ("", "")


def test_a_server_that_never_answers_costs_bounded_time(make_record, store, directory, context, online):
    online.answering.clear()
    paths = store(*(make_record(seed=seed) for seed in range(3)))
    sink = WandbSink("online", directory, timeout_s=300, context=context)
    for path in paths:
        sink.send(path)
    start = time.monotonic()
    (warning,) = sink.close(timeout_s=3)
    assert time.monotonic() - start < 8
    assert warning.startswith("W&B: 3 runs were not logged (the server took longer than 3 s)")
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("content", "expected"), [("machine api.example.org login user password " + KEY, True), ("not netrc", False)]
)
def test_credentials_are_found_in_netrc(monkeypatch, tmp_path, content, expected):
    file = tmp_path / "netrc"
    file.write_text(content)
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    assert has_credentials() is expected
