"""Records sent to W&B once, and once more where that is needed."""

import json

import pytest

from lifelong.errors import UsageError
from lifelong.reporting.wandb.push import push
from lifelong.reporting.wandb.record import log_record, run_id
from lifelong.reporting.wandb.sink import Courier

KEY = "a" * 40


@pytest.fixture
def records(make_record):
    return [make_record(seed=seed) for seed in range(3)]


def ids(records):
    return [run_id(record) for record in records]


def test_a_second_push_sends_nothing(records, directory, online):
    first = push(records, mode="online", directory=directory)
    assert (first.sent, first.already, first.warnings) == (3, 0, [])
    again = push(records, mode="online", directory=directory)
    assert (again.sent, again.already) == (0, 3)
    assert online.started() == ids(records)
    assert push(records, mode="online", directory=directory, again=True).sent == 3
    assert online.started() == ids(records) * 2


def test_what_has_changed_is_sent_again(records, make_record, directory):
    failed = make_record(seed=0, accuracy=None, status="failed", error="Traceback")
    assert run_id(failed) == run_id(records[0])
    push([failed], mode="offline", directory=directory)
    assert push(records, mode="offline", directory=directory).sent == 3
    assert push(records, mode="offline", directory=directory).sent == 0
    assert push([failed], mode="offline", directory=directory).sent == 1  # W&B shows the other one
    assert push(records[:1], mode="offline", directory=directory).sent == 1


def test_an_older_view_is_made_anew(records, directory, monkeypatch):
    monkeypatch.setattr("lifelong.reporting.wandb.ledger.VERSION", 1)
    push(records[:1], mode="offline", directory=directory)
    assert push(records[:1], mode="offline", directory=directory).already == 1
    monkeypatch.setattr("lifelong.reporting.wandb.ledger.VERSION", 2)
    assert push(records[:1], mode="offline", directory=directory).sent == 1


def test_each_target_has_its_own_list(records, directory, online):
    one = records[:1]
    targets = [{"project": "one"}, {"project": "two"}, {"project": "one", "entity": "team"}]
    for target in targets:
        assert push(one, mode="online", directory=directory, **target).sent == 1
    assert push(one, mode="offline", directory=directory, project="one").sent == 1
    for target in targets:
        assert push(one, mode="online", directory=directory, **target).already == 1
    entities = [sent["entity"] for name, sent in online.asked if name == "UpsertBucket" and sent.get("displayName")]
    assert entities == [None, None, "team"]


def test_an_interrupted_push_goes_on_where_it_was(records, directory, online, monkeypatch):
    """The run that was under way is sent as a whole, under the same id."""
    started = []

    def interrupted(record, **more):
        started.append(record)
        if len(started) == 2:
            raise KeyboardInterrupt
        return log_record(record, **more)

    monkeypatch.setattr("lifelong.reporting.wandb.push.log_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        push(records, mode="online", directory=directory)
    pushed = push(records, mode="online", directory=directory)
    assert (pushed.sent, pushed.already) == (2, 1)
    assert online.started() == ids(records)
    assert started == [records[0], records[1], records[1], records[2]]


def test_a_server_that_refuses_in_the_middle_is_not_asked_further(records, directory, online):
    online.refuses = lambda operation: operation == "UpsertBucket" and len(set(online.started())) > 1
    pushed = push(records, mode="online", directory=directory, timeout_s=60)
    assert pushed.sent == 1
    (warning,) = pushed.warnings
    assert warning.startswith("W&B: 2 of 3 runs were not sent (")
    assert set(online.started()) == set(ids(records[:2]))
    online.refuses = lambda _: False
    assert push(records, mode="online", directory=directory).sent == 2


def test_a_damaged_list_costs_only_time(records, directory):
    push(records, mode="offline", directory=directory)
    ledger = directory / "wandb" / "pushed.jsonl"
    lines = ledger.read_bytes().splitlines()
    assert {json.loads(line)["run"] for line in lines} == set(ids(records))
    ledger.write_bytes(b"\n".join([lines[0], b"[[[", b'{"run": 1}', b"\xff\x00", lines[1][:50]]))
    assert push(records, mode="offline", directory=directory).already == 1


def test_what_a_board_has_logged_is_not_pushed_again(records, directory, store):
    courier = Courier("offline", directory)
    for path in store(*records[:2]):
        assert courier.deliver(path).outcome == "logged"
    pushed = push(records, mode="offline", directory=directory)
    assert (pushed.sent, pushed.already) == (1, 2)


def test_a_push_makes_the_same_run_again(records, directory, read_back):
    one = records[0]
    push([one], mode="offline", directory=directory)
    first = read_back(one)
    push([one], mode="offline", directory=directory, again=True)
    second = read_back(one)
    assert first.file != second.file
    assert (first.config, first.rows, first.summary.keys()) == (second.config, second.rows, second.summary.keys())


def test_a_long_push_says_how_far_it_is(records, directory):
    push(records[:1], mode="offline", directory=directory)
    told = []
    push(records, mode="offline", directory=directory, advanced=told.append)
    assert told == [1, 2, 3]


def test_push_asks_a_dead_server_once(records, directory, monkeypatch):
    with pytest.raises(UsageError, match="no API key"):
        push(records, mode="online", directory=directory)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    (warning,) = push(records, mode="online", directory=directory, timeout_s=1).warnings
    assert warning.startswith("W&B: 3 of 3 runs were not sent (")
