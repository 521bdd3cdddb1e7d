"""What several proofs need: time that is not waited for, verdicts that are made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.ingest import candidate, supervisor
from shared.ingest.verdict import Limits, Verdict
from shared.package.manifest import Manifest


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """For proofs with one thread: nobody gets out of the way while this one sleeps."""
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture(scope="session")
def verdicts() -> dict[str, Verdict]:
    return {}


@pytest.fixture(scope="session")
def manifests() -> dict[bytes, Manifest]:
    return {}


@pytest.fixture
def verdicts_once(
    monkeypatch: pytest.MonkeyPatch, verdicts: dict[str, Verdict], manifests: dict[bytes, Manifest]
) -> None:
    monkeypatch.setattr(candidate, "check_model", checked_once(verdicts))
    monkeypatch.setattr(candidate, "read_manifest", read_once(manifests))


def read_once(manifests: dict[bytes, Manifest]) -> Callable[[Path, Limits], Manifest]:
    """Each `amaas.json` is decoded once in its process, as for the verdicts."""

    decode = candidate.read_manifest  # before it is replaced

    def read_manifest(path: Path, limits: Limits) -> Manifest:
        body = path.read_bytes()
        if body not in manifests:
            manifests[body] = decode(path, limits)
        return manifests[body]

    return read_manifest


def checked_once(verdicts: dict[str, Verdict]) -> Callable[..., Verdict]:
    """Each package is checked once, in the real sandbox, and the verdict kept: one takes a third of a second.

    Everything else of the pipeline runs as it is, each time.
    """

    def check_model(
        files: Mapping[str, Path], manifest: dict[str, Any] | None, limits: Limits | None = None
    ) -> Verdict:
        package = hashlib.sha256(repr(manifest).encode())
        for name in sorted(files):
            package.update(name.encode() + files[name].read_bytes())
        if package.hexdigest() not in verdicts:
            verdicts[package.hexdigest()] = supervisor.check_model(files, manifest, limits)
        return verdicts[package.hexdigest()]

    return check_model
