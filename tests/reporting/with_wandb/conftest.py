"""A W&B server that is not there, one that is, and what the real wandb leaves in a folder."""

import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import wandb

from lifelong.reporting.wandb.record import run_id

KEY = "a" * 40
DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_wandb_of_ours(monkeypatch, tmp_path):
    """No setting, key or folder of whoever runs the tests, and no server either."""
    for name in list(os.environ):
        if name.startswith("WANDB_") or name == "NETRC":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("WANDB_DIR", str(home))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(home / "cache"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(home / "config"))
    monkeypatch.setenv("WANDB_BASE_URL", DEAD)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    yield
    wandb.teardown()  # wandb reads the environment once for each process


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "logs"


@pytest.fixture
def store(tmp_path):
    """Write records as a board does; the paths that a sink is sent."""

    def write(*records):
        paths = [tmp_path / "results" / f"{record.key[:12]}.json" for record in records]
        for path, record in zip(paths, records, strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_text(record.to_json())
        return paths

    return write


@pytest.fixture(scope="module")
def context():
    """A fresh interpreter for each sink, so that it sees the test's environment; a fork server keeps its own."""
    return multiprocessing.get_context("spawn")


@pytest.fixture
def runs(directory):
    """The offline runs' log files by run id, the last one where there are several."""

    def found():
        files = sorted(directory.glob("wandb/offline-run-*/run-*.wandb"))
        return {file.stem.removeprefix("run-"): file for file in files}

    return found


class Logged:
    """A run's log file as wandb itself reads it: its entries by type, and the state that they add up to."""

    def __init__(self, file):
        self.file = file
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        self.entries = {}
        for entry in map(json.loads, lines):
            self.entries.setdefault(entry["type"], []).append(entry[entry["type"]])
        (self.run,) = self.entries["run"]
        self.exit_code = self.entries["exit"][0]["exit_code"]
        self.config = self.run["config"]["update"]
        del self.config["_wandb"]
        self.summary = {name: value for part in self.entries["summary"] for name, value in part["update"].items()}

    @property
    def rows(self):
        return [
            {name: value for name, value in row["item"].items() if not name.startswith("_")}
            for row in self.entries.get("history", [])
        ]

    @property
    def steps(self):
        return [row["item"]["_step"] for row in self.entries.get("history", [])]

    def table(self, name):
        return json.loads((self.file.parent / "files" / self.summary[name]["path"]).read_text())


@pytest.fixture
def read_back(runs):
    return lambda record: Logged(runs()[run_id(record)])


@pytest.fixture
def wait_until():
    def wait(condition, timeout_s=240):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait


@dataclass
class Carried:
    """An artifact of one file."""

    content: bytes
    kind: str = "record"
    file: str = "record.json"
    size: int | None = None
    """That it tells, instead of its own."""
    reference: str | None = None
    """Where it says that it lies."""

    @property
    def told(self):
        return len(self.content) if self.size is None else self.size


class WandbServer(ThreadingHTTPServer):
    """The least of a W&B server that lets runs be logged, listed and read; it keeps what it is sent."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked = []
        """The GraphQL operations with their variables, and the other requests' paths with their bodies."""
        self.answering = threading.Event()
        self.answering.set()
        self.refuses = lambda _: False
        self.carried = {}
        """By run id: the name that it shows, and its artifacts."""

    def names(self):
        return [name for name, _ in self.asked]

    def started(self):
        """The ids of the runs, each time that one starts."""
        return [sent["name"] for name, sent in self.asked if name == "UpsertBucket" and sent.get("displayName")]

    def carry(self, run, content, *, shown="a run", **more):
        """Have a run with one more artifact."""
        self.carried.setdefault(run, (shown, []))[1].append(Carried(content, **more))

    def handle_error(self, *_):
        """A client that hangs up is no error."""


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/graphql":
            request = json.loads(body)
            operation = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])[1]
            variables = request.get("variables") or {}
            self.server.asked.append((operation, variables))
            self.server.answering.wait()
            if self.server.refuses(operation):
                self._send(403, b'{"errors": [{"message": "permission denied"}]}')
            else:
                answers = _logging(self.server, variables) | _reading(self.server, variables)
                self._send(200, json.dumps({"data": answers.get(operation, {})}).encode())
        else:
            self.server.asked.append((self.path, body))
            self._send(200, self._stored())

    def do_GET(self):
        self.do_POST()

    def do_PUT(self):
        self.do_POST()

    def _stored(self):
        """The content of `/stored/RUN/NUMBER`."""
        place = self.path.removeprefix("/stored/").split("/")
        if place[0] not in self.server.carried:
            return b"{}"
        return self.server.carried[place[0]][1][int(place[1])].content

    def _send(self, status, content):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _logging(server, variables):
    """What a run that is logged asks, and a view that is saved."""
    project = {"id": "p", "name": variables.get("project"), "entity": {"id": "e", "name": "entity"}}
    bucket = {"id": "b", "name": variables.get("name"), "displayName": "", "sweepName": None, "project": project}
    files = [{"name": name, "uploadUrl": f"{server.url}/{name}"} for name in variables.get("files") or []]
    sequence = {"id": "s", "latestArtifact": {"id": "a", "versionIndex": 0}}
    return {
        "UpsertBucket": {"upsertBucket": {"bucket": bucket | {"historyLineCount": 0}, "inserted": True}},
        "CreateRunFiles": {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}},
        "CreateArtifact": {
            "createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": sequence}}
        },
        "ArtifactType": {"project": {"artifact": None}},
        "Viewer": {"viewer": {"id": "u", "entity": "entity", "username": "user", "flags": "{}"}},
        "ServerFeaturesQuery": {"serverInfo": {"features": []}},
        "GetDefaultEntity": {"viewer": {"id": "u", "entity": "entity"}},
        "UpsertView2": {"upsertView": {"view": {"id": "v", "name": variables.get("name")}, "inserted": True}},
    }


def _reading(server, variables):
    """What is asked by whoever lists runs, and reads their artifacts."""
    runs = [_run(name, shown) for name, (shown, _) in server.carried.items()]
    artifacts = server.carried.get(variables.get("run"), ("", []))[1]
    told = [_artifact(variables.get("run"), number, one) for number, one in enumerate(artifacts)]
    listed = _connection(runs) | {"totalCount": len(runs)}
    return {
        "Runs": {"project": {"internalId": "1", "runCount": len(runs), "readOnly": True, "runs": listed}},
        "RunOutputArtifacts": {"project": {"run": {"artifacts": _connection(told) | {"totalCount": len(told)}}}},
        "ArtifactMembershipFiles": {
            "project": {
                "artifactCollection": {
                    "__typename": "ArtifactSequence",
                    "artifactMembership": {"files": _connection(_files(server, variables))},
                }
            }
        },
    }


def _connection(nodes):
    edges = [{"node": node, "cursor": str(number)} for number, node in enumerate(nodes)]
    return {"edges": edges, "pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}}


def _run(name, shown):
    fields = dict.fromkeys(("sweepName", "commit", "description", "notes", "group", "jobType"))
    times = {"createdAt": "2026-01-02T03:04:05Z", "heartbeatAt": "2026-01-02T03:04:05Z"}
    return {
        **fields,
        **times,
        "id": name,
        "name": name,
        "displayName": shown,
        "state": "finished",
        "tags": [],
        "user": {},
    }


def _artifact(run, number, carried):
    project = {"id": "p", "internalId": "1", "name": "project", "entity": {"name": "entity"}}
    return {
        "__typename": "Artifact",
        "id": f"{run}-{number}",
        "artifactSequence": {"__typename": "ArtifactSequence", "name": f"{carried.kind}-{run}", "project": project},
        "versionIndex": number,
        "artifactType": {"name": carried.kind},
        **dict.fromkeys(("description", "metadata", "historyStep", "commitHash", "updatedAt")),
        "ttlDurationSeconds": -1,
        "ttlIsInherited": True,
        "tags": [],
        "state": "COMMITTED",
        "size": carried.told,
        "digest": "d",
        "digestAlgorithm": None,
        "fileCount": 1,
        "createdAt": f"2026-01-02T03:04:{number:02d}Z",
        "aliases": [],
    }


def _files(server, variables):
    run = (variables.get("collection") or "").partition("-")[2]
    if run not in server.carried:
        return []
    number = int(variables["alias"].removeprefix("v"))
    carried = server.carried[run][1][number]
    file = {
        "__typename": "File",
        "id": "f",
        "name": carried.file,
        "url": carried.reference or f"{server.url}/artifacts/{run}/{number}",
        "sizeBytes": carried.told,
        **dict.fromkeys(("storagePath", "mimetype", "updatedAt", "digest", "md5")),
        "directUrl": carried.reference or f"{server.url}/stored/{run}/{number}",
    }
    return [file]


@pytest.fixture
def server():
    with WandbServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.answering.set()
        server.shutdown()


@pytest.fixture
def online(server, monkeypatch):
    """A W&B server, and a key for it."""
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    return server
