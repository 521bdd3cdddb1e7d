"""The rows of the page: what is proved, on what, how often, and what is broken for the control."""

from __future__ import annotations

from bench.trust import api, calls, chain, counted, gate, logs, searches, suites, worlds
from bench.trust.proof import Proof
from tests.simulation.bugs import BUGS

STORE = "tests/storage/test_store.py"
DEATHS = "tests/proofs/test_storage_kills.py"
CRASHES = "tests/proofs/test_crashes.py tests/proofs/test_every_call.py"
POISON = "tests/proofs/test_everything_ends.py"
GATES = [f"tests/ingest/test_{name}.py" for name in ("hostile", "containment", "extremes", "guards")]
KILLS, ABUSE = "tests/cloud/test_kills.py", "tests/proofs/test_overwrites.py tests/cloud/test_upload_abuse.py"
ROUTES = "tests/cloud/test_openapi.py"
OUTAGE, WALL = "tests/cloud/test_outage.py", "tests/cloud/test_wall_over_http.py"
CLOUD = "the embedded cloud, deployed from the template"
NETWORK = "tests/storage/test_network.py tests/storage/test_lost_replies.py"
SERVERS, MEMORY, GATE = "SeaweedFS, MiniStack", "memory", "the gate's sandbox"

_ROWS = [
    Proof(
        "1", "Conditional writes, listings, versions of every store", "checks", "memory, moto, MiniStack, SeaweedFS",
        60,
        suites.passing(STORE), "a store that creates over what is there",
        suites.with_bug("a store creates over what is there", f"{STORE} -k racing_creators"),
    ),
    Proof(
        "2", "64 writers on one model; 10 % of replies lost, 2 % refused", "calls", SERVERS,
        2 * logs.WRITERS * logs.TURNS,
        logs.contention, "a client that takes a lost reply for a lost race", logs.naive_contention,
    ),
    Proof(
        "3", "Promotes, rollbacks and reads of 4 aliases are linearizable, without asking the log", "operations",
        MEMORY,
        20_000, logs.linearizability, "readers with a cache that is refreshed too seldom", logs.stale_reads,
    ),
    Proof(
        "4", "The store is killed twenty times under 64 writers: nothing that it acknowledged is lost", "cases",
        "SeaweedFS", 2,
        suites.passing(DEATHS), "a store that forgets its newest record", suites.controls(DEATHS),
    ),
    Proof(
        "5", "Death at every call of the store, and at two; the event comes again", "cases", MEMORY, 50,
        suites.passing(CRASHES), "an upload is registered again",
        suites.with_bug("an upload is registered again", "tests/proofs/test_crashes.py"),
    ),
    Proof(
        "5-http",
        "Twenty kills of functions at work, over HTTP: nothing lost, nothing twice, everything ends",
        "cases",
        CLOUD,
        5,
        suites.passing(KILLS),
        "no looks; no keys; a record that is gone",
        suites.controls(KILLS),
    ),
    Proof(
        "6", "Storage events doubled, out of order, lost", "events", MEMORY, 5_000,
        worlds.events, "without end states and without ids of uploads", worlds.events_count_twice,
    ),
    Proof(
        "7", "Uploads that end each check, lost events, outages: each upload ends, and delays nobody", "cases",
        MEMORY, 20,
        suites.passing(POISON), "attempts are not counted", suites.with_bug("attempts are not counted", POISON),
    ),
    Proof(
        "8", "Changed models: a verdict with a reason for each, and what is accepted answers", "models", GATE, 20_000,
        gate.changed_models, "a gate that accepts everything", gate.everything_is_accepted,
    ),
    Proof(
        "9", "Curated attacks: refused with their own code; contained without the scan, too", "cases", GATE, 100,
        suites.passing(" ".join(GATES)), "refusals are not heeded",
        suites.with_bug("refusals are not heeded", "tests/ingest/test_hostile.py"),
    ),
    Proof(
        "10", "Models that others exported pass, and answer as the uploaded file does", "models", GATE, 100,
        gate.benign, "a gate that refuses everything", gate.refuse_everything,
    ),
    Proof(
        "11",
        "Uploads that are altered, replayed, too large, late; a thousand overwrites behind the verdict",
        "cases",
        f"SeaweedFS; {CLOUD}",
        10,
        suites.passing(ABUSE),
        "a gate that reads twice",
        suites.controls(ABUSE),
    ),
    Proof(
        "12", "Requests to every route, sound and odd: as described, no 5xx, nothing of another tenant", "calls",
        "the handlers, memory", 50_000, api.calls, "scopes that permit everything", api.without_scopes,
    ),
    Proof(
        "12-http", "Thousands of requests to every route over HTTP (schemathesis)", "cases", CLOUD, 3,
        suites.passing(ROUTES), "an answer that is not as described", suites.controls(ROUTES),
    ),
    Proof(
        "13", "Any sequence of 50 calls with any fault leaves the specification's state", "sequences", MEMORY, 1_000,
        logs.sequences, "six broken registries", logs.broken_registries,
    ),
    Proof(
        "13-bugs", "Seeded bugs are found out", "bugs", "simulated worlds, tests", len(BUGS),
        worlds.seeded_bugs, "a change that is no bug (red: it is not found)", worlds.no_bug,
    ),
    Proof(
        "14", "Calls on one process, trusted and confined models, a promote each 1,000, evictions", "calls",
        "the handler, memory", 1_000_000, calls.calls, "a leak, and a cache that mixes versions", calls.leaking,
    ),
    Proof(
        "15", "A signed log of 1,000 records, each damaged in five ways", "damages", MEMORY, 5_000,
        lambda count, seed: chain.tampering(count // 5, seed), "records whose links and signatures are not compared",
        chain.blind_verification,
    ),
    Proof(
        "16", "Resets, truncation, latency, SlowDown between the functions and the store", "cases",
        "SeaweedFS, a proxy", 10,
        suites.passing(NETWORK), "a download is not compared with its digest",
        suites.with_bug("a download is not compared with its digest", "tests/serving/test_models.py -k damaged"),
    ),
    Proof(
        "16-http",
        "The store away, slow, refusing, or cut off in its replies, over HTTP",
        "cases",
        f"{CLOUD}, a proxy",
        4,
        suites.passing(OUTAGE),
        "a process that has loaded nothing",
        suites.controls(OUTAGE),
    ),
    Proof(
        "wall-http",
        "Models that got past the gate, over HTTP: an error of their own call",
        "cases",
        CLOUD,
        5,
        suites.passing(WALL),
        "without the wall",
        suites.controls(WALL),
    ),
    Proof(
        "17", "The collector beside writers: interleavings of their calls of the store", "interleavings", MEMORY,
        10_000,
        logs.collection, "three careless ones", logs.careless_collection,
    ),
    Proof(
        "counts", "Calls counted by 50 processes with clocks up to two hours off, kills, lost replies", "calls", MEMORY,
        1_000_000, counted.calls, "a merger that does not know what it has", counted.merged_twice,
    ),
    Proof(
        "days", "Simulated days of the whole product, with every kind of fault", "days", "simulated worlds", 10_000,
        worlds.days, "an upload is registered again", worlds.days_with_a_bug,
    ),
    *(
        Proof(
            f"fuzz-{target}", f"Atheris: {what}", "seconds", "coverage", 600, searches.search(target),
            "a reader that does not bear a NUL", searches.control,
        )
        for target, what in {
            "binary-tensors": "requests with tensors behind their JSON", "manifests": "`amaas.json`",
            "images": "images", "sounds": "sounds", "csv": "CSV files, by both readers",
        }.items()
    ),
]  # fmt: skip
PROOFS = {proof.row: proof for proof in _ROWS}
