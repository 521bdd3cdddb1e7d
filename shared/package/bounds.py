"""Bounds on what an uploaded `amaas.json` may say, beyond its schema.

A stranger's package must not name a plan that fills the memory of whoever serves it, nor a tolerance that lets every
answer pass. Only uploads are held against them. What is registered already stays readable, whatever release wrote it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from shared.errors import BadInput
from shared.package.processing import Audio, Image
from shared.package.table import Table

MAX_BYTES = 1024 * 1024  # of an uploaded amaas.json
MAX_DEPTH = 16  # of lists and objects within each other
MAX_UNKNOWN = 100  # members that no release up to this one knows
MAX_NOTE = 100_000  # bytes of JSON of a member that nothing reads: metrics, dataset, lineage
MAX_METRICS = 1000
MAX_TENSORS = 1000
MAX_RANK = 16
MAX_SIZE = 2**31
RTOL, ATOL = 0.5, 1e6
PIXELS = 2**24  # of an image as the model gets it: 200 MB as floats of three channels
SAMPLES = 60_000_000  # of a sound
CELLS = 2**25  # of a spectrogram
WIDTH = 1_000_000  # numbers of one row of a table
LABEL, NAME, TAG, LICENCE = 1000, 500, 100, 1000  # characters


def check_size(size: int) -> None:
    """Raises BadInput for an `amaas.json` of so many bytes, of which none need have been read."""
    if size > MAX_BYTES:
        raise BadInput(
            f"amaas.json has {size:,} bytes, more than the {MAX_BYTES:,} that are allowed: move golden cases into "
            "golden.npz, and leave out what only people read"
        )


def check_members(members: Any) -> None:
    """Raises BadInput for a decoded `amaas.json` whose lists and objects are too deep in each other."""
    level = [members]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise BadInput(f"amaas.json has more than {MAX_DEPTH} lists or objects within each other: make it flatter")


def check(manifest: Any) -> None:
    """Raises BadInput that names the first member beyond its bounds, and the bound. manifest: a Manifest."""
    for fault in _faults(manifest):
        raise BadInput(f"amaas.json: {fault}")


def _faults(manifest: Any) -> Iterator[str]:
    yield from _texts(manifest)
    yield from _notes(manifest)
    if manifest.golden and not manifest.golden.rtol <= RTOL:
        yield f"golden.rtol is {manifest.golden.rtol:g}, at most {RTOL:g} is allowed: more would let wrong answers pass"
    if manifest.golden and not manifest.golden.atol <= ATOL:
        yield f"golden.atol is {manifest.golden.atol:g}, at most {ATOL:g} is allowed: more would let wrong answers pass"
    for member, tensors in (("inputs", manifest.inputs), ("outputs", manifest.outputs)):
        if len(tensors) > MAX_TENSORS:
            yield f"{member} lists {len(tensors):,} tensors, at most {MAX_TENSORS:,} are allowed"
        for tensor in tensors:
            if len(tensor.shape) > MAX_RANK or not all(-1 <= size <= MAX_SIZE for size in tensor.shape):
                yield (
                    f"{member} gives {tensor.name[:50]!r} a shape that no tensor has: at most {MAX_RANK} sizes, "
                    f"each -1 or 0 to {MAX_SIZE:,}"
                )
    match manifest.preprocess:
        case Image() as plan:
            yield from _image(plan)
        case Audio() as plan:
            yield from _audio(plan)
        case Table() as plan:
            yield from _table(plan)


def _texts(manifest: Any) -> Iterator[str]:
    for label in manifest.labels:
        if len(label) > LABEL:
            yield f"a label has {len(label):,} characters, at most {LABEL:,} are allowed: {label[:40]!r}…"
    for tag in manifest.tags:
        if len(tag) > TAG:
            yield f"a tag has {len(tag):,} characters, at most {TAG} are allowed: {tag[:40]!r}…"
    for member, text, most in (("name", manifest.name, TAG), ("licence", manifest.licence, LICENCE)):
        if text and len(text) > most:
            yield f"{member} has {len(text):,} characters, at most {most:,} are allowed"
    inner = getattr(manifest.postprocess, "text", None)
    plans = (("preprocess", manifest.preprocess), ("postprocess", manifest.postprocess), ("postprocess.text", inner))
    for member, plan in plans:
        for name in plan.__struct_fields__ if plan else ():
            value = getattr(plan, name)
            if isinstance(value, str) and len(value) > LABEL:
                yield f"{member}.{name} has {len(value):,} characters, at most {LABEL:,} are allowed"


def _notes(manifest: Any) -> Iterator[str]:
    if len(manifest.metrics) > MAX_METRICS:
        yield f"metrics has {len(manifest.metrics):,} members, at most {MAX_METRICS:,} are allowed"
    for member in ("metrics", "dataset", "lineage"):
        size = len(msgspec.json.encode(getattr(manifest, member)))
        if size > MAX_NOTE:
            yield f"{member} takes {size:,} bytes, at most {MAX_NOTE:,} are allowed: keep the rest elsewhere"


def _image(plan: Image) -> Iterator[str]:
    for member, size in (("size", plan.size), ("crop", plan.crop)):
        if size and size[0] * size[1] > PIXELS:
            yield f"preprocess.{member} is {size[0]:,} × {size[1]:,}, at most {PIXELS:,} pixels are allowed"
    if plan.shorter and plan.shorter**2 > PIXELS:
        yield f"preprocess.shorter is {plan.shorter:,}, at most {math.isqrt(PIXELS):,} is allowed"
    if 0 in plan.std:
        yield "preprocess.std holds 0, by which nothing can be divided"


def _audio(plan: Audio) -> Iterator[str]:
    samples = int((plan.seconds or 0) * plan.sample_rate)
    if samples > SAMPLES:
        yield f"preprocess takes {samples:,} samples at once, at most {SAMPLES:,} are allowed: lower seconds"
    bins = 0 if plan.features == "waveform" else max(plan.n_fft // 2 + 1, plan.n_mels)
    cells = samples // plan.hop_length * bins
    if cells > CELLS:
        yield f"preprocess makes a spectrogram of {cells:,} numbers, at most {CELLS:,} are allowed: raise hop_length"
    if plan.std == 0:
        yield "preprocess.std is 0, by which nothing can be divided"


def _table(plan: Table) -> Iterator[str]:
    width = 0
    for column in plan.columns:
        width += len(column.categories) if column.encode == "one-hot" else 1
        if column.std == 0:
            yield f"the column {column.name!r} has std 0, by which nothing can be divided"
        if any(isinstance(value, str) and len(value) > LABEL for value in (*column.categories, column.missing)):
            yield f"the column {column.name!r} has a category of more than {LABEL:,} characters"
    if width > WIDTH:
        yield f"preprocess makes {width:,} numbers of each row, at most {WIDTH:,} are allowed"
