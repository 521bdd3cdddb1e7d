"""Packages on disk, and the gate."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.ingest import probe
from shared.ingest.supervisor import check_model, smoke_test
from shared.ingest.verdict import Limits, Verdict
from shared.package.manifest import Manifest, Tensor
from shared.runtime import onnx

Gate = Callable[..., Verdict]
Smoke = Callable[..., Verdict]


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Checks a model, as bytes, with further files of the package by name."""

    def check(
        model: bytes, manifest: dict[str, Any] | None = None, limits: Limits | None = None, **files: bytes
    ) -> Verdict:
        return check_model(package(tmp_path, {"model.onnx": model, **files}), manifest, limits or Limits())

    return check


@pytest.fixture
def smoke(tmp_path: Path) -> Smoke:
    """Runs the smoke test of a model with members of a manifest and files of the package, as after the checks."""

    def run(
        model: bytes, limits: Limits | None = None, files: dict[str, bytes] | None = None, **members: Any
    ) -> Verdict:
        session = onnx.load(model)
        ran = probe.probe(session, Limits())
        signature = {
            side: [Tensor(s.name, s.datatype, s.shape) for s in specs]
            for side, specs in (("inputs", session.inputs), ("outputs", session.outputs))
        }
        manifest = msgspec.to_builtins(Manifest(**(signature | members)))
        shapes = {name: list(array.shape) for name, array in ran[0].items()} if ran else {}
        return smoke_test(package(tmp_path, {"model.onnx": model, **(files or {})}), manifest, shapes, limits)

    return run


@contextmanager
def cpu_of_children() -> Iterator[Callable[[], float]]:
    """Seconds of processor time of the children that ended since: a busy machine changes nothing in them."""

    def now() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    before = now()
    yield lambda: now() - before


def package(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in files}
