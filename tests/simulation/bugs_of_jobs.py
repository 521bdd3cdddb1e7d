"""Seeded bugs of the cache of sessions, and of batch jobs."""

from __future__ import annotations

from tests.simulation.seeded import Bug

KEPT = "shared.serving.kept:Kept."
MODELS, TESTS = "shared.serving.models:Models.", "tests/serving/test_models.py"
STALE = "tests/serving/test_stale.py"
WORK, TRIED, RUNS = "shared.jobs.batch.work:", "shared.jobs.batch.attempts:Attempts.", "shared.jobs.batch.runs:"
JOB, PLAN, PROGRESS = "shared.jobs.batch.job:", "shared.jobs.batch.plan:", "shared.jobs.batch.progress:"
DEATHS, ONCE = "tests/jobs_batch/test_attempts.py", "tests/jobs_batch/test_exactly_once.py"
WRITTEN = "tests/jobs_batch/test_written_once.py"

CACHE = [
    Bug("a resolved alias is kept for ever", MODELS + "resolve", "< self._ttl:", "< 1e9:", TESTS),
    Bug("no state is kept", MODELS + "resolve", "if head.revision:", "if False:", TESTS),
    Bug("unknown names are kept", MODELS + "resolve", "if head.revision:", "if True:", TESTS),
    Bug("an older state denies what is new", MODELS + "resolve", "with suppress(NotFound):", "if True:", TESTS),
    Bug("stale for ever", MODELS + "_resolve_stale", "stale > self._max_stale", "False", STALE),
    Bug("numbers are stale after a while", MODELS + "_resolve_stale", "not is_number and", "", STALE),
    Bug("an outage denies a version", MODELS + "_resolve_stale", "raise error from None", "raise", STALE),
    Bug("stale answers do not say so", MODELS + "_resolve_stale", "split_key, int(stale))", "split_key, None)", STALE),
    Bug(
        "sessions by model alone",
        MODELS + "load",
        "session_key = identity(model, version)",
        "session_key = (model,)",
        TESTS,
    ),
    Bug("manifests are not told apart", "shared.serving.kept:identity", " version.manifest,", "", TESTS),
    Bug(
        "files are not told apart",
        "shared.serving.kept:identity",
        ", *version.files, *version.files.values()",
        "",
        "tests/serving/test_identity.py",
    ),
    Bug(
        "every thread loads",
        MODELS + "_session",
        "self._loading.setdefault(key, _Load(threading.Lock()))",
        "_Load(threading.Lock()); self._loading[key] = load",
        TESTS,
    ),
    Bug("a load is not forgotten", MODELS + "_session", "del self._loading[key]", "pass", TESTS),
    Bug("the newest goes first", KEPT + "make_room", "popitem(last=False)", "popitem(last=True)", TESTS),
    Bug("use does not count", KEPT + "get", "self._entries.move_to_end(key)", "pass", TESTS),
    Bug("nothing is evicted", KEPT + "make_room", "while total > self.capacity", "while False", TESTS),
    Bug("memory is not given back", KEPT + "make_room", "memory.trim()", "pass", TESTS),
    Bug(
        "a withdrawn version is served",
        MODELS + "_permitted",
        'withdrawn.check(manifest.name or "this model", version.version, manifest.gate)',
        "pass",
        "tests/serving/test_withdrawn.py",
    ),
    Bug(
        "a refusal is forgotten",
        MODELS + "_open",
        "self._refused[identity(model, version)] = refusal",
        "pass",
        "tests/serving/test_vouching.py",
    ),
    Bug("sleep goes unnoticed", MODELS + "forget", "self._heads.clear()", "pass", TESTS),
    Bug(
        "without a permit",
        "shared.serving.sources:Permit.wait",
        "if not self._granted:",
        "if False:",
        "tests/serving/test_withdrawn.py",
    ),
]

BATCH = [
    Bug("a chunk is done again", WORK + "process", "limit=1).objects:", "limit=1).objects and False:", WRITTEN),
    Bug("outputs are overwritten", WORK + "_write_output", "if_absent=True, ", "", WRITTEN),
    Bug("incomplete outputs", WORK + "_write_output", "if len(lines) != chunk.count:", "if False:", WRITTEN),
    Bug("a cancelled run goes on", WORK + "process", "if jobs.is_cancelled(store, job.id, run):", "if False:", ONCE),
    Bug(
        "an input's error stops the others",
        WORK + "predict_line",
        "except AmaasError as error:",
        "except ZeroDivisionError as error:",
        "tests/jobs_batch",
    ),
    Bug(
        "a fault of ours stops the others",
        WORK + "predict_line",
        "except Exception:",
        "except ZeroDivisionError:",
        WRITTEN,
    ),
    Bug(
        "the model's end is not tried twice",
        WORK + "_twice",
        "except (Unavailable, Crashed):\n        return predict_line(item, predict)",
        "except (Unavailable, Crashed):\n        raise",
        "tests/jobs_batch",
    ),
    Bug("the time is used up", WORK + "_Predicting.answer", "self._remaining() < RESERVE", "False", WRITTEN),
    Bug("a killer is tried for ever", TRIED + "begin", ">= DEATHS", ">= 10**9", DEATHS),
    Bug("one death is enough", TRIED + "begin", ">= DEATHS", ">= 1", DEATHS),
    Bug("ranges are not halved", TRIED + "_width", "min(killed) // 2", "min(killed)", DEATHS),
    Bug("ranges do not grow again", TRIED + "_width", "2 * self._last_part or rest", "1", DEATHS),
    Bug("parts are lost", TRIED + "store_part", "if not lines:", "if True:", DEATHS),
    Bug("a part is overwritten", TRIED + "store_part", "if_absent=True, ", "", WRITTEN),
    Bug("another run's deaths count", TRIED + "begin", " and mark.run == self._run", "", DEATHS),
    Bug("an end by itself is a death", TRIED + "close", 'self._end("over")', "pass", DEATHS),
    Bug("refusals are not counted", TRIED + "refused", "if before + 1 >= REFUSALS:", "if False:", DEATHS),
    Bug("a run is begun twice", JOB + "begin_run", "if_absent=True, ", "", "tests/jobs_batch/test_runs.py"),
    Bug("an end is overwritten", JOB + "end_run", "if_absent=True, ", "", WRITTEN),
    Bug(
        "the first run is the last",
        JOB + "last_run",
        "number = max(started)",
        "number = min(started)",
        "tests/jobs_batch",
    ),
    Bug(
        "a dead run goes on",
        RUNS + "_death",
        'return None if execution.running else f"its execution {execution.status}"',
        "return None",
        "tests/jobs_batch/test_dead_runs.py",
    ),
    Bug(
        "a run that was never begun goes on",
        RUNS + "_death",
        "if age(run.started_at) > GRACE else None",
        "if False else None",
        "tests/jobs_batch/test_dead_runs.py",
    ),
    Bug(
        "a done job is started",
        RUNS + "start",
        "if summary and len(progress.list_finished(store, job.id)) == summary.chunks:",
        "if False:",
        "tests/jobs_batch/test_runs.py",
    ),
    Bug(
        "a running job is started",
        RUNS + "start",
        "if not last.cancelled and _goes_on(machine, job, last):",
        "if False:",
        "tests/jobs_batch/test_runs.py",
    ),
    Bug(
        "a cancelled execution goes on",
        RUNS + "cancel",
        "machine.stop(job.id, last.number)",
        "pass",
        WRITTEN,
    ),
    Bug("the plan is made again", PLAN + "create", "if_absent=True, ", "", ONCE),
    Bug(
        "a chunk is one input short",
        PLAN + "_group_spans",
        "stop, count = start + length, count + 1",
        "stop, count = start, count + 1",
        "tests/jobs_batch",
    ),
    Bug("inputs are numbered anew", PLAN + "_numbered", "first += chunk.count", "pass", "tests/jobs_batch"),
    Bug(
        "a failed run is done",
        PROGRESS + "finish_run",
        "summary.chunks - len(list_finished(store, job.id)) if summary else None",
        "0",
        WRITTEN,
    ),
    Bug("a page begins again", PROGRESS + "_failures", "skip = 0\n    return", "pass\n    return", "tests/jobs_batch"),
]
