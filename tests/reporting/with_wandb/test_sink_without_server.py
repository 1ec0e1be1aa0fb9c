"""Boards without a W&B server, without a key for it, or with a slow one."""

import multiprocessing

import psutil
import pytest

from lifelong.reporting.wandb.access import has_credentials
from lifelong.reporting.wandb.record import run_id
from lifelong.reporting.wandb.sink import WandbSink

KEY = "a" * 40
FOREVER = 3600.0
"""Seconds, beyond what a test may take: who waits that long fails."""


def test_online_without_a_key_is_offline_with_one_warning(make_record, store, directory, context, runs):
    assert not has_credentials()
    records = [make_record(seed=seed) for seed in range(2)]
    sink = WandbSink("online", directory, context=context)
    for path in store(*records):
        sink.send(path)
    (warning,) = sink.close(FOREVER)
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
    sink = WandbSink("online", directory, timeout_s=6, context=context)
    (logger,) = map(psutil.Process, (child.pid for child in multiprocessing.active_children()))
    logger.suspend()
    for path in paths:
        sink.send(path)  # the board goes on, whatever the logger does
    logger.resume()
    (warning,) = sink.close(FOREVER)
    assert warning.startswith("W&B: 4 runs were logged offline instead (")
    assert "records are safe, `lifelong wandb push DIR` sends them later" in warning
    assert set(runs()) == {run_id(record) for record in records}
    # the server was asked once, not for each run
    assert len(list(directory.glob("wandb/run-*"))) <= 1
    assert [path.read_bytes() for path in paths] == before
    assert capfd.readouterr() == ("", "")


def test_a_server_that_never_answers_costs_bounded_time(make_record, store, directory, context, online):
    online.answering.clear()
    paths = store(*(make_record(seed=seed) for seed in range(3)))
    sink = WandbSink("online", directory, timeout_s=FOREVER, context=context)
    for path in paths:
        sink.send(path)
    (warning,) = sink.close(timeout_s=3)
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
