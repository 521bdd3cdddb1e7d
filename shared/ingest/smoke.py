"""The smoke test: does a package answer in the terms of its task? One prediction, in a confined process of its own.

What runs is what serves, `shared.serving.tasks`, with the model as it will be served, the package's tokenizer or
reference rows, and an input that is made up. A package is refused when no caller could have an answer. Where that may
be the made-up input's fault, the outcome is `inconclusive` and the package is accepted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import cast

import numpy as np

from shared.errors import AmaasError, BadInput, Unavailable
from shared.ingest import descriptors
from shared.ingest.verdict import Refused, Verdict
from shared.package import processing
from shared.package.manifest import Manifest, Tensor
from shared.package.table import Table
from shared.registry.state import Version
from shared.runtime import onnx
from shared.serving import tasks
from shared.serving.inputs import towers
from shared.serving.inputs.examples import Example, Shapes
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching
from shared.serving.wall import Wall
from shared.values.numbers import NoNumber

MODEL = "model.onnx"
REFERENCE_ROWS = 10_000  # that are held against the columns, at most
ANSWERS = Verdict(accepted=True, code="accepted", reason="the model answers in the terms of its task", probe="ran")


def prepare(manifest: Manifest) -> None:
    """Before the sandbox closes: import, and use once, what would open files later."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads are over, too
    tasks.of(manifest).prepare(manifest)


def judge(files: Mapping[str, int], manifest: Manifest, ran: Shapes) -> Verdict:
    """One answer, or why there is none. Raises Refused, OutOfMemory.

    files: the model as it is served, and what the manifest names, open. manifest: as it will be served. ran: shapes of
    inputs that the model is known to run on, by name; empty when none is.
    """
    session = Watched(onnx.load(descriptors.read(files[MODEL])), manifest.inputs)
    loaded = _loaded(files, manifest, session)
    _check_tokenizer(loaded)
    _check_reference(loaded)
    _check_pixels(manifest)
    try:
        failures = [_failure(loaded, session, example, ran) for example in tasks.of(manifest).examples(loaded, ran)]
    except Answered:
        _check_labels(loaded, session)
        return ANSWERS
    except BadInput as error:
        raise _refused(manifest, error) from error
    if all(is_fault for _, is_fault in failures):
        raise _refused(manifest, failures[0][0])
    reasons = "; ".join(str(error)[:200] for error, _ in failures)
    reason = f"no made-up input was answered: {reasons}"
    return Verdict(accepted=True, code="accepted", reason=reason, probe="inconclusive")


class Answered(Exception):
    """Ends the search for an input that is answered."""


class Watched:
    """A session that keeps what goes in and comes out, and whether a call ended within it."""

    def __init__(self, session: onnx.Session, signature: list[Tensor]) -> None:
        self._session, self._signature = session, signature
        self.feeds: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}
        self.inside = False

    def run(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """As Session.run, which says less about an input whose shape the signature has no place for."""
        for tensor in self._signature:
            shape = list(feeds[tensor.name].shape) if tensor.name in feeds else []
            if len(shape) != len(tensor.shape) or any(
                e not in (-1, d) for d, e in zip(shape, tensor.shape, strict=True)
            ):
                raise BadInput(f"input {tensor.name!r} is made with shape {shape}, the model takes {tensor.shape}")
        self.feeds, self.inside = feeds, True
        answer = self._session.run(names, feeds)
        self.inside = False
        self.outputs |= zip(names, answer, strict=True)
        return answer


def _loaded(files: Mapping[str, int], manifest: Manifest, session: Watched) -> Loaded:
    """What serving has of a model, with the files of this process instead of blobs."""
    beside = {name: name for name in files if name != MODEL}
    version = Version(version=0, task=manifest.task, manifest="", source="", model="", size=0, upload="", files=beside)
    read = lambda name: descriptors.read(files[name])  # noqa: E731 - one line, used once
    served = cast(onnx.Session, session)
    # this process is as confined as a runner, and can start none
    tokenizer = lambda version, raw, cutting: Wall().open_tokenizer(raw, cutting, direct=True)  # noqa: E731 - as above
    return Loaded(manifest.name or "model", version, 0, manifest, served, read=read, open_tokenizer=tokenizer)


def _check_tokenizer(loaded: Loaded) -> None:
    plan = processing.text_plan(loaded.manifest.preprocess, loaded.manifest.postprocess)
    if plan is None or plan.tokenizer is None:
        return
    from shared.serving.inputs import texts

    try:
        texts.load_tokenizer(towers.of_texts(loaded))
    except Unavailable as error:
        reason = f"{plan.tokenizer} is no tokenizer that can be read: {error.__cause__}; save it with the library again"
        raise Refused("bad_tokenizer", reason[:600]) from error


def _check_reference(loaded: Loaded) -> None:
    """Raises Refused for reference rows that are none, or do not fit the columns."""
    plan = loaded.manifest.preprocess
    if not isinstance(plan, Table) or plan.reference is None:
        return
    from shared.serving.inputs import tables

    try:
        rows = loaded.part(plan.reference, lambda raw: tables.parse_csv(raw, plan))
        if rows:
            tables.feeds(loaded, rows[:REFERENCE_ROWS], plan)
    except BadInput as error:
        reason = f"the reference rows in {plan.reference} do not fit the columns: {error}"
        raise Refused("bad_reference", reason) from error
    if not rows:
        reason = f"{plan.reference} has no rows: add some typical ones, or leave out preprocess.reference"
        raise Refused("bad_reference", reason)


def _check_pixels(manifest: Manifest) -> None:
    """Raises Refused for pixels that are made fractions, and go to a model that takes them as they are.

    Versions of earlier releases answer as they did: their pixels are not scaled.
    """
    plan = manifest.preprocess
    if not isinstance(plan, processing.Image) or [tensor.datatype for tensor in manifest.inputs] != ["UINT8"]:
        return
    if plan.scale not in (1, processing.Image().scale) or {*plan.mean} != {0.0} or {*plan.std} != {1.0}:
        raise Refused(
            "bad_pixels",
            f"input {manifest.inputs[0].name!r} is UINT8 and gets pixels as they are, 0 to 255, but preprocess makes "
            "other numbers of them: leave its scale, mean and std out, or export the model with a float input",
        )


def _failure(loaded: Loaded, session: Watched, example: Example, ran: Shapes) -> tuple[Exception, bool]:
    """Why an example is not answered, and whether that is the package's fault. Raises Answered when it is."""
    session.inside = False
    try:
        tasks.predict(loaded, example.body, example.content_type, {})
    except (onnx.OutOfMemory, MemoryError):
        raise
    except (ImportError, PermissionError, NoNumber) as error:  # the sandbox's fault, or the made-up values'
        return error, False
    except Exception as error:  # of any kind: a caller would have met it
        if not session.inside:
            return error, True
        return error, bool(ran) and example.conclusive and _must_run(loaded, session.feeds, ran)
    if not all(feed.size for feed in session.feeds.values()):
        return BadInput("the made-up text has no tokens"), False
    raise Answered


def _must_run(loaded: Loaded, feeds: dict[str, np.ndarray], ran: Shapes) -> bool:
    """Whether a model that has run on some values has to run on these: token ids of any number, or a known shape."""
    if loaded.manifest.input_kind == "text":
        return all(feed.size for feed in feeds.values())
    return all(
        -1 not in tensor.shape[1:] or list(feeds[tensor.name].shape) == ran.get(tensor.name)
        for tensor in loaded.manifest.inputs
    )


def _refused(manifest: Manifest, error: Exception) -> Refused:
    reason = str(error) if isinstance(error, AmaasError) else f"{type(error).__name__}: {error}"
    return Refused(
        "task_failed",
        f"the package cannot answer as {manifest.task}: {reason[:500]}; fix amaas.json, or omit its task to serve "
        "tensors",
    )


def _check_labels(loaded: Loaded, session: Watched) -> None:
    """Raises Refused when the package has labels, but not one for each class."""
    labels = len(loaded.manifest.labels)
    if not labels:
        return
    classes = tasks.of(loaded.manifest).classes(loaded, session.outputs, batching.rows(session.feeds))
    if classes and labels not in classes:
        raise Refused(
            "labels_mismatch",
            f"amaas.json has {labels} labels, the model tells {classes[-1]} classes apart; give one label per class, "
            "in the order of its output",
        )
