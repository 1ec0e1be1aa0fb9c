"""Sends records to W&B: nothing is sent twice, and what was interrupted goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lifelong.errors import UsageError
from lifelong.records.record import Record
from lifelong.reporting.wandb.access import NO_KEY, forget_runs, has_credentials, reason, server_is_away
from lifelong.reporting.wandb.ledger import Ledger, Target
from lifelong.reporting.wandb.record import PROJECT, TIMEOUT_S, Mode, log_record


@dataclass(frozen=True)
class Pushed:
    """What came of a push."""

    sent: int
    already: int
    """How many were there before, with the same content."""
    warnings: list[str]
    """Why some were not sent, a sentence for each reason."""


def _unheard(_: int) -> None:
    pass


def push(
    records: Collection[Record],
    *,
    mode: Mode,
    directory: Path,
    project: str = PROJECT,
    entity: str | None = None,
    protocols: Mapping[str, str] | None = None,
    again: bool = False,
    timeout_s: float = TIMEOUT_S,
    advanced: Callable[[int], None] = _unheard,
) -> Pushed:
    """Send records that this target does not have yet; a run that is there with other content is replaced.

    An upload counts from when it is finished: one that was interrupted is made again as a whole, under the same id.
    Once the server turns out to be away, it is not asked again.

    Args:
        records: of any boards.
        mode, directory, project, entity: as for `log_record`; the folder also holds the list of uploads.
        protocols: by the name of the scenario.
        again: whether to send also what is there already.
        timeout_s: as for `log_record`.
        advanced: is called after each record, with the number of records that are done.

    Raises:
        UsageError: if `mode` is online and there is no API key.
    """
    if mode == "online" and not has_credentials():
        raise UsageError(f"W&B: {NO_KEY}, or write files only with --offline")
    ledger = Ledger(directory, Target.of(mode, project, entity))
    waiting = [record for record in records if again or record not in ledger]
    already = len(records) - len(waiting)
    log = partial(log_record, mode=mode, directory=directory, project=project, entity=entity, timeout_s=timeout_s)

    def send(record: Record) -> None:
        log(record, protocol=(protocols or {}).get(record.spec.scenario.name))
        ledger.add(record)

    lost = _send_all(waiting, send, lambda done: advanced(already + done))
    warnings = [f"W&B: {n} of {len(waiting)} runs were not sent ({why})" for why, n in lost.items()]
    return Pushed(len(waiting) - lost.total(), already, warnings)


def _send_all(
    records: Sequence[Record], send: Callable[[Record], None], advanced: Callable[[int], None]
) -> Counter[str]:
    """Send records one by one, until the server is away.

    Returns:
        How many were not sent, by the reason.
    """
    lost: Counter[str] = Counter()
    for done, record in enumerate(records):
        advanced(done)
        try:
            send(record)
        except Exception as error:
            forget_runs()
            if server_is_away(error):
                lost[reason(error)] += len(records) - done
                break
            lost[reason(error)] += 1
    advanced(len(records))
    return lost
