"""Example inputs, as a caller would send them: a gray image, silence, a sentence, a row. The smoke test uses them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from shared.errors import BadInput
from shared.package import processing
from shared.package.manifest import Manifest
from shared.package.table import Column, Table, csv_of
from shared.serving.loaded import Loaded
from shared.values import cells

if TYPE_CHECKING:
    from shared.runtime.tokens import Tokenizer

JSON, CSV = "application/json", "text/csv"
SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody knows why."
# for tokenizers that cut one text of a pair, and refuse what is still too long: all other texts, or all others' pairs
SHORT = ("why", {"text": "why", "pair": SENTENCE}, {"text": SENTENCE, "pair": "why"})

Shapes = Mapping[str, list[int]]


class Example(NamedTuple):
    """conclusive: a failure proves the package wrong, as the model has to take such values if it takes any.

    False where values are guessed, as the words of a table's column.
    """

    body: bytes
    content_type: str
    conclusive: bool = True


def of_kind(loaded: Loaded, shapes: Shapes) -> Iterator[Example]:
    """Inputs of the kind that the model takes, the likeliest to be answered first.

    shapes: of input tensors that the model has run on. Raises BadInput where the model's signature has no place for
    such an input.
    """
    makers: dict[str | None, Callable[[Loaded, Shapes], Iterator[Example]]] = {
        "image": _images,
        "audio": _sounds,
        "table": _rows,
        "text": _texts,
    }
    return makers[loaded.manifest.input_kind](loaded, shapes)


def prepare(manifest: Manifest) -> None:
    """Import, and use once, what would open files later."""
    kind = manifest.input_kind
    if kind == "image":
        from shared.serving.inputs import images

        images.decode(png(2, 2), "L")
    elif kind == "audio":
        import numpy.fft  # noqa: F401 - numpy itself does so when it is first used

        from shared.serving.inputs import sounds

        sounds.decode(wav(64, 16_000), 8_000)
    elif isinstance(manifest.preprocess, Table):
        from shared.serving.inputs import tables

        with suppress(BadInput):  # csv, and the codec of its text
            tables.parse_csv(b"a\n1\n", manifest.preprocess)
    if processing.text_plan(manifest.preprocess, manifest.postprocess) is not None:
        from shared.runtime import tokens  # noqa: F401 - as above


def _images(loaded: Loaded, shapes: Shapes) -> Iterator[Example]:
    from shared.serving.inputs import images

    tensor, plan = images.signature(loaded)
    yield Example(png(224, 224), "image/png")
    if images.any_size(loaded) and tensor.name in shapes:
        height, width = shapes[tensor.name][2:4] if plan.layout == "NCHW" else shapes[tensor.name][1:3]
        yield Example(png(width, height), "image/png")


def png(width: int, height: int) -> bytes:
    from PIL import Image

    body = io.BytesIO()
    Image.new("RGB", (width, height), (128, 128, 128)).save(body, "PNG")
    return body.getvalue()


def _sounds(loaded: Loaded, shapes: Shapes) -> Iterator[Example]:
    from shared.serving.inputs import sounds

    tensor, plan = sounds.signature(loaded)
    yield Example(wav(max(plan.sample_rate, 2 * plan.n_fft), plan.sample_rate), "audio/wav")
    if plan.seconds is None and plan.features == "waveform" and tensor.name in shapes:
        yield Example(wav(shapes[tensor.name][-1], plan.sample_rate), "audio/wav")


def wav(samples: int, rate: int) -> bytes:
    import numpy as np
    import soundfile

    body = io.BytesIO()
    soundfile.write(body, np.zeros(samples, np.int16), rate, format="WAV")
    return body.getvalue()


def _texts(loaded: Loaded, shapes: Shapes) -> Iterator[Example]:
    for text in (SENTENCE, " ".join([SENTENCE] * 8), *_vocabulary_texts(loaded), *SHORT):
        yield Example(msgspec.json.encode({"input": text}), JSON)


def _vocabulary_texts(loaded: Loaded) -> list[str]:
    """What the tokenizer knows: it may be one of another alphabet, or of none."""
    from shared.serving.inputs import texts

    if texts.plan_of(loaded).tokenizer is None:
        return []
    return cast("Tokenizer", texts.load_tokenizer(loaded)).vocabulary_texts()  # the gate's process is a wall itself


def _rows(loaded: Loaded, shapes: Shapes) -> Iterator[Example]:
    from shared.serving.inputs import tables

    plan = tables.declared(loaded)
    if plan.reference is not None:
        yield Example(msgspec.json.encode({"inputs": tables.reference(loaded)[:8]}), JSON)
        return
    conclusive = not any(_is_free(column) for column in plan.columns)
    row = {column.name: _value(column) for column in plan.columns}
    yield Example(msgspec.json.encode({"inputs": [row]}), JSON, conclusive)
    yield Example(_as_csv(row, plan), CSV, conclusive)


def _as_csv(row: dict[str, Any], plan: Table) -> bytes:
    """A row as spreadsheets write it: without types, in the package's own dialect."""
    import csv

    delimiter, decimal = csv_of(plan.csv)
    numbers = {column.name for column in plan.columns if column.type == "number"}
    spelled = [
        cells.text(value).replace(".", decimal) if name in numbers else cells.text(value) for name, value in row.items()
    ]
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter).writerows([list(row), spelled])
    return written.getvalue().encode()


def _is_free(column: Column) -> bool:
    """Whether the column takes words that the package does not list."""
    return column.missing is None and (column.type == "text" or (column.type == "category" and not column.categories))


def _value(column: Column) -> Any:
    if column.type == "number":
        return column.mean if column.missing is None or cells.is_nan(column.missing) else column.missing
    if column.missing is not None:
        return column.missing
    return column.categories[0] if column.categories else "1"
