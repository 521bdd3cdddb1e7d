"""Seeded bugs of the registry: its log, its transitions, the catalog, the collector."""

from __future__ import annotations

from tests.simulation.seeded import Bug

LOG, CATALOG, COLLECT = "shared.registry.log:Log.", "shared.registry.catalog:", "shared.registry.collect:"
FOLD, STATE = "shared.registry.fold:", "shared.registry.state:"
VERIFY, VERSIONS = "shared.registry.verify:", "shared.registry.versions:"
STATEFUL = "tests/proofs/test_stateful.py::test_any_sequence_of_calls_with_any_fault"
LOGS, MOVES = "tests/registry/test_log.py", "tests/registry/test_versions_and_aliases.py"
ORDERS = "tests/proofs/test_collection.py"

REGISTRY = [
    Bug("a record overwrites another", LOG + "_commit", "if_absent=True", "if_absent=False"),
    Bug("a lost race is taken for won", LOG + "append", "_pause(PAUSE * 2 ** min(attempt, 6))", "return after"),
    Bug("a stale head is kept", LOG + "_roll_forward", "self._step(head, last, MAX_STEPS)", "(head, last, False)"),
    Bug("a call is carried out again", LOG + "append", "revision = head.revision_of(change)", "revision = None", LOGS),
    Bug("no marker for the catalog", LOG + "_commit", 'self.store.put(keys.changed(model, revision), b"")', "pass"),
    Bug("the answer is the present state", LOG + "append", "return self.state_at(head, revision)", "return head", LOGS),
    Bug("markers go too early", CATALOG + "compact", "0 < revision <= summaries[name].revision", "0 < revision"),
    Bug(
        "the index is overwritten",
        CATALOG + "compact",
        "if_match=etag",
        "if_match=None",
        "tests/proofs/test_catalog.py",
    ),
    Bug("changed models are not read again", CATALOG + "_changed_models", "revision < max(revisions)", "revision < 0"),
    Bug(
        "an upload is registered again", VERSIONS + "register", "if of_upload(log, head, version.upload):", "if False:"
    ),
    Bug("a version has another's number", VERSIONS + "register", "head.latest + 1", "max(head.latest, 1)"),
    Bug("versions in use are retired", VERSIONS + "retire", "if users:", "if False:", STATEFUL),
    Bug(
        "restoring a version keeps it retired", FOLD + "_version_changes", "number != record.restored", "True", STATEFUL
    ),
    Bug("a rollback leaves its target in the trail", FOLD + "_trail", "positions[-1]]", "positions[-1] + 1]", MOVES),
    Bug("the trail forgets", FOLD + "_trail", "[-TRAIL:]", "[-1:]", STATEFUL),
    Bug("requests outlive a move", FOLD + "_move", "r.alias not in record.aliases", "True", STATEFUL),
    Bug("deletion keeps requests", FOLD + "_apply_members", ', "requests": {}', "", STATEFUL),
    Bug("keys are forgotten at once", FOLD + "_request_ids", "-(REQUEST_IDS - 1) :", "len(head.request_ids) :", LOGS),
    Bug(
        "a record is not compared with the one before",
        FOLD + "fold",
        " or record.previous != head.digest",
        "",
        "tests/registry/test_log.py tests/proofs/test_forgery.py",
    ),
    Bug("an undeleted model stays deleted", FOLD + "_apply_members", '["deleted"] = None', '["edited"] = None'),
    Bug(
        "retired versions may be named",
        STATE + "Head.require_usable",
        "if number in self.retired:",
        "if False:",
        STATEFUL,
    ),
    Bug(
        "who asks may approve, with another token of theirs",
        "shared.registry.approvals:_require_other_person",
        "if ({request.by, *ancestors} & {change.by, *change.ancestors}) - NOBODY:",
        "if False:",
        "tests/registry/test_approvals.py",
    ),
    Bug(
        "two persons are not needed",
        "shared.registry.aliases:require_single_approval",
        "if head.policy(alias).two_person:",
        "if False:",
        STATEFUL,
    ),
    Bug(
        "protected aliases move",
        "shared.registry.aliases:require_may_move",
        "and not change.may_promote",
        "and False",
        STATEFUL,
    ),
    Bug(
        "a cut tail is not missed",
        VERIFY + "verify",
        "problems += witness.missing(max(last.revision, end.revision if end else 0), seen)",
        "pass",
        "tests/registry/test_scrub.py",
    ),
    Bug(
        "the head is not compared",
        VERIFY + "verify",
        "problems += _compare_end(end, last, at_end)",
        "pass",
        "tests/proofs",
    ),
    Bug(
        "a blob is not compared with its digest",
        "shared.registry.blobs:read",
        "if hashlib.sha256(body).hexdigest() != digest:",
        "if False:",
        "tests/registry tests/serving",
    ),
    Bug(
        "a download is not compared with its digest",
        "shared.registry.blobs:download",
        "if actual != digest:",
        "if False:",
        "tests/serving/test_models.py -k damaged",
    ),
    Bug("files beside the model are collected", COLLECT + "_blobs_of", ", *version.files.values()", "", ORDERS),
    Bug("uploaded models are collected", COLLECT + "_blobs_of", "version.source, ", ""),
    Bug("no second look at a blob", COLLECT + "_remove", "present.modified > before or ", "", ORDERS),
    Bug("whatever version of a blob goes", COLLECT + "_remove", ", version=present.version", "", ORDERS),
    Bug(
        "what a deleted model had is collected",
        COLLECT + "_blobs_of",
        ".timestamp() < before",
        ".timestamp() > 0",
        ORDERS,
    ),
    Bug("nothing is collected", COLLECT + "collect", "info.modified < oldest_kept", "False"),
    Bug(
        "an old blob is not written again",
        "shared.registry.blobs:_is_due",
        "or time.time() - present.modified > GRACE / 2",
        "",
        ORDERS,
    ),
    Bug(
        "a model is restored without blobs",
        "shared.registry.models:_is_expired",
        "blobs.GRACE + MARGIN",
        "100 * blobs.GRACE",
        ORDERS,
    ),
    Bug(
        "a head that is behind overwrites",
        "shared.registry.heads:save",
        "if_absent=etag is None, if_match=etag",
        "if_absent=False",
        "tests/registry/test_log.py",
    ),
    Bug(
        "a store creates over what is there",
        "shared.storage.s3:S3Store.put",
        'args |= {"IfNoneMatch": "*"} if if_absent else {"IfMatch": if_match}',
        'args |= {} if if_absent else {"IfMatch": if_match}',
        "tests/storage/test_store.py -k racing_creators",
    ),
]
