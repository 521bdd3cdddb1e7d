"""The wall: what a model can do in its process is an error of its own call, and nothing is to be had there."""

from __future__ import annotations

import gc
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from shared import deadline
from shared.errors import TooLarge, Unavailable
from shared.runtime import confined, exchange, zygotes
from shared.runtime.confined import Confined
from shared.runtime.runners import Crashed, TimedOut
from shared.runtime.signature import OutOfMemory, Unloadable
from tests.runtime import probing, sessions
from tests.runtime.sessions import confine
from tests.support import linear

ROOT = Path(__file__).resolve().parents[2]
TOO_LONG = 10**12  # of rounds
X = np.array([[3, 4]], np.float32)


def answers(session: Confined) -> bool:
    return session.run(None, {"x": X})[0].tolist() == [[3.0]]


@pytest.fixture
def bystander() -> Confined:
    """Another model of the same process."""
    return confine(linear([[1.0], [0.0]]))


@pytest.fixture
def deaths() -> list[str]:
    return []


def test_a_model_that_dereferences_null(bystander: Confined, deaths: list[str]) -> None:
    session = confine(sessions.dereferences_null(), on_death=deaths.append)
    for _ in range(3):
        with pytest.raises(Crashed, match=r"crashed \(SIGSEGV\) on this input; no other call is affected"):
            session.run(None, {"x": np.ones(3, np.float32)})
    assert deaths == ["SIGSEGV"] * 3
    assert answers(bystander)


def test_a_model_that_divides_what_cannot_be_divided(bystander: Confined, deaths: list[str]) -> None:
    session = confine(sessions.divides(), on_death=deaths.append)
    first = session.pid
    with pytest.raises(Crashed, match="SIGFPE"):
        session.run(None, {"x": np.array([-(2**63)]), "by": np.array([-1])})
    assert (deaths, session.pid) == (["SIGFPE"], None)
    assert session.run(None, {"x": np.array([7]), "by": np.array([2])})[0].tolist() == [3]
    assert session.pid not in (first, None)
    assert answers(bystander)


def test_a_model_without_end_is_ended_at_the_deadline(bystander: Confined, deaths: list[str]) -> None:
    session = confine(sessions.repeats(), on_death=deaths.append)
    x = np.zeros(1, np.float32)
    with deadline.within(0.3), pytest.raises(TimedOut, match=r"not ready within the 0\.3 s that were left"):
        session.run(None, {"x": x, "times": np.array(TOO_LONG)})
    assert deaths == ["deadline"]
    with deadline.within(60):
        assert session.run(None, {"x": x, "times": np.array(5)})[0].tolist() == [5]
    assert answers(bystander)


def test_who_waits_for_a_turn_waits_until_the_deadline_only() -> None:
    session, x = confine(sessions.repeats()), np.zeros(1, np.float32)
    outcomes: list[Exception] = []

    def run_long() -> None:
        with deadline.within(3):
            try:
                session.run(None, {"x": x, "times": np.array(TOO_LONG)})
            except TimedOut as error:
                outcomes.append(error)

    thread = threading.Thread(target=run_long)
    thread.start()
    while not session._lock.locked():
        time.sleep(0.01)
    with deadline.within(0.1), pytest.raises(TimedOut, match="another call"):
        session.run(None, {"x": x, "times": np.array(1)})
    assert outcomes == []
    thread.join()
    assert len(outcomes) == 1


def test_an_answer_that_is_too_large_is_counted_before_it_is_sent(bystander: Confined) -> None:
    session = confine(sessions.grows())
    count = exchange.ANSWER_BYTES // 4 + 1
    with pytest.raises(TooLarge, match=f"takes {count * 4:,} bytes.*send fewer or smaller inputs"):
        session.run(["y"], {"shape": np.array([count])})
    assert session.run(["n"], {"shape": np.array([count])})[0].tolist() == [0]
    assert answers(bystander)


def test_inputs_that_are_too_large() -> None:
    x = np.lib.stride_tricks.as_strided(np.zeros(2, np.float32), (2**27, 2), (0, 4))  # a gibibyte, and no memory
    with pytest.raises(TooLarge, match="send fewer inputs"):
        confine(linear([[1.0], [0.0]])).run(None, {"x": x})


def test_memory_of_a_large_call_is_given_back() -> None:
    session = confine(sessions.grows())
    small = {"shape": np.array([1])}
    session.run(["n"], small)
    before = resident(session)
    session.run(["n"], {"shape": np.array([60 << 20])})  # 240 MiB of zeros
    session.run(["n"], small)
    assert resident(session) - before < 32 << 20
    session.run(["y"], {"shape": np.array([40 << 20])})  # and 160 MiB of an answer
    assert len(session._held[0].area[:0]) == 0
    session.run(["n"], small)
    assert resident(session) - before < 32 << 20


def resident(session: Confined) -> int:
    """Bytes of the runner, what it shares included."""
    return int(Path(f"/proc/{session.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_model_that_is_no_more_used_takes_no_process() -> None:
    session = confine(linear([[1.0], [0.0]]))
    pid = session.pid
    assert pid is not None
    del session
    wait_until_gone(pid)


def test_files_are_closed() -> None:
    confine(linear([[1.0], [0.0]]))
    gc.collect()  # what other tests have left
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        confine(linear([[1.0], [0.0]]))
        with pytest.raises(Unloadable):
            confine(b"no model")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_zygote_may_die(bystander: Confined) -> None:
    assert answers(bystander)
    zygote = zygotes.zygote().pid
    os.kill(zygote, signal.SIGKILL)
    os.waitid(os.P_PID, zygote, os.WEXITED | os.WNOWAIT)  # then its runners have got their signal, too
    with suppress(Unavailable):  # where the runner had its signal, but was not gone yet
        answers(bystander)
    assert answers(bystander)


@pytest.fixture(params=[None, zygotes.Cutting()], ids=["model", "tokenizer"])
def probed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict]]:
    """What a runner sees, whose zygote looks around; started by a process with a secret in its environment."""
    secret = f"canary-{secrets.token_hex(16)}-end"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_SESSION_TOKEN", secret[::-1][::-1])
    monkeypatch.setattr(zygotes, "ZYGOTE", "tests.runtime.probing")
    monkeypatch.setattr(zygotes, "_zygotes", [])

    def look() -> dict:
        with pytest.raises(Unloadable) as report:
            confine(b"x", replace(sessions.ORDER, cutting=request.param))
        return dict(json.loads(str(report.value)))

    yield look
    for zygote in zygotes._zygotes:
        zygote.close()


def test_there_is_no_secret_in_a_runner(probed: Callable[[], dict]) -> None:
    maps = os.open("/proc/self/maps", os.O_RDONLY)
    assert probing.searched_memory(maps) != []  # where it is, it is found
    os.close(maps)
    seen = probed()
    assert seen["canaries"] == []
    own = {"PYTHONPATH", "LC_CTYPE"}  # the interpreter sets the last one itself where no locale is set
    assert set(seen["environment"]) <= {*zygotes.INHERITED, *zygotes.ONE_THREAD, *own}


def test_the_search_finds_what_is_there() -> None:
    """In a process that was started with its environment, which is where the interpreter never looks again."""
    env = os.environ | {"AWS_SECRET_ACCESS_KEY": f"canary-{secrets.token_hex(16)}-end", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-m", "tests.runtime.probing"], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "[stack]" in json.loads(process.stdout)


def test_a_runner_can_compute_and_nothing_else(probed: Callable[[], dict]) -> None:
    seen = probed()
    assert seen["allowed"] == []
    # input, output and errors, which are /dev/null; its socket; the area and the model, as mapped; its own statistics
    assert len(seen["descriptors"]) == 7


def test_without_the_filter_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator of another processor has no filter, for one."""
    monkeypatch.setattr(zygotes, "ZYGOTE", "tests.runtime.unfiltered")
    monkeypatch.setattr(zygotes, "_zygotes", [])
    try:
        with pytest.raises(Unavailable, match="RequireSystemCallFilter=false"):
            confine(linear([[1.0], [0.0]]))
        session = confine(linear([[1.0], [0.0]]), zygotes.Order(1, True, sessions.MEMORY, filtered=False))
        assert (session.filtered, answers(session)) == (False, True)
    finally:
        for zygote in zygotes._zygotes:
            zygote.close()


def test_what_a_killed_process_leaves(tmp_path: Path) -> None:
    """A runner in an endless loop, and its zygote, end with the process that started them, however that ends."""
    code = (
        "import numpy as np, threading, time\nfrom shared.runtime import zygotes\nfrom tests.runtime import sessions\n"
        "session = sessions.confine(sessions.repeats())\n"
        f"feeds = {{'x': np.zeros(1, np.float32), 'times': np.array({TOO_LONG})}}\n"
        "threading.Thread(target=session.run, args=(None, feeds)).start()\n"
        "print(session.pid, zygotes.zygote().pid, flush=True)\n"
        "time.sleep(3600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    process.kill()
    process.wait()
    process.stdout.close()
    for pid in pids:
        wait_until_gone(pid)


def wait_until_gone(pid: int) -> None:
    """Or a zombie, whose memory is given back."""
    deadline = time.monotonic() + 300
    while True:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.01)


def test_memory_at_loading() -> None:
    order = zygotes.Order(1, mapped=False, memory=16 << 20, filtered=True)
    with pytest.raises((OutOfMemory, Crashed)):
        confine(linear([[1.0] * 4_000_000, [0.0] * 4_000_000]), order)


def test_words_of_a_runner_are_not_those_of_an_error_that_is_logged() -> None:
    """One that was taken over says what it likes; of an error of ours the log has the words."""
    error = confined._error(exchange.Failure("OutOfMemory", "stolen " * 300))
    assert isinstance(error, OutOfMemory) and "stolen" not in str(error)
