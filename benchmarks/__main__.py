"""Measure rows of the table of docs/performance.md, and write it.

    make bench                            # all rows
    make bench ARGS="fid kid"             # these
    make bench ARGS="fid --quick"         # a small size, to try it: prints, and writes nothing

Packages to compare with are in benchmarks/peers.txt, which `make bench` installs into build/peers.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks import results, rows
from benchmarks.machine import Machine
from benchmarks.paired import (
    ROUNDS,
    Case,
    OutputsDiffer,
    Quality,
    Timed,
    compare,
    parity_of,
    seconds_of,
)
from benchmarks.results import Duration, Line, Trained
from benchmarks.scale import Scale

PEERS = Path("build/peers").resolve()
QUICK_ROUNDS = 3


def main() -> None:
    """Measure, write the records, and make the page of all records that there are."""
    sys.path.append(str(PEERS))  # last: a package of the project is never replaced
    arguments = _arguments()
    scale = Scale(arguments.quick)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for row in arguments.rows:
        lines = [_line(make, scale) for make in rows.cases_of(row)]
        if not scale.quick:
            results.write(row, lines)
    if not scale.quick:
        results.update_page(results.all_tables(rows.NAMES))


def _line(
    make: Callable[[Scale], Case | Timed | Quality], scale: Scale
) -> Line | Duration | Trained:
    machine, rounds = Machine.now(), scale.of(ROUNDS, QUICK_ROUNDS)
    try:
        case = make(scale)
    except ImportError as error:
        title = (make.__doc__ or make.__name__).splitlines()[0]
        line: Line | Duration | Trained = Line(
            title, str(error.name), 1.0, machine, None, str(error)
        )
    else:
        line = _measured(case, machine, rounds)
    print(results.summary(line), flush=True)
    return line


def _measured(
    case: Case | Timed | Quality, machine: Machine, rounds: int
) -> Line | Duration | Trained:
    if isinstance(case, Timed):
        return Duration(case.work, case.limit, machine, seconds_of(case, rounds))
    if isinstance(case, Quality):
        return Trained(case.work, case.metric, machine, parity_of(case))
    names = ("work", "against", "goal", "note", "operations", "precision")
    known = {name: getattr(case, name) for name in names}
    try:
        return Line(machine=machine, comparison=compare(case, rounds), **known)
    except OutputsDiffer as error:
        return Line(machine=machine, comparison=None, failure=f"outputs differ: {error}", **known)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(rows.NAMES))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(rows.NAMES)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}: there are {', '.join(rows.NAMES)}")
    arguments.rows = arguments.rows or list(rows.NAMES)
    return arguments


if __name__ == "__main__":
    main()
