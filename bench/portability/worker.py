"""Runs a folder of models in one process: starting a process, and imports, take seconds as another processor.

`python -m bench.portability.worker FOLDER` reads jobs.json, and appends a line per job to done.jsonl; outputs are
written beside it. A job that is in started.txt and not in done.jsonl ended the process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from shared.runtime import onnx

LEVELS = {
    "off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def features() -> list[str]:
    """What the processor can do, by its own account."""
    from numpy._core._multiarray_umath import __cpu_features__

    return sorted(name for name, present in __cpu_features__.items() if present)


def plain(model: bytes, level: str) -> Any:
    """A session of ONNX Runtime alone, without the options of the one that serves."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 4
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def answer(job: dict[str, Any], folder: Path) -> dict[str, str]:
    """The job's outputs go to a file; what is returned says at which stage it failed, if it did.

    job: id, model, feeds; with `level`, a plain session instead of the one that serves.
    """
    stage = "load"
    try:
        model = (folder / job["model"]).read_bytes()
        session = plain(model, job["level"]) if "level" in job else onnx.load(model)
        stage = "run"
        with np.load(folder / job["feeds"]) as arrays:
            outputs = session.run(None, {name: arrays[name] for name in arrays})
    except Exception as error:  # ONNX Runtime's classes share no base
        return {"stage": stage, "error": " ".join(str(error).split())[:300]}
    np.savez(folder / f"answer-{job['id']}.npz", **{str(n): value for n, value in enumerate(outputs)})
    return {}


def main(folder: Path) -> None:
    (folder / "features.json").write_text(json.dumps(features()))
    lines = (folder / "done.jsonl").read_text().splitlines() if (folder / "done.jsonl").exists() else []
    done = {json.loads(line)["id"] for line in lines}
    with (folder / "done.jsonl").open("a") as log:
        for job in json.loads((folder / "jobs.json").read_text()):
            if job["id"] in done:
                continue
            (folder / "started.txt").write_text(str(job["id"]))
            log.write(json.dumps({"id": job["id"], **answer(job, folder)}) + "\n")
            log.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
