"""A run that was killed, at whatever moment, and taken up again leaves the record of a run that was not."""

from __future__ import annotations

import os
import pty
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Avalanche is imported where it is used, so that the command itself starts at once. Processes of runs do not see the
# environment of a test, because their server was started before: files tell them what to do.
MORTAL = """
import os, signal, time
from pathlib import Path

from lifelong import strategy
from lifelong.registry import strategies

HERE = Path(__file__).parent


def told(name):
    file = HERE / name
    return file.read_text() if file.exists() else ""


def plugin(name):
    from avalanche.core import SupervisedPlugin

    class Mortal(SupervisedPlugin):
        def before_training_exp(self, strategy, **_):
            while strategy.clock.train_exp_counter == 1 and name in told("held").split():
                time.sleep(0.02)

        def after_training_iteration(self, strategy, **_):
            clock = strategy.clock
            if clock.train_exp_iterations == 7 and str(clock.train_exp_counter) == told("die-in"):
                os.kill(os.getpid(), signal.SIGKILL)

    return Mortal()


def mortal(name):
    entry = strategies.get(name)

    def made(setup):
        strategy = entry(setup, **entry.resolve({}))
        strategy.plugins.append(plugin(name))
        return strategy

    return strategy(name=f"mortal-{name}")(made)


MORTALS = [mortal(name) for name in NAMES]
"""
NAMES = ["naive", "cumulative", "replay", "agem", "gdumb", "er-ace", "der", "ewc", "si", "lwf", "mas"]


def board(folder: Path, names: list[str], seeds: int) -> Path:
    """A board of strategies that die or wait when a file beside it tells them to, and of the floor and the ceiling."""
    (folder / "mortal.py").write_text(MORTAL.replace("NAMES", repr(names)))
    file = folder / "mortals.toml"
    strategies = [f"mortal.py:mortal-{name}" for name in names]
    file.write_text(f'scenarios = ["toy"]\nstrategies = {strategies!r}\nseeds = {seeds}\n[budget]\nepochs = 4\n')
    return file


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_killed_at_two_moments_leaves_the_record_of_an_uninterrupted_one(ask: Any, command: Any) -> None:
    file = board(command.folder, NAMES, seeds=1)
    whole = ask("run", file, "--out", "whole", "--wandb", "off", "--workers", "1")
    assert whole.code == 0, whole.err

    for experience in "12":
        (command.folder / "die-in").write_text(experience)
        killed = ask(
            *("run", file, "--wandb", "off", "--workers", "2", "--checkpoint-every", "0s", "--retry-failed"),
        )
        assert killed.code == 1
        dead = {name for name, record in command.records().items() if not record.ok}
        assert dead == {f"mortal-{name} 0" for name in NAMES}
        assert killed.err.count("killed by SIGKILL") == len(dead)
    assert len(list((command.folder / "results/mortals/.checkpoints").iterdir())) == len(NAMES)

    (command.folder / "die-in").unlink()
    finished = ask("run", file, "--wandb", "off", "--retry-failed")
    assert finished.code == 0, finished.err
    assert command.outcomes() == command.outcomes("whole")
    resumed = {name: record.provenance.resumed for name, record in command.records().items()}
    assert resumed == {"naive 0": 0, "joint 0": 0} | {f"mortal-{name} 0": 2 for name in NAMES}
    assert not list((command.folder / "results/mortals/.checkpoints").iterdir())


def alive(record_folder: Path) -> set[str]:
    """The processes that have an open file below a folder."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink().is_relative_to(record_folder):
                found.add(link.parts[2])
        except OSError:
            pass
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for left processes in /proc")
def test_the_command_killed_then_interrupted_then_run_again_loses_nothing(
    ask: Any, command: Any, executable: str
) -> None:
    file = board(command.folder, ["ewc", "der"], seeds=2)
    arguments = ["run", str(file), "--checkpoint-every", "0s", "--workers", "2"]
    results = command.folder / "results/mortals"

    # both runs of seed 0 wait in their second experience
    (command.folder / "held").write_text("ewc der")
    process = command.start(*arguments, "--wandb", "off")
    while len(list(results.glob(".checkpoints/*.pkl"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 120
    while left := alive(results):
        assert time.monotonic() < deadline, f"processes go on without the command: {left}"
        time.sleep(0.05)
    first = {path: path.read_bytes() for path in results.glob("*/*/*.json")}

    (command.folder / "held").write_text("der")  # now one of them goes on

    def enough() -> bool:
        return len(list(results.glob("*/*/*.json"))) > len(first)

    code, screen = interrupted([executable, *arguments], command.folder, enough)
    assert code == 130
    assert "stopped; what is done is kept" in screen
    assert "Traceback" not in screen
    assert "mortals" in screen
    assert "━" in screen  # a live display on a terminal
    assert "\x1b[?25h" in screen  # the cursor is back

    (command.folder / "held").unlink()
    finished = ask(*arguments, "--wandb", "off")
    assert finished.code == 0, finished.err
    assert all(path.read_bytes() == content for path, content in first.items())
    whole = ask("run", file, "--out", "whole", "--wandb", "off", "--workers", "1")
    assert whole.code == 0, whole.err
    assert command.outcomes() == command.outcomes("whole")
    assert sum(record.provenance.resumed for record in command.records().values()) >= 1


def interrupted(arguments: list[str], folder: Path, enough: Callable[[], bool]) -> tuple[int, str]:
    """Run on a terminal, press Ctrl-C there when it is enough; the exit code and all that was on the screen."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests that run in the background inherit that it is ignored
        os.chdir(folder)
        os.execve(arguments[0], arguments, {**os.environ, "TERM": "xterm", "PYTHONWARNINGS": "default"})
    os.set_blocking(terminal, False)
    screen, pressed = b"", False
    deadline = time.monotonic() + 300
    while True:
        if not pressed and enough():
            pressed = os.write(terminal, b"\x03") == 1
        try:
            screen += os.read(terminal, 1 << 16)
        except BlockingIOError:
            assert time.monotonic() < deadline, "Ctrl-C does not stop it"
            time.sleep(0.02)
        except OSError:  # so a terminal tells that nobody is on it any more
            break
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.decode(errors="replace")
