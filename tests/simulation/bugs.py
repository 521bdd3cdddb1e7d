"""Every seeded bug is found out: by a world, or by the test beside it.

    python -m tests.simulation.bugs [WORLDS [NAME…]]

prints for each bug the first world that breaks a rule, and which rule; where none of so many does, its test is run with
the bug, and has to fail. It fails where less than 95 % are found.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.servers import ROOT
from tests.simulation import rules
from tests.simulation.__main__ import fix_hashes, run
from tests.simulation.bugs_of_access import JWTS, LIMITS
from tests.simulation.bugs_of_jobs import BATCH, CACHE
from tests.simulation.bugs_of_logs import REGISTRY
from tests.simulation.bugs_of_uploads import INGEST, UPLOADS
from tests.simulation.seeded import Bug, seeded

BUGS = [*REGISTRY, *UPLOADS, *INGEST, *CACHE, *BATCH, *LIMITS, *JWTS]
LONGEST = 600.0  # seconds of a proof, whole: it takes a tenth of that
BESIDE = 3  # tests at a time
SHARE = 0.95  # of the bugs that have to be found
FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)


class Find(NamedTuple):
    """by: a world, a test; what: the rule, or the first test that failed."""

    by: str
    what: str


def named(name: str) -> Bug:
    return next(bug for bug in BUGS if bug.name == name)


def in_worlds(bug: Bug, worlds: int) -> Find | None:
    """The first world that shows the bug, and the rule that it breaks."""
    with seeded(bug):
        for seed in range(worlds):
            try:
                run(seed)
            except rules.Broken as error:
                return Find(f"world {seed}", str(error).partition(":")[0])
            except Exception as error:
                return Find(f"world {seed}", f"{type(error).__name__} of the product: {error}"[:80])
    return None


def in_proof(bug: Bug) -> Find | None:
    """The bug's test, run with the bug: found if it fails. A session that cannot be run is an error."""
    if not bug.proof:
        return None
    command = [sys.executable, "-m", "pytest", "-p", "tests.simulation.seeded", "--seeded-bug", bug.name]
    command += ["-p", "no:cacheprovider", "-n", "0", "-x", "--tb=no", "-m", "not soak", *bug.proof.split()]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST)
    except subprocess.TimeoutExpired:  # threads that wait for one that the bug has ended: a run without it ends
        return Find("test", f"{bug.proof} does not end")
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{bug.proof} cannot be run with {bug.name!r}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Find("test", FAILED.findall(done.stdout)[0]) if done.returncode else None


def find_all(bugs: list[Bug], worlds: int) -> Iterator[tuple[Bug, Find | None]]:
    """Each bug, and what finds it. Where it has a test, worlds are not asked: they leave out what it is about.

    Tests run beside the worlds, in processes of their own.
    """
    with ThreadPoolExecutor(BESIDE) as pool:
        proofs = {bug.name: pool.submit(in_proof, bug) for bug in bugs if bug.proof}
        try:
            for bug in sorted(bugs, key=lambda bug: bool(bug.proof)):
                yield bug, proofs[bug.name].result() if bug.proof else in_worlds(bug, worlds)
        finally:
            pool.shutdown(cancel_futures=True)


def main() -> None:
    fix_hashes("tests.simulation.bugs")
    logging.disable(logging.CRITICAL)
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    chosen = [named(name) for name in sys.argv[2:]] or BUGS
    missed = 0
    for bug, found in find_all(chosen, worlds):
        missed += found is None
        text = f"{found.by}: {found.what}" if found else f"NOT FOUND in {worlds} worlds"
        print(f"{bug.room:9s} {bug.name:48s} {text}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} found")
    sys.exit(len(chosen) - missed < SHARE * len(chosen))


if __name__ == "__main__":
    main()
