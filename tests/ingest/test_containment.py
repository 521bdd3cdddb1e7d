"""With the static scan off, the other layers of defense hold alone: whatever a model does, there is a verdict."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from shared.ingest.verdict import Limits
from tests.ingest import corpus
from tests.ingest.conftest import Gate, cpu_of_children
from tests.support import linear

BARE = {"scan": False, "sandbox": False}


@pytest.mark.parametrize(
    ("attack", "codes"),
    [
        (corpus.sizes.expand, {"memory_limit"}),
        (corpus.sizes.shape_input, {"memory_limit", "shape_bomb"}),
        (corpus.sizes.constant_of_shape, {"memory_limit"}),
        (corpus.endless.foldable_products, {"cpu_limit"}),
        (corpus.endless.billion_laughs, {"cpu_limit", "memory_limit"}),
        (corpus.malformed.nameless_variadic_input, {"crashed"}),
    ],
)
def test_contained_without_the_scan(gate: Gate, attack: object, codes: set[str]) -> None:
    with cpu_of_children() as spent:
        verdict = gate(corpus.ATTACKS[attack.__name__].build(), limits=Limits(cpu=1, wall=600, **BARE))
    assert not verdict.accepted
    assert verdict.code in codes, verdict.reason
    assert spent() < 10  # seconds: the limit, the worker's imports, and its start
    assert verdict.runtime.get("seccomp") is not True


def test_endless_loop_is_stopped_by_the_clock(gate: Gate) -> None:
    verdict = gate(corpus.endless.loop_nearly_without_end(), limits=Limits(wall=2, scan=False))
    assert (verdict.accepted, verdict.code) == (False, "wall_limit")
    assert verdict.seconds >= 2


def test_endless_loop_is_stopped_by_its_cpu_time(gate: Gate) -> None:
    verdict = gate(corpus.endless.loop_nearly_without_end(), limits=Limits(cpu=1, scan=False))
    assert (verdict.accepted, verdict.code) == (False, "cpu_limit")


@pytest.mark.parametrize("walls", [{"sandbox": False}, {}], ids=["empty folder alone", "with the filter"])
def test_no_file_is_read_through_the_model(gate: Gate, tmp_path: Path, walls: dict[str, bool]) -> None:
    """A name relative to the working folder is what ONNX Runtime still follows: the worker's folder is gone."""
    canary = tmp_path / "canary.bin"
    canary.write_bytes(b"\x00\x00\x80\x3f" * 4)
    for location in (str(canary), os.path.relpath(canary), "etc/passwd"):
        verdict = gate(corpus.with_weights(location), limits=Limits(scan=False, **walls))
        assert (verdict.accepted, verdict.code) == (False, "invalid_graph"), location
        assert verdict.optimized is None


def test_the_calling_process_cannot_be_read_meanwhile() -> None:
    """Where no filter holds, the worker still must not find the function's credentials in /proc."""
    code = (
        "import ctypes, os\nfrom shared.runtime import sandbox\n"
        "dumpable = lambda: ctypes.CDLL(None).prctl(3)\n"
        "before = dumpable()\n"
        "with sandbox.unreadable():\n    assert dumpable() == 0\n"
        "assert dumpable() == before\nprint('closed')"
    )
    assert _python(code) == "closed"


FORBIDDEN = {
    "open": "open('/etc/passwd')",
    "create": "open('/tmp/amaas-made-by-a-model', 'w')",
    "socket": "socket.socket()",
    "fork": "os.fork()",
    "exec": "os.execv('/bin/true', ['true'])",
    "kill": "os.kill(os.getppid(), 0)",
    "link": "os.link('/etc/passwd', '/tmp/amaas-link')",
    "rename": "os.rename('/tmp/a', '/tmp/b')",
    "unlink": "os.unlink('/tmp/a')",
    "list": "os.listdir('/')",
    "memory of others": "refused(syscall(310, os.getppid(), 0, 0, 0, 0, 0))",
    "ptrace": "refused(syscall(101, 16, os.getppid(), 0, 0))",
    "executable memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
}


def test_the_filter_refuses_all_but_computing() -> None:
    """One confined process tries everything; each try must end in EPERM, and computing must go on."""
    code = (
        "import ctypes, mmap, os, socket, threading\nfrom shared.runtime import sandbox\n"
        "libc = ctypes.CDLL(None, use_errno=True)\nsyscall = libc.syscall\n"
        "def refused(result):\n    raise PermissionError if (result, ctypes.get_errno()) == (-1, 1) else RuntimeError\n"
        "assert sandbox.filter_system_calls()\n"
        f"for name, attempt in {FORBIDDEN!r}.items():\n"
        "    try:\n        eval(attempt)\n"
        "    except PermissionError:\n        print(name)\n"
        "sums = []\nthread = threading.Thread(target=sums.append, args=(sum(range(1000)),))\n"
        "thread.start()\nthread.join()\nassert sums == [499500]"
    )
    assert _python(code).splitlines() == list(FORBIDDEN)


def test_resources_are_bounded_for_good() -> None:
    code = (
        "import resource\nfrom shared.runtime import sandbox\n"
        "sandbox.limit_resources(512 << 20, 5)\n"
        "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    print('memory')\n"
        "try:\n    open('/dev/null'), [open('/dev/null') for _ in range(64)]\nexcept OSError:\n    print('files')\n"
        "print(resource.getrlimit(resource.RLIMIT_CPU)[0] <= 8, resource.getrlimit(resource.RLIMIT_CORE))"
    )
    assert _python(code).splitlines() == ["memory", "files", "True (0, 0)"]


def test_the_worker_dies_with_its_parent() -> None:
    code = (
        "import os, sys\nfrom shared.runtime import sandbox\n"
        "child = os.fork()\n"
        "if child == 0:\n    sandbox.die_with_parent()\n    os.write(1, b'%d' % os.getpid())\n"
        "    import time\n    time.sleep(3600)\n    os._exit(1)\n"
        "import time\ntime.sleep(0.3)\nos._exit(0)"
    )
    pid = int(_python(code))
    deadline = time.monotonic() + 300  # of the hour that it would sleep
    while _state(pid) != "gone":
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.01)


def test_the_caller_keeps_nothing_open(gate: Gate) -> None:
    gate(linear([[1.0]]))
    before = os.listdir("/proc/self/fd")
    for attack in (corpus.files.text_file(), corpus.elsewhere.external_absolute()):
        gate(attack)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_the_worker_sees_nothing_of_the_environment(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.ingest import supervisor

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never")
    assert "never" not in str(supervisor._environment())
    node = helper.make_node("Identity", ["x"], ["y"])
    assert gate(corpus.model([node], [corpus.value("x", ["N"], TensorProto.STRING)],
                             [corpus.value("y", ["N"], TensorProto.STRING)])).accepted  # fmt: skip


def _state(pid: int) -> str:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"
    return "gone" if state == "Z" else state


def _python(code: str) -> str:
    from shared.ingest import supervisor

    process = subprocess.run(
        [sys.executable, "-c", code], env=supervisor._environment(), capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()
