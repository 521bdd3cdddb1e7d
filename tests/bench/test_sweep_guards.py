"""The guard-page allocator of the sweep: an access beyond a buffer ends the process, and nothing else does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.sweep import guards, optional_inputs, seeds

PROGRAM = """
import ctypes, numpy as np
from bench.sweep.guards import Guards
guards = Guards()
assert guards.active
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
with guards.inputs({{"x": np.arange(3, dtype=np.float32)}}) as feeds, guards.guarded():
    x = feeds["x"]
    start = x.__array_interface__["data"][0]
    p = libc.malloc(64)
    read = lambda address: ctypes.c_char.from_address(address).value
    write = lambda address: ctypes.memset(address, 0, 1)
    assert (float(x.sum()), read(start), read(start + 11)) == (3.0, b"\\0", b"@")
    write(p); write(p + 63)
    {action}
print("alive")
"""
ACTIONS = {
    ("after", "pass"): None,
    ("after", "read(start + 12)"): "Invalid read beyond a buffer",
    ("after", "write(start + 12)"): "Invalid write beyond a buffer",
    ("after", "write(p + 64)"): "Invalid write beyond a buffer",
    ("after", "libc.free(p); read(p)"): "Invalid read beyond a buffer",
    ("after", "libc.free(p); libc.free(p)"): "Invalid free",
    ("before", "pass"): None,
    ("before", "read(start - 1)"): "Invalid read beyond a buffer",
    ("before", "write(p - 1)"): "Invalid write beyond a buffer",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("this machine has no C compiler to build bench/sweep/guard.c with")
    return guards.build(tmp_path_factory.mktemp("guard"))


@pytest.mark.parametrize(("side", "action"), ACTIONS)
def test_what_is_beyond_a_buffer_ends_the_process(side: str, action: str, library: Path) -> None:
    environment = os.environ | {"LD_PRELOAD": str(library), "GUARD_SIDE": side, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(action=action)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    fault = ACTIONS[side, action]
    if fault is None:
        assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
        return
    assert -done.returncode in (signal.SIGSEGV, signal.SIGABRT)
    assert fault in done.stderr


def test_the_sweep_says_what_it_says_nothing_of() -> None:
    known = [*seeds.contrib(), *seeds.learners(), *seeds.standard(), *optional_inputs.every()]
    left = optional_inputs.never_given(known)
    assert "sequence_lens" not in {name for names in left.values() for name in names}
    assert {"ai.onnx.ml:ZipMap"} <= set(optional_inputs.without_seed(known))
    fewer = [entry for entry in known if entry.node.op_type != "TopK"]
    assert "ai.onnx:TopK" in optional_inputs.without_seed(fewer)
