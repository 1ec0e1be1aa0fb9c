"""Tells whether W&B can be reached, without asking a server where that is possible, and why not."""

from __future__ import annotations

import contextlib
import netrc
import os
import sys
from collections.abc import Collection
from pathlib import Path

from lifelong.errors import UsageError

NO_KEY = "no API key; run 'wandb login' or set WANDB_API_KEY"


def has_credentials() -> bool:
    """Return whether wandb may be able to log in: with a key or a token in the environment, or a netrc file.

    No server is asked. The key in the file may be for another host; wandb finds that out by itself.
    """
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    named = os.environ.get("NETRC")
    files = [Path(named).expanduser()] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    return any(_hosts(file) for file in files if file.is_file())


def _hosts(file: Path) -> Collection[str]:
    try:
        return netrc.netrc(file).hosts
    except (OSError, netrc.NetrcParseError):
        return ()


def split_project(path: str) -> tuple[str, str]:
    """Split `ENTITY/PROJECT` into its two names.

    >>> split_project("team/lifelong")
    ('team', 'lifelong')

    Raises:
        UsageError: if it is not of that form.
    """
    entity, slash, project = path.strip("/").partition("/")
    if not (entity and slash and project) or "/" in project:
        raise UsageError(f"{path!r}: write a W&B project as ENTITY/PROJECT, as in its address")
    return entity, project


def reason(error: BaseException) -> str:
    """Return the first line of an error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def server_is_away(error: BaseException) -> bool:
    """Return whether the next request would fail in the same way: no network, no key, no permission."""
    import wandb

    return isinstance(error, wandb.errors.Error | TimeoutError)


def forget_runs() -> None:
    """End wandb's helper process: it holds the id of a run that did not start, or did not end."""
    if "wandb" in sys.modules:
        import wandb

        with contextlib.suppress(Exception):  # the helper may be what has crashed
            wandb.teardown()
