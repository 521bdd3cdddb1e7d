"""Which operators end or corrupt a process on hostile shapes and values: the table of results/sweep.md.

Every operator that the gate lets through is run by ONNX Runtime as it is in forked processes, from calls that work
(seeds) and what can be made of them (hostile), once with each tool: glibc's own checks find what is written beyond a
buffer when it is freed; guard pages behind, then in front of each buffer end the process at the first access beyond it
(guard.c); `--tools valgrind` sees accesses within a page too, and takes a hundred times as long. The arena of ONNX
Runtime is off here: in it, nobody would notice.

    python -m bench.sweep [--tools glibc,after,before] [--only OPERATOR,…] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import helper

from bench.sweep import hostile, optional_inputs, seeds
from bench.sweep.guards import REGION, Guards, build

SECONDS, MEMORY = 2, 2 << 30
DEBUG = "libc_malloc_debug.so.0"  # glibc: MALLOC_CHECK_ works with it only
ERROR = re.compile(
    r"Invalid (?:read|write) of size \d+|Invalid (?:read|write) beyond a buffer|Mismatched free|Invalid free|overlap"
)
TOOLS = ("glibc", "after", "before", "valgrind")
RESULTS = Path(__file__).parents[1] / "results"


def model(seed: seeds.Seed, free: bool, opset: int | None) -> bytes:
    """The node alone; the inputs' types and ranks are those of the values, and their sizes are free, or theirs too.

    opset: of the standard, another than the seed's, which may be newer than ONNX Runtime's kernels.
    """
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim if free else array.shape
        )
        for name, array in seed.feeds.items()
    ]
    output = helper.make_empty_tensor_value_info(next(name for name in seed.node.output if name))
    graph = helper.make_graph([*seed.before, seed.node], "sweep", inputs, [output])
    imports = [helper.make_opsetid(name, version if name or not opset else opset) for name, version in seed.opset]
    proto = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return bytes(proto.SerializeToString())


def call(seed: seeds.Seed, guards: Guards) -> str:
    options = ort.SessionOptions()
    options.enable_cpu_mem_arena, options.enable_mem_pattern = False, False
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    outcome = ""
    for free, opset in ((True, None), (False, None), (True, 21), (True, 13)):
        session = None
        try:
            session = ort.InferenceSession(model(seed, free, opset), options, providers=["CPUExecutionProvider"])
            with guards.inputs(seed.feeds) as feeds, guards.guarded():
                session.run(None, feeds)
            return "ran"
        except Exception as error:  # ONNX Runtime's own, without a base class
            outcome = type(error).__name__
            if session is not None:  # it can be loaded, so another form of it would say the same
                break
    return outcome


def work(cases: list[tuple[str, seeds.Seed]], first: int, writer: int) -> None:
    """In the forked process: one line when a case begins, one when it has ended."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    guards = Guards()
    if not running_on_valgrind():
        most = MEMORY + (REGION if guards.active else 0)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for index in range(first, len(cases)):
        os.write(2, f"\n@@ {index}\n".encode())
        os.write(writer, f"{index} ".encode())
        signal.alarm(SECONDS * (10 if running_on_valgrind() else 1))
        outcome = call(cases[index][1], guards)
        signal.alarm(0)
        os.write(writer, f"{outcome}\n".encode())


def outcomes(cases: list[tuple[str, seeds.Seed]]) -> Iterator[tuple[int, str]]:
    """How each case ended: "ran", the name of an exception, or of the signal that ended its process."""
    first = 0
    while first < len(cases):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                work(cases, first, writer)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            text = lines.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for line in text.split("\n"):
            index, _, outcome = line.strip().partition(" ")
            if index and outcome:
                yield int(index), outcome
                first = int(index) + 1
        if first < len(cases):
            yield first, signal.Signals(-status).name if status < 0 else f"status {status}"
            first += 1


def running_on_valgrind() -> bool:
    return "valgrind" in os.environ.get("LD_PRELOAD", "") or "SWEEP_VALGRIND" in os.environ


def all_seeds() -> list[seeds.Seed]:
    return [*seeds.contrib(), *seeds.learners(), *seeds.standard(), *optional_inputs.every()]


def sweep(only: set[str]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    draw = random.Random(1)
    known = all_seeds()
    for seed in known:
        name = f"{seed.node.domain or 'ai.onnx'}:{seed.node.op_type}"
        if only and seed.node.op_type not in only:
            continue
        cases = list(hostile.variants(seed, draw))
        row = table.setdefault(name, {"cases": 0, "ran": 0, "seeds": 0, "signals": {}, "accesses": {}})
        os.write(2, f"\n@@@ {name}\n".encode())
        for index, outcome in outcomes(cases):
            row["cases"] += 1
            row["ran"] += outcome == "ran"
            row["seeds"] += index == 0 and outcome == "ran"
            if outcome.startswith(("SIG", "status")) and outcome != "SIGALRM":  # slow is not dead
                row["signals"].setdefault(outcome, []).append(cases[index][0])
        os.write(2, f"\n@@@ {name} labels {json.dumps([label for label, _ in cases])}\n".encode())
    return table


def checked(arguments: list[str], tool: str) -> dict[str, Any]:
    """The sweep in a process of its own, under one of TOOLS. Returns the table."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench.sweep", *arguments]
    with (
        tempfile.TemporaryFile("w+b") as log,
        tempfile.NamedTemporaryFile() as inner,
        tempfile.TemporaryDirectory() as folder,
    ):
        if tool == "valgrind":
            program = shutil.which("valgrind") or sys.exit("valgrind is missing: install Debian's package")
            options = ["-q", "--undef-value-errors=no", "--error-limit=no", "--child-silent-after-fork=no"]
            command = [program, *options, *command]
            environment |= {"SWEEP_VALGRIND": "1", "PYTHONMALLOC": "malloc"}
        elif tool == "glibc":
            environment |= {"LD_PRELOAD": DEBUG, "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "85"}
            environment |= {"PYTHONMALLOC": "malloc"}
        else:
            environment |= {"LD_PRELOAD": str(build(Path(folder))), "GUARD_SIDE": tool}
        environment["SWEEP_INNER"] = inner.name
        if subprocess.run(command, env=environment, stderr=log, check=False).returncode:
            log.seek(-min(4000, log.tell()), os.SEEK_CUR)
            sys.exit(log.read().decode(errors="replace"))
        table: dict[str, Any] = json.loads(Path(inner.name).read_bytes())
        log.seek(0)
        accesses(log.read().decode(errors="replace"), table)
    return table


def merged(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """One row per operator of what each tool saw; `ran` and `cases` of the first tool."""
    whole: dict[str, Any] = {}
    for table in tables:
        for name, row in table.items():
            into = whole.setdefault(name, row | {"signals": {}, "accesses": {}})
            for kind in ("signals", "accesses"):
                for fault, cases in row[kind].items():
                    known = into[kind].setdefault(fault, [])
                    known += [case for case in cases if case not in known]
    return whole


def accesses(log: str, table: dict[str, Any]) -> None:
    """Put what valgrind said into the table, with the case that it said it of."""
    name, index, pending = "", 0, {}
    for line in log.split("\n"):
        if line.startswith("@@@ "):
            name, _, labels = line[4:].partition(" labels ")
            if labels:
                for kind, at in pending.items():
                    table[name]["accesses"].setdefault(kind, []).append(json.loads(labels)[at])
            pending = {}
        elif line.startswith("@@ "):
            index = int(line[3:])
        elif fault := ERROR.search(line):
            pending.setdefault(fault.group(0), index)


def markdown(table: dict[str, Any]) -> str:
    lines = [
        "| operator | cases | ran | ended by | accesses beyond buffers | first case |",
        "|---|--:|--:|---|---|---|",
    ]
    for name, row in sorted(table.items()):
        if row["signals"] or row["accesses"]:
            ended = ", ".join(f"{signal} {len(cases)}×" for signal, cases in row["signals"].items())
            case = next(iter([*row["signals"].values(), *row["accesses"].values()]))[0]
            beyond = ", ".join(row["accesses"])
            lines.append(f"| {name} | {row['cases']} | {row['ran']} | {ended} | {beyond} | {case} |")
    quiet = [name for name, row in table.items() if not row["signals"] and not row["accesses"]]
    never = [name for name, row in table.items() if not row["seeds"]]
    return "\n".join(
        [*lines, "", f"Without a fault: {len(quiet)} of {len(table)}.", f"Never ran: {', '.join(never) or 'none'}."]
    )


def limits_of_the_sweep() -> str:
    """What the table says nothing of."""
    known = all_seeds()
    inputs = "; ".join(f"{name} {', '.join(left)}" for name, left in optional_inputs.never_given(known).items())
    return f"Without a call: {', '.join(optional_inputs.without_seed(known))}.\nInputs that no call has: {inputs}."


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.sweep")
    parser.add_argument("--tools", default="glibc,after,before", help=f"some of {', '.join(TOOLS)}")
    parser.add_argument("--only", default="", help="operators, separated by commas")
    parser.add_argument("--write", action="store_true", help="the table into bench/results/sweep.json and sweep.md")
    options = parser.parse_args()
    if inner := os.environ.get("SWEEP_INNER"):
        np.seterr(all="ignore")
        Path(inner).write_text(json.dumps(sweep(set(filter(None, options.only.split(","))))))
        return
    arguments = ["--only", options.only] if options.only else []
    table = merged([checked(arguments, tool) for tool in options.tools.split(",")])
    text = f"{markdown(table)}\n{limits_of_the_sweep()}"
    if options.write:
        (RESULTS / "sweep.json").write_text(json.dumps(table, indent=1) + "\n")
        page = RESULTS / "sweep.md"
        page.write_text(page.read_text().partition("| operator |")[0] + text + "\n")
    print(text)


if __name__ == "__main__":
    main()
