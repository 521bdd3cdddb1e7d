"""The smoke test: does a package answer in the terms of its task? One prediction, in a confined process of its own.

What runs is what serves, `shared.serving.tasks`, with the model as it will be served, the package's tokenizer or
reference rows, and an input that is made up. A package is refused when no caller could have an answer. Where that may
be the made-up input's fault, the outcome is `inconclusive` and the package is accepted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import cast

import numpy as np

from shared.errors import AmaasError, BadInput, Unavailable
from shared.ingest import descriptors, samples
from shared.ingest.samples import Sample, Shapes
from shared.ingest.verdict import Refused, Verdict
from shared.package.manifest import Manifest, Tensor
from shared.package.processing import Boxes, Entities, Table, Text
from shared.registry.state import Version
from shared.runtime import onnx
from shared.serving import tasks
from shared.serving.loaded import Loaded
from shared.serving.outputs import classification

MODEL = "model.onnx"
ANSWERS = Verdict(accepted=True, code="accepted", reason="the model answers in the terms of its task", probe="ran")


def prepare(manifest: Manifest) -> None:
    """Import, and use once, what would open files later: in the sandbox nothing can be opened any more."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads are over, too
    import_module(tasks.MODULES[manifest.task])
    found = samples.kind(manifest)
    if found == "image":
        from shared.serving.inputs import images

        images.decode(samples.png(2, 2), "L")
    elif found == "audio":
        import numpy.fft  # noqa: F401 - numpy itself does so when it is first used

        from shared.serving.inputs import sounds

        sounds.decode(samples.wav(64, 16_000), 8_000)
    elif isinstance(manifest.preprocess, Table):
        from shared.serving.inputs import tables

        with suppress(BadInput):  # csv, and the codec of its text
            tables.from_csv(b"a\n1\n", manifest.preprocess)
    elif found == "text":
        import tokenizers  # noqa: F401 - as above


def judge(files: Mapping[str, int], manifest: Manifest, ran: Shapes) -> Verdict:
    """One answer, or why there is none. Raises Refused, OutOfMemory.

    files: the model as it is served, and what `preprocess` names, open. manifest: as it will be served. ran: shapes of
    inputs that the model is known to run on, by name; empty when none is.
    """
    session = Watched(onnx.load(descriptors.read(files[MODEL])), manifest.inputs)
    loaded = _loaded(files, manifest, session)
    _check_tokenizer(loaded)
    try:
        failed = [_tried(loaded, session, sample, ran) for sample in samples.made_up(loaded, ran)]
    except Answered:
        _check_labels(loaded, session)
        return ANSWERS
    except BadInput as error:
        raise _refused(manifest, error) from error
    if all(is_fault for _, is_fault in failed):
        raise _refused(manifest, failed[0][0])
    why = "; ".join(str(error)[:200] for error, _ in failed)
    return Verdict(accepted=True, code="accepted", reason=f"no made-up input was answered: {why}", probe="inconclusive")


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
    return Loaded(manifest.name or "model", version, 0, manifest, cast(onnx.Session, session), read=read)


def _check_tokenizer(loaded: Loaded) -> None:
    plan = loaded.manifest.preprocess
    if not isinstance(plan, Text) or plan.tokenizer is None:
        return
    from shared.serving.inputs import texts

    try:
        texts.tokenizer_of(loaded)
    except Unavailable as error:
        reason = f"{plan.tokenizer} is no tokenizer that can be read: {error.__cause__}; save it with the library again"
        raise Refused("bad_tokenizer", reason[:600]) from error


def _tried(loaded: Loaded, session: Watched, sample: Sample, ran: Shapes) -> tuple[Exception, bool]:
    """Why a sample is not answered, and whether that is the package's fault. Raises Answered when it is."""
    session.inside = False
    try:
        tasks.predict(loaded, sample.body, sample.content_type, {})
    except (onnx.OutOfMemory, MemoryError):
        raise
    except (ImportError, PermissionError) as error:  # the sandbox's fault
        return error, False
    except Exception as error:  # of any kind: a caller would have met it
        if not session.inside:
            return error, True
        return error, bool(ran) and sample.known and _must_run(loaded, session.feeds, ran)
    if not all(feed.size for feed in session.feeds.values()):
        return BadInput("the made-up text has no tokens"), False
    raise Answered


def _must_run(loaded: Loaded, feeds: dict[str, np.ndarray], ran: Shapes) -> bool:
    """Whether a model that has run on some values has to run on these: token ids of any number, or a known shape."""
    if samples.kind(loaded.manifest) == "text":
        return all(feed.size for feed in feeds.values())
    return all(
        -1 not in tensor.shape[1:] or list(feeds[tensor.name].shape) == ran.get(tensor.name)
        for tensor in loaded.manifest.inputs
    )


def _refused(manifest: Manifest, error: Exception) -> Refused:
    told = str(error) if isinstance(error, AmaasError) else f"{type(error).__name__}: {error}"
    return Refused(
        "task_failed",
        f"the package cannot answer as {manifest.task}: {told[:500]}; mend amaas.json, or leave its task out to serve "
        "tensors",
    )


def _check_labels(loaded: Loaded, session: Watched) -> None:
    """Raises Refused when the package has labels, but not one for each class."""
    labels, count = len(loaded.manifest.labels), _classes(loaded, session)
    if not labels or not count:
        return
    after = loaded.manifest.postprocess
    # detectors may have a last class that means nothing, and is never called by its name
    least = count - 1 if isinstance(after, Boxes) and after.background == count - 1 else count
    # a single probability is that of the second of two classes
    most = 2 if count == 1 and loaded.manifest.task == "tabular" else count
    if not least <= labels <= most:
        raise Refused(
            "labels_mismatch",
            f"amaas.json has {labels} labels, the model tells {count} classes apart; give one label per class, in the "
            "order of its output",
        )


def _classes(loaded: Loaded, session: Watched) -> int | None:
    """How many classes the model has scores for; None where it gives none, or their numbers."""
    task, after, outputs = loaded.manifest.task, loaded.manifest.postprocess, session.outputs
    if task == "embedding":
        return None
    if task == "object-detection":
        from shared.serving.tasks import object_detection

        plan = after if isinstance(after, Boxes) else Boxes()
        return None if plan.classes else object_detection.scored(outputs, plan, 0, loaded)[1].shape[1]
    if task == "token-classification":
        named = after.output if isinstance(after, Entities) else None
        return int(outputs[named or loaded.manifest.outputs[0].name].shape[-1])
    values = outputs[classification.output(loaded)]
    rows = len(next(iter(session.feeds.values())))
    return values.size // rows if values.dtype.kind == "f" and rows else None
