"""Seeded bugs: each is a change of one function's text that a run must find out. They show that the rules can fail.

    python -m tests.simulation.bugs [WORLDS]

prints for each bug the first world that breaks a rule, and which rule; it fails where none does.
"""

from __future__ import annotations

import inspect
import logging
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple

from shared.ingest import pipeline
from shared.registry import blobs, catalog, collect, models, versions
from shared.registry.log import Log
from shared.uploads import states
from tests.simulation import rules
from tests.simulation.__main__ import run


class Bug(NamedTuple):
    """text and changed: of the function's source; the text is there once."""

    name: str
    function: Callable[..., Any]
    text: str
    changed: str


BUGS = [
    Bug("a record overwrites another", Log._commit, "if_absent=True", "if_absent=False"),
    Bug("a lost race is taken for won", Log.append, "_pause(PAUSE * 2 ** min(attempt, 6))", "return after"),
    Bug(
        "a stale head is not rolled forward",
        Log._roll_forward,
        "self._step(head, last, MAX_STEPS)",
        "self._step(head, last, 0)[:2] + (False,)",
    ),
    Bug("a call is carried out again", Log.append, "if head.revision_of(change) is not None:", "if False:"),
    Bug("no marker for the catalog", Log._commit, 'self.store.put(keys.changed(model, revision), b"")', "pass"),
    Bug(
        "markers go before they are covered",
        catalog.compact,
        "0 < revision <= summaries[name].revision",
        "0 < revision",
    ),
    Bug("the catalog's index is overwritten", catalog.compact, "if_match=etag", "if_match=None"),
    Bug(
        "an upload is registered again",
        versions.register,
        "if of_upload(log, head, version.upload):\n            return None",
        "pass",
    ),
    Bug("a version has the number of another", versions.register, "head.latest + 1", "max(head.latest, 1)"),
    Bug("an end state is left again", states.advance, "if upload.state in FINAL:", "if False:"),
    Bug("a state is overwritten", states.advance, "if_match=present.etag", "if_match=None"),
    Bug("an incomplete upload is checked", states.missing_files, "and key not in present", "and False"),
    Bug(
        "no state for a session that was there",
        states._write,
        "session = read_session(store, session.upload_id)",
        "return read_session(store, session.upload_id)",
    ),
    Bug("interrupted uploads are left out", states.list_stalled, "state not in FINAL", "state == 'waiting'"),
    Bug("uploads without an event are left out", states.list_stalled, "state not in FINAL", "state == 'checking'"),
    Bug("an error ends the look", pipeline.check_unfinished, "except Exception:", "except ZeroDivisionError:"),
    Bug("the announced digest is not compared", pipeline._fetch, "if file.sha256 not in (None, digest):", "if False:"),
    Bug(
        "a full disk is a rejection",
        pipeline.ingest,
        "except Rejected as rejection:",
        "except (Rejected, OSError) as rejection:\n        rejection.code = 'disk'",
    ),
    Bug("the inbox is not looked at", pipeline._inbox_without_event, "recent = ", "recent = False and "),
    Bug(
        "each event of the inbox is an upload",
        states.open_inbox_session,
        "upload = new_id(modified, mark)",
        "upload = new_id(modified)",
    ),
    Bug("a push into a deleted model", pipeline._reject_deleted_model, "if models.reserved(head)", "if False"),
    Bug("files beside the model are collected", collect._blobs_of, ", *version.files.values()", ""),
    Bug("uploaded models are collected", collect._blobs_of, "version.source, ", ""),
    Bug("a blob is collected without a second look", collect._remove, "present.modified > before or ", ""),
    Bug("an old blob is not written again", blobs.write, "or time.time() - present.modified > GRACE / 2", ""),
    Bug("blobs of a restored model", models._is_expired, "blobs.GRACE + MARGIN", "100 * blobs.GRACE"),
    Bug("nothing is collected", collect.collect, "info.modified < oldest_kept", "False"),
]


@contextmanager
def seeded(bug: Bug) -> Iterator[None]:
    """The product with a bug in it. Only the code is exchanged: it is there whoever has imported the function."""
    function = inspect.unwrap(bug.function)
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bug.text) == 1, f"{bug.name}: the text is there {source.count(bug.text)} times: write it anew"
    scope = dict(function.__globals__)
    exec(compile(source.replace(bug.text, bug.changed), f"<{bug.name}>", "exec"), scope)
    before, function.__code__ = function.__code__, scope[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = before


def breaks(bug: Bug, worlds: int) -> tuple[int, str] | None:
    """The first world that shows the bug, and the rule that it breaks."""
    with seeded(bug):
        for seed in range(worlds):
            try:
                run(seed)
            except rules.Broken as error:
                return seed, str(error).partition(":")[0]
            except AssertionError as error:
                return seed, f"an assertion of the product: {error}"
    return None


def main() -> None:
    logging.disable(logging.CRITICAL)
    worlds, missed = (int(sys.argv[1]) if len(sys.argv) > 1 else 200), 0
    for bug in BUGS:
        broken = breaks(bug, worlds)
        missed += broken is None
        print(
            f"{bug.name:45s} " + (f"world {broken[0]}: {broken[1]}" if broken else f"NOT FOUND in {worlds}"), flush=True
        )
    print(f"{len(BUGS) - missed} of {len(BUGS)} found")
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
