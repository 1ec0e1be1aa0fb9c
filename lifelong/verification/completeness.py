"""Checks a board's records together: no copies, all seeds, the same data, the same versions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

from lifelong.boards.plan import Plan
from lifelong.records.agreement import difference
from lifelong.records.record import Record
from lifelong.records.sources import Located
from lifelong.registry import strategies
from lifelong.verification.closed import Division
from lifelong.verification.finding import Finding

Placed = Sequence[tuple[Record, Located]]
"""Records, each with the place where it lies."""


def on_board(name: str, placed: Placed, plan: Plan | None) -> list[Finding]:
    """Return what is found when a board's records are looked at together.

    Args:
        name: the name of the board.
        placed: its records.
        plan: the board's plan, compared with these records; None where the board is not known.

    Raises:
        UsageError: if the board's closed ranges name a strategy or a parameter that does not exist.
    """
    records = list({record.key: record for record, _ in placed}.values())
    findings = [*_twice(placed), *_copied(name, records), *_data(name, placed), *_versions(name, records)]
    if plan is not None:
        division = Division(plan.board, tuple(plan.cells))
        findings += [*_open(placed, division), *_missing(plan, division), *_coverage(plan)]
    return findings


def _twice(placed: Placed) -> Iterator[Finding]:
    """Yield runs that lie in one file twice, or that have different results in several files.

    The same run may lie in several files with the same result.
    """
    first: dict[str, tuple[Record, Located]] = {}
    for record, located in placed:
        known, other = first.setdefault(record.key, (record, located))
        if located is other:
            continue
        if located.path == other.path:
            yield Finding("keys", located.where, f"the same run stands at line {other.line} already")
        if record.status == known.status and (apart := difference(record, known)):
            yield Finding("conflicts", located.where, f"R differs by up to {apart:.3g} from that of {other.where}")


def _copied(name: str, records: Sequence[Record]) -> Iterator[Finding]:
    """Yield records of different seeds whose numbers all agree, losses included: one of them must be a copy."""
    seen: dict[Hashable, Record] = {}
    for record in records:
        if not record.ok or all(entry.online_loss is None for entry in record.learning):
            continue
        result = (_row(record), str(record.accuracy), str([entry.online_loss for entry in record.learning]))
        other = seen.setdefault(result, record)
        if other.spec.seed != record.spec.seed:
            both = f"seeds {other.spec.seed} and {record.spec.seed} have the same results, bit for bit"
            yield Finding("seeds", _who(name, record), both)


def _row(record: Record) -> str:
    """Return the specification without its seed: records that share it stand in one row of a table."""
    return record.spec.model_copy(update={"seed": 0}).canonical


def _who(board: str, record: Record) -> str:
    return f"{board} · {record.spec.scenario.name} · {record.spec.strategy.name}"


def _data(name: str, placed: Placed) -> Iterator[Finding]:
    """Yield records whose scenario was made of other data than the rest.

    A scenario with the same parameters has the same data in all runs; or the same for each seed, where it draws them.
    """
    groups: dict[str, list[tuple[Record, Located]]] = defaultdict(list)
    for record, located in placed:
        if record.ok:
            groups[record.spec.scenario.model_dump_json()].append((record, located))
    for group in groups.values():
        seeds: dict[str | None, set[int]] = defaultdict(set)
        for record, _ in group:
            seeds[record.provenance.data_sha256].add(record.spec.seed)
        if len(set.union(*seeds.values())) == 1 or any(len(sharing) > 1 for sharing in seeds.values()):
            yield from _other_data(group)
            continue
        where = f"{name} · {group[0][0].spec.scenario.name}"
        yield Finding("data", where, "each seed has data of its own, which fits a scenario that draws its data", "note")
        for seed in sorted(set.union(*seeds.values())):
            yield from _other_data([(record, located) for record, located in group if record.spec.seed == seed])


def _other_data(placed: Placed) -> Iterator[Finding]:
    """Yield the records that were made of other data than most."""
    usual, _ = Counter(record.provenance.data_sha256 for record, _ in placed).most_common(1)[0]
    for record, located in placed:
        if (data := record.provenance.data_sha256) != usual:
            yield Finding("data", located.where, f"made of {_brief(data)}, and most others of {_brief(usual)}")


def _brief(digest: str | None) -> str:
    return "data without a hash" if digest is None else f"the data {digest[:12]}"


def _versions(name: str, records: Sequence[Record]) -> Iterator[Finding]:
    """Note versions that differ between the records, and strategies that are installed in another version."""
    libraries: dict[str, Counter[str]] = defaultdict(Counter)
    methods: dict[str, Counter[int]] = defaultdict(Counter)
    for record in records:
        for library, version in record.provenance.versions.items():
            libraries[library][version] += 1
        methods[record.spec.strategy.name][record.spec.strategy.version] += 1
    for what, counts in (libraries | methods).items():
        if len(counts) > 1:
            used = ", ".join(f"{version} ({count})" for version, count in counts.most_common())
            yield Finding("versions", name, f"{what}: {used}", "note")
    for method, versions in methods.items():
        entry = strategies.all().get(method)
        if entry is not None and set(versions) - {entry.version}:
            yield Finding("versions", name, f"{method} is installed in version {entry.version}", "note")


def _open(placed: Placed, division: Division) -> Iterator[Finding]:
    """Yield the open runs, each with what the board does not allow."""
    for record, located in placed:
        if outside := division.outside(record.spec):
            yield Finding("closed ranges", located.where, "; ".join(outside), "open")


def _missing(plan: Plan, division: Division) -> Iterator[Finding]:
    """Yield seeds that a row of the tables lacks, and a floor or a ceiling without any record."""
    board = plan.board
    there = [record for record in plan.records.values() if division.on_the_board(record.spec)]
    rows: dict[str, list[Record]] = defaultdict(list)
    for record in there:
        rows[_row(record)].append(record)
    for group in rows.values():
        if absent := sorted(set(board.seeds) - {record.spec.seed for record in group}):
            yield Finding("seeds", _who(board.name, group[0]), f"no record of {_seeds(absent)}")
    scenarios = {record.spec.scenario.name for record in there}
    present = {(record.spec.scenario.name, record.spec.strategy.name) for record in there}
    compared = {scenario for scenario, _ in present - {(target.scenario, target.strategy) for target in board.targets}}
    absent_rows = {(cell.scenario.name, cell.strategy.name): cell for cell in plan.cells if cell.state == "missing"}
    for (scenario, strategy), cell in absent_rows.items():
        if scenario in scenarios and (scenario, strategy) not in present and cell.strategy.role in ("floor", "ceiling"):
            where, why = f"{board.name} · {scenario}", f"no record of {strategy}, the {cell.strategy.role}"
            # Rows that are compared with published targets only need neither floor nor ceiling.
            yield Finding("floor and ceiling", where, why, "fails" if scenario in compared else "note")


def _coverage(plan: Plan) -> Iterator[Finding]:
    """Note how many cells are done, and which have failed or are missing."""
    states = Counter(cell.state for cell in plan.cells)
    possible = states.total() - states["impossible"]
    done = f"{states['done']} of {possible} cells are done, {states['failed']} failed, {states['missing']} missing"
    yield Finding("coverage", plan.board.name, done, "note")
    missing: dict[str, list[int]] = defaultdict(list)
    for cell in plan.cells:
        if cell.state == "missing":
            missing[f"{plan.board.name} · {cell.scenario.name} · {cell.strategy.name}"].append(cell.seed)
        if cell.state == "failed" and cell.record is not None:
            yield Finding(
                "coverage", _who(plan.board.name, cell.record), f"seed {cell.seed}: {cell.record.reason}", "note"
            )
    for row, seeds in missing.items():
        yield Finding("coverage", row, f"missing: {_seeds(seeds)}", "note")


def _seeds(seeds: Sequence[int]) -> str:
    return ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds))
