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
from shared.uploads import attempts, inbox, states, unfinished
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
    Bug("a stale head is kept", Log._roll_forward, "self._step(head, last, MAX_STEPS)", "(head, last, False)"),
    Bug("a call is carried out again", Log.append, "revision = head.revision_of(change)", "revision = None"),
    Bug("no marker for the catalog", Log._commit, 'self.store.put(keys.changed(model, revision), b"")', "pass"),
    Bug("markers go too early", catalog.compact, "0 < revision <= summaries[name].revision", "0 < revision"),
    Bug("the index is overwritten", catalog.compact, "if_match=etag", "if_match=None"),
    Bug("an upload is registered again", versions.register, "if of_upload(log, head, version.upload):", "if False:"),
    Bug("a version has another's number", versions.register, "head.latest + 1", "max(head.latest, 1)"),
    Bug("an end state is left again", states.update, "upload.state in FINAL", "False"),
    Bug("a state is overwritten", states._replaced, "if_match=etag", "if_match=None"),
    Bug("an incomplete upload is checked", states.missing_files, "and key not in present", "and False"),
    Bug(
        "a session without a state stays so",
        states.write_session,
        "_create_state(store, session)\n        return",
        "return",
    ),
    Bug(
        "no marker of an open upload",
        states._create_state,
        'store.put(keys.unfinished(session.model, session.upload_id), b"")',
        "pass",
    ),
    Bug("a killed check holds its lease", attempts.leased, "now() < upload.lease.until", "True"),
    Bug("attempts are not counted", attempts.begin, "attempts=upload.attempts + 1", "attempts=1"),
    Bug("one attempt is all", attempts.interrupt, "upload.attempts < MAX_ATTEMPTS", "False"),
    Bug(
        "a full disk is a rejection",
        pipeline.ingest,
        "except Rejected as rejection:",
        "except (Rejected, OSError) as rejection:\n        rejection.code = 'disk'",
    ),
    Bug(
        "interrupted uploads are left out",
        unfinished.judge,
        "if entry.upload.state in states.FINAL:",
        "if entry.upload.state != 'waiting':",
    ),
    Bug("files are waited for, for ever", unfinished._incomplete, "opened_for > FILES_WAITED_FOR", "False"),
    Bug("an error ends the look", pipeline.check_unfinished, "except Exception:", "except ZeroDivisionError:"),
    Bug("the look forgets what it meets", unfinished.judge, 'return Judgment("wait")', 'return Judgment("forget")'),
    Bug("the digest is not compared", pipeline._fetch, "if file.sha256 not in (None, digest):", "if False:"),
    Bug("the inbox is not looked at", inbox.without_session, "if recent:", "if False:"),
    Bug(
        "each event is an upload",
        inbox.open_session,
        "_known_id(store, model, mark) or new_id(int(modified), mark)",
        "new_id()",
    ),
    Bug("a push into a deleted model", pipeline._reject_deleted_model, "if models.reserved(head)", "if False"),
    Bug("files beside the model are collected", collect._blobs_of, ", *version.files.values()", ""),
    Bug("uploaded models are collected", collect._blobs_of, "version.source, ", ""),
    Bug("no second look at a blob", collect._remove, "present.modified > before or ", ""),
    Bug("an old blob is not written again", blobs.write, "or time.time() - present.modified > GRACE / 2", ""),
    Bug("a model is restored without blobs", models._is_expired, "blobs.GRACE + MARGIN", "100 * blobs.GRACE"),
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
