"""Seeded bugs of uploads: their states, attempts and looks; and of what checks and registers them."""

from __future__ import annotations

from tests.simulation.seeded import Bug

STATES, ATTEMPTS = "shared.uploads.states:", "shared.uploads.attempts:"
UNFINISHED, INBOX, PIPELINE = "shared.uploads.unfinished:", "shared.uploads.inbox:", "shared.ingest.pipeline:"
ENDS, INTERRUPTED = "tests/proofs/test_everything_ends.py", "tests/proofs/test_interrupted.py"
ARRIVALS = "tests/ingest/test_arrivals.py"
LIFE = "tests/registry/test_uploads.py"

UPLOADS = [
    Bug("an end state is left again", STATES + "update", "upload.state in FINAL", "False"),
    Bug("a state is overwritten", STATES + "_replaced", "if_match=etag", "if_match=None"),
    Bug("an incomplete upload is checked", STATES + "missing_files", "and key not in present", "and False"),
    Bug(
        "a session without a state stays so",
        STATES + "write_session",
        "_create_state(store, session)\n        return",
        "return",
        LIFE,
    ),
    Bug(
        "no marker of an open upload",
        STATES + "_create_state",
        'store.put(keys.unfinished(session.model, session.upload_id), b"")',
        "pass",
    ),
    Bug("a second opening resets the state", STATES + "_create_state", "if_absent=True, ", "", LIFE),
    Bug("a killed check holds its lease", ATTEMPTS + "leased", "now() < upload.lease.until", "True"),
    Bug("attempts are not counted", ATTEMPTS + "begin", "attempts=upload.attempts + 1", "attempts=1"),
    Bug("one attempt is all", ATTEMPTS + "interrupt", "upload.attempts < MAX_ATTEMPTS", "False"),
    Bug("a running check is given up", ATTEMPTS + "begin", " and not leased(upload)", "", INTERRUPTED),
    Bug("markers outlive their uploads", STATES + "update", "_unmark(store, named)", "pass", ENDS),
    Bug(
        "interrupted uploads are left out",
        UNFINISHED + "judge",
        "if entry.upload.state in forms.FINAL:",
        "if entry.upload.state != 'waiting':",
    ),
    Bug("files are waited for, for ever", UNFINISHED + "_incomplete", "opened_for > FILES_WAITED_FOR", "False"),
    Bug(
        "the look forgets what it meets",
        UNFINISHED + "judge",
        'return Judgment("wait")',
        'return Judgment("forget")',
        ENDS,
    ),
    Bug("events have no time to arrive", UNFINISHED + "judge", "else patience)", "else -1.0)", ENDS),
    Bug(
        "a check that runs is begun again",
        UNFINISHED + "judge",
        "if leased(entry.upload) and patience > 0:",
        "if False:",
        ENDS,
    ),
    Bug("one model is in front of all", UNFINISHED + "_places_in_model", "seen[model] += 1", "pass", ENDS),
    Bug("what failed comes first", UNFINISHED + "listed", "return attempts, places", "return -attempts, places", ENDS),
    Bug("the last attempt comes at once", UNFINISHED + "judge", "LAST_ATTEMPT if last else patience", "patience", ENDS),
    Bug("the inbox is not looked at", INBOX + "without_session", "if recent:", "if False:"),
    Bug(
        "each event is an upload",
        INBOX + "open_session",
        "new_id(int(package.modified), mark)",
        "new_id()",
    ),
    Bug(
        "the inbox's tag does not count",
        "shared.uploads.inbox_packages:mark",
        "{info.key}\\n{info.etag.strip(chr(34))}",
        "{info.key}",
        "tests/ingest/test_inbox.py",
    ),
    Bug(
        "what is left of a removed package is one",
        INBOX + "without_session",
        "_is_remainder(store, one, opened.values())",
        "False",
        ARRIVALS,
    ),
    Bug("another manifest is no version", INBOX + "brought", "recorded == dict(digests)", "True", ARRIVALS),
    Bug(
        "a folder that grows is taken",
        "shared.ingest.arrivals:on_quiet",
        "quiet.seen(objects) != folder.seen",
        "False",
        ARRIVALS,
    ),
    Bug(
        "an old marker counts",
        "shared.ingest.arrivals:_is_ready",
        "max(markers) >= max(info.modified for info in objects)",
        "True",
        ARRIVALS,
    ),
]

INGEST = [
    Bug(
        "a full disk is a rejection",
        PIPELINE + "ingest",
        "except Rejected as rejection:",
        "except (Rejected, OSError) as rejection:\n        rejection.code = 'disk'",
    ),
    Bug(
        "an error ends the look", PIPELINE + "check_unfinished", "except Exception:", "except ZeroDivisionError:", ENDS
    ),
    Bug(
        "an outage is a fault of ours",
        PIPELINE + "check_unfinished",
        "except AmaasError as error:",
        "except ZeroDivisionError as error:",
        INTERRUPTED,
    ),
    Bug("files are mixed", PIPELINE + "_fetch", "not inbox.is_unchanged(store, session)", "False", ARRIVALS),
    Bug("the digest is not compared", PIPELINE + "_fetch", "if file.sha256 not in (None, digest):", "if False:"),
    Bug("a push into a deleted model", PIPELINE + "_reject_deleted_model", "if models.reserved(head)", "if False"),
    Bug(
        "an interruption is not noted",
        PIPELINE + "ingest",
        "upload = attempts.interrupt(log.store, session, type(error).__name__)",
        "pass",
        ENDS,
    ),
    Bug(
        "an interruption is not raised",
        PIPELINE + "ingest",
        "                return _ended(upload)\n        raise",
        "                return _ended(upload)\n        return upload",
        INTERRUPTED,
    ),
    Bug(
        "removed files are waited for",
        PIPELINE + "_bring_on",
        'if judgment.action == "expire":',
        'if judgment.action == "never":',
    ),
    Bug(
        "the size is not checked",
        PIPELINE + "_require_size",
        "if total - sizes.get(MANIFEST_FILE, 0) > allowed:",
        "if False:",
        "tests/ingest/test_room.py",
    ),
    Bug(
        "room is not waited for",
        PIPELINE + "_require_room",
        "if total > disk.free:",
        "if False:",
        "tests/ingest/test_room.py",
    ),
    Bug(
        "a copy in the inbox is another version",
        PIPELINE + "_known_version",
        "if version.source == digests.get(MODEL_FILE) and",
        "if False and",
        "tests/ingest/test_inbox.py",
    ),
    Bug(
        "a look begins checks without time",
        PIPELINE + "check_unfinished",
        "if time.monotonic() > deadline:",
        "if False:",
        ENDS,
    ),
    Bug(
        "refusals are not heeded",
        "shared.ingest.supervisor:check_model",
        "size=model.stat().st_size if model else 0,",
        "accepted=True, size=model.stat().st_size if model else 0,",
        "tests/ingest/test_hostile.py",
    ),
]
