"""Teachers for distillation: a package, run by ONNX Runtime, or a registered model of a service, called over HTTP.

A teacher has `labels`, `logits(inputs) -> [N, classes]` and `reference`, what a lineage calls it. No PyTorch in here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from training import measure, package
from training.errors import TrainingError
from training.served import served

Arrays = dict[str, np.ndarray]
CARRIED = 3_000_000  # bytes of inputs in one call: a function takes 6 MB, of which base64 leaves 4.5
SMALLEST = 1e-12  # of a probability, before its logarithm is taken


class Teacher(Protocol):
    """manifest: its amaas.json. folder: its package's, where that is at hand."""

    @property
    def labels(self) -> list[str]: ...

    @property
    def reference(self) -> str: ...

    @property
    def manifest(self) -> dict[str, Any]: ...

    @property
    def folder(self) -> Path | None: ...

    def logits(self, inputs: Arrays) -> np.ndarray: ...


class PackageTeacher:
    """The model in a package folder. reference: NAME@sha256:DIGEST."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self._open(package.read(folder), threads)

    @classmethod
    def of(cls, opened: package.Package, threads: int = 0) -> PackageTeacher:
        teacher = cls.__new__(cls)
        teacher._open(opened, threads)
        return teacher

    def _open(self, opened: package.Package, threads: int) -> None:
        self.reference, self.manifest, self.folder = opened.reference, opened.manifest, opened.folder
        self.labels = _labels(opened.manifest, self.reference)
        self._activation = _activation(opened.manifest)
        self._session = served(package.serialized(opened.model), threads=threads)

    def logits(self, inputs: Arrays) -> np.ndarray:
        """[N, classes] of inputs [N, …] by name. Raises TrainingError when the model does not take them."""
        answer = next(iter(measure.outputs(self._session, inputs).values()))
        return _logits(answer, self.labels, self._activation, self.reference)


class ServiceTeacher:
    """A registered model of a running service: it answers, but is not downloaded. reference: MODEL@VERSION.

    Needs a token with the scopes read and infer of this model. The version is resolved once, so that all answers come
    from the same one.
    """

    def __init__(self, model: str, version: int | str | None = None, client: Any = None) -> None:
        try:
            from amaas.client import Client
            from amaas.errors import AmaasError
        except ImportError as error:
            raise TrainingError(
                f"a registered model as teacher is called over HTTP, which this environment lacks ({error}): "
                "pip install -r training/requirements.in ./client, or give a package folder"
            ) from error
        self._error = AmaasError
        self._model = model
        try:
            self._client = client or Client()
            manifest = self._client.get_version(model, version or "production")
        except AmaasError as error:
            raise TrainingError(f"the teacher {model}@{version or 'production'} cannot be reached: {error}") from error
        self._version = int(manifest["version"])
        self.reference = f"{model}@{self._version}"
        described = _without_nulls(manifest.get("manifest") or manifest)
        self.manifest, self.folder = described, None
        self.labels = _labels(described, self.reference)
        self._activation = _activation(described)
        self._outputs = [tensor["name"] for tensor in described.get("outputs") or []][:1]

    def logits(self, inputs: Arrays) -> np.ndarray:
        """As of a package; in as many calls as the size of a function's request makes it."""
        rows = measure.rows_of(inputs)
        size = sum(values.nbytes for values in inputs.values()) / rows
        step = max(1, int(CARRIED / size))
        parts = [
            self._answer({name: values[start : start + step] for name, values in inputs.items()})
            for start in range(0, rows, step)
        ]
        return _logits(np.concatenate(parts), self.labels, self._activation, self.reference)

    def _answer(self, inputs: Arrays) -> np.ndarray:
        try:
            answer = self._client.infer_binary(self._model, inputs, self._version, outputs=self._outputs)
        except self._error as error:
            raise TrainingError(f"the teacher {self.reference} did not answer: {error}") from error
        return np.asarray(next(iter(answer.values())))


def teacher(source: str, client: Any = None) -> Teacher:
    """A package folder, or MODEL[@VERSION or ALIAS] of the service that AMAAS_URL or .local/amaas.json names."""
    if Path(source).is_dir():
        return PackageTeacher(Path(source))
    name, at, version = source.partition("@")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or (at and not version):
        raise TrainingError(
            f"{source!r} is not a teacher: give a package folder, or MODEL[@VERSION] of a running service"
        )
    return ServiceTeacher(name, version or None, client)


def check_labels(taught_by: Teacher, labels: list[str]) -> None:
    """Raises TrainingError: a score for one class would teach another."""
    if list(taught_by.labels) != list(labels):
        raise TrainingError(
            f"the teacher {taught_by.reference} has the labels {taught_by.labels[:5]}…, the data {labels[:5]}…: "
            "a teacher must have the same, in the same order"
        )


def _without_nulls(described: dict[str, Any]) -> dict[str, Any]:
    """A manifest as its package gave it: a service also writes out, as null, what was left away."""
    parts = {name: value for name, value in described.items() if value is not None}
    return {name: _without_nulls(value) if isinstance(value, dict) else value for name, value in parts.items()}


def _labels(manifest: dict[str, Any], reference: str) -> list[str]:
    labels = manifest.get("labels")
    if not labels:
        raise TrainingError(f"the teacher {reference} has no labels: give a classifier with `labels` in its amaas.json")
    return list(labels)


def _activation(manifest: dict[str, Any]) -> str:
    """What serving applies to the graph's output: softmax, where that is logits; none, where it may be anything."""
    return str((manifest.get("postprocess") or {}).get("activation") or "none")


def _logits(answer: np.ndarray, labels: list[str], activation: str, reference: str) -> np.ndarray:
    """A graph that ends in probabilities gives its logits, up to a constant per row, by their logarithm."""
    if answer.ndim != 2 or answer.shape[1] != len(labels):
        raise TrainingError(
            f"the teacher {reference} answers {list(answer.shape)}: it must be a score for each of {len(labels)} labels"
        )
    answer = answer.astype(np.float32)
    shares = activation == "none" and (answer >= 0).all() and np.allclose(answer.sum(1), 1, atol=1e-3)
    return np.log(np.maximum(answer, SMALLEST)) if shares else answer
