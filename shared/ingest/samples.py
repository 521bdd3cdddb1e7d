"""Made-up inputs in the terms of a task, as a caller would send them: a grey image, silence, a sentence, a row."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from shared.ingest.verdict import Refused
from shared.package import processing
from shared.package.manifest import Manifest
from shared.package.processing import Column
from shared.serving.loaded import Loaded

JSON = "application/json"
SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody knows why."
MOST_ROWS = 10_000

Shapes = Mapping[str, list[int]]


class Sample(NamedTuple):
    """known: the model has to take such values if it takes any. False where they are guessed, as a table's words."""

    body: bytes
    content_type: str
    known: bool = True


def kind(manifest: Manifest) -> str | None:
    """What the task takes: image, text, audio or table."""
    declared = manifest.preprocess
    return str(declared.__struct_config__.tag) if declared else processing.KINDS[manifest.task][0]


def made_up(loaded: Loaded, ran: Shapes) -> Iterator[Sample]:
    """Inputs to try, the likeliest first. ran: shapes of input tensors that the model has run on.

    Raises Refused for reference rows that are no rows, and BadInput where the model's signature has no place for such
    an input.
    """
    makers: dict[str | None, Callable[[Loaded, Shapes], Iterator[Sample]]] = {
        "image": _images,
        "audio": _sounds,
        "table": _rows,
        "text": _texts,
    }
    return makers[kind(loaded.manifest)](loaded, ran)


def _images(loaded: Loaded, ran: Shapes) -> Iterator[Sample]:
    from shared.serving.inputs import images

    tensor, plan = images.signature(loaded)
    yield Sample(png(224, 224), "image/png")
    if images.any_size(loaded) and tensor.name in ran:
        height, width = ran[tensor.name][2:4] if plan.layout == "NCHW" else ran[tensor.name][1:3]
        yield Sample(png(width, height), "image/png")


def png(width: int, height: int) -> bytes:
    from PIL import Image

    body = io.BytesIO()
    Image.new("RGB", (width, height), (128, 128, 128)).save(body, "PNG")
    return body.getvalue()


def _sounds(loaded: Loaded, ran: Shapes) -> Iterator[Sample]:
    from shared.serving.inputs import sounds

    tensor, plan = sounds.signature(loaded)
    yield Sample(wav(max(plan.sample_rate, 2 * plan.n_fft), plan.sample_rate), "audio/wav")
    if plan.seconds is None and plan.features == "waveform" and tensor.name in ran:
        yield Sample(wav(ran[tensor.name][-1], plan.sample_rate), "audio/wav")


def wav(samples: int, rate: int) -> bytes:
    import numpy as np
    import soundfile

    body = io.BytesIO()
    soundfile.write(body, np.zeros(samples, np.int16), rate, format="WAV")
    return body.getvalue()


def _texts(loaded: Loaded, ran: Shapes) -> Iterator[Sample]:
    for text in (SENTENCE, " ".join([SENTENCE] * 8), *_own_words(loaded)):
        yield Sample(msgspec.json.encode({"input": text}), JSON)


def _own_words(loaded: Loaded) -> list[str]:
    """What the tokenizer knows: it may be one of another alphabet, or of none."""
    from shared.serving.inputs import texts

    if texts.plan_of(loaded).tokenizer is None:
        return []
    made = texts.tokenizer_of(loaded)
    known = made.get_vocab(with_added_tokens=False)
    some = sorted(known, key=known.__getitem__)[:: len(known) // 8 + 1]
    return [made.decode([known[token] for token in some]), "".join(some)]


def _rows(loaded: Loaded, ran: Shapes) -> Iterator[Sample]:
    from shared.serving.inputs import tables

    plan = tables.plan_of(loaded)
    assert plan is not None
    if plan.reference is not None:
        yield Sample(msgspec.json.encode({"inputs": _reference(loaded, plan)[:8]}), JSON)
        return
    row = {column.name: _value(column) for column in plan.columns}
    yield Sample(msgspec.json.encode({"inputs": [row]}), JSON, not any(_is_free(column) for column in plan.columns))


def _reference(loaded: Loaded, plan: processing.Table) -> list[dict[str, Any]]:
    from shared.errors import BadInput
    from shared.serving.inputs import tables

    name = plan.reference or ""
    try:
        rows = loaded.part(name, lambda raw: tables.from_csv(raw, plan))
        if rows:
            tables.feeds(loaded, rows[:MOST_ROWS], plan)
    except BadInput as error:
        raise Refused("bad_reference", f"the reference rows in {name} do not fit the columns: {error}") from error
    if not rows:
        raise Refused("bad_reference", f"{name} has no rows: add some typical ones, or leave out preprocess.reference")
    return rows


def _is_free(column: Column) -> bool:
    """Whether the column takes words that the package does not list."""
    return column.missing is None and (column.type == "text" or (column.type == "category" and not column.categories))


def _value(column: Column) -> Any:
    if column.missing is not None:
        return column.missing
    if column.type == "number":
        return column.mean
    return column.categories[0] if column.categories else "1"
