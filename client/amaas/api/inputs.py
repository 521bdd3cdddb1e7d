"""What a caller has → the body of a call: texts, files, rows and tensors, by what they are and by what the model takes.

The model is asked for only where a value may mean several things: a list of numbers is a row of a table, or a tensor.
Neither numpy nor pandas nor Pillow is imported here: their objects are recognized where the caller has them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from amaas.api import pictures
from amaas.api.held import is_array, is_cell, is_gap, is_pandas, is_picture, known, number
from amaas.api.kinds import JSON, UTF8_TEXT, content_type
from amaas.errors import AmaasError

Json = dict[str, Any]
LARGEST = 64 << 20  # bytes of a file that are read at all
ENVELOPE = {"input", "inputs", "parameters", "id"}  # members of a body as the API takes it
TABULAR, TENSOR = ("tabular", "tabular-regression"), "tensor"
SUFFIXES = (
    ".csv", ".flac", ".gif", ".jpeg", ".jpg", ".json", ".mp3", ".npy", ".ogg", ".png", ".tif", ".txt", ".wav", ".webp"
)  # fmt: skip
IMAGES = ("image-classification", "object-detection", "zero-shot-classification", "embedding")
# str, Path, bytes, an open file, dict, list, tuple, an iterator, an array of numpy, a tensor of another library,
# a table or a row of pandas, an image of Pillow
Value = Any


class Body(NamedTuple):
    content: bytes
    content_type: str


def body(value: Value, given: str | None, describe: Callable[[], Json]) -> Body:
    """The body of /predict and /explain.

    given: the content type that the caller names: a str is then the content itself, and no file's name. describe: the
    model's metadata. Raises AmaasError for what is no input; OSError for a file that cannot be read.
    """
    if isinstance(value, str):
        file = None if given and not _may_be_file(given) else existing_file(value)
        value = file or _encoded_text(value if given else _no_lost_file(value))
        if isinstance(value, bytes):
            return Body(value, given or UTF8_TEXT)
    if isinstance(value, Path):
        raw = _read(value)
        return Body(raw, given or content_type(raw, value.name))
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        return Body(raw, given or content_type(raw, getattr(value, "name", "")))
    if is_picture(value):
        return Body(pictures.of_pillow(value), "image/png")
    try:
        return Body(_dumped(_envelope(value, describe)), given or JSON)
    except RecursionError as error:
        raise AmaasError("the input has lists or dicts within each other, without end") from error


def existing_file(text: str) -> Path | None:
    """The file that a text names; None for a text that names none."""
    if not text or "\n" in text:
        return None
    try:
        return Path(text) if Path(text).is_file() else None
    except (OSError, ValueError):  # too long for a name, or of characters that names have not
        return None


def _no_lost_file(text: str) -> str:
    """A text, unless it can only be meant as a file. Raises AmaasError."""
    if text.lower().endswith(SUFFIXES) and not any(one.isspace() for one in text):
        raise AmaasError(f"there is no file {text[:200]!r}: to send it as a text, give content_type='text/plain'")
    return text


def _may_be_file(given: str) -> bool:
    return not given.startswith("text/plain")


def _encoded_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise AmaasError(f"the text has half a character, which UTF-8 has not: {error}") from error


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise AmaasError(f"{path} is a folder: give one of its files, or a batch job all of them")
    if not path.exists():
        raise AmaasError(f"{path} does not exist: give a file, or a text as str")
    with path.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise AmaasError(f"{path} has more than {LARGEST:,} bytes, far more than a call takes: give it to a batch job")
    return raw


def _envelope(value: Value, describe: Callable[[], Json]) -> Json:
    if isinstance(value, Mapping):
        if set(value) <= ENVELOPE and {"input", "inputs"} & set(value):
            return dict(value)
        task = _task(describe())
        return {"inputs": dict(value)} if task == TENSOR else {"input": _gaps(dict(value), task)}
    if isinstance(value, list | tuple):
        return _of_list(list(value), describe)
    if is_pandas(value):
        return _of_pandas(value, describe)
    if is_array(value):
        return _of_array(value, describe)
    raise AmaasError(
        f"{type(value).__name__} is no input: give a text, a path, bytes, a dict, a list, an array, a table or an image"
    )


def _of_pandas(value: Any, describe: Callable[[], Json]) -> Json:
    """Rows by the names of their columns, of a DataFrame; one row, of a Series."""
    task = _task(describe())
    if task not in TABULAR and not hasattr(value, "columns") and all(isinstance(one, str) for one in value):
        return _of_list(list(value), describe)
    if task not in TABULAR:
        raise AmaasError(f"a model of the task {task} takes no {type(value).__name__}: give what it takes, or an array")
    cells = value.astype(object)
    cells = cells.where(cells.notna(), None)
    if not hasattr(value, "columns"):
        return {"input": _named(cells.to_dict())}
    names = [str(name) for name in value.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AmaasError(f"the table has several columns {twice[0][:80]!r}: give each its own name")
    return {"inputs": [_named(row) for row in cells.to_dict("records")]}


def _named(row: Mapping[Any, Any]) -> Json:
    return {str(name): value for name, value in row.items()}


def _of_list(values: list[Any], describe: Callable[[], Json]) -> Json:
    values = [known(value) for value in values]
    if values and all(isinstance(value, str | bytes | bytearray | Path) or is_picture(value) for value in values):
        return {"inputs": [_member(value) for value in values]}
    described = describe()
    task = _task(described)
    if task == TENSOR:
        return {"inputs": {only_input(described)["name"]: values}}
    one = bool(values) and all(is_cell(value) for value in values)
    return {"input" if one else "inputs": _gaps(values, task)}


def _of_array(array: Any, describe: Callable[[], Json]) -> Json:
    if array.dtype.kind in "OUT" and all(isinstance(text, str) for text in array.ravel().tolist()):
        texts = array.tolist()
        if _task(described := describe()) == TENSOR:
            return {"inputs": {only_input(described)["name"]: texts}}
        return {"input" if isinstance(texts, str) or _task(described) in TABULAR else "inputs": texts}
    described = describe()
    task = _task(described)
    if task == TENSOR:
        return {"inputs": {only_input(described)["name"]: array.tolist()}}
    if task in TABULAR and array.dtype.names:
        rows = [dict(zip(array.dtype.names, row, strict=True)) for row in array.ravel().tolist()]
        return {"inputs": _gaps(rows, task)} if array.ndim else {"input": _gaps(rows[0], task)}
    if task in TABULAR:
        return {"input" if array.ndim == 1 else "inputs": _gaps(array.tolist(), task)}
    if task in IMAGES:
        return _images(array)
    raise AmaasError(f"a model of the task {task} takes no array: give a text or a file")


def _images(array: Any) -> Json:
    """An image of height and width, with channels or not; or several of them."""
    many = array.ndim == 4
    images = list(array) if many else [array]
    encoded = [b64encode(pictures.png(image)).decode() for image in images]
    return {"inputs": encoded} if many else {"input": encoded[0]}


def only_input(described: Json) -> Json:
    """The model's one input. Raises AmaasError for a model of several, which have to be named."""
    inputs: list[Json] = described["inputs"]
    if len(inputs) != 1:
        names = ", ".join(repr(tensor["name"]) for tensor in inputs)
        raise AmaasError(f"the model takes {names}: give a dict with each by its name")
    return inputs[0]


def _task(described: Json) -> str:
    return str((described.get("parameters") or {}).get("task", TENSOR))


def _gaps(value: Any, task: str) -> Any:
    """Rows with None where there is no number: JSON has none for NaN, and tables say what a gap means."""
    if task not in TABULAR:
        return value
    if isinstance(value, list | tuple):
        return [_gaps(one, task) for one in value]
    if isinstance(value, Mapping):
        return {name: _gaps(one, task) for name, one in value.items()}
    if is_pandas(value) and not hasattr(value, "columns"):
        return _gaps(_named(value.to_dict()), task)
    return None if is_gap(value) else value


def _member(value: Any) -> str:
    """Of a list: a text as it is, a file's content as text, or in base64."""
    if isinstance(value, str):
        return value
    raw = pictures.of_pillow(value) if is_picture(value) else _read(value) if isinstance(value, Path) else bytes(value)
    name = str(getattr(value, "name", ""))
    return raw.decode() if content_type(raw, name).startswith("text/") else b64encode(raw).decode()


def _plain(value: Any) -> Any:
    """What JSON has no form for: numbers and arrays of numpy, files, images. Raises AmaasError for all else."""
    value = known(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, bytes | bytearray | Path) or is_picture(value):
        return _member(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list):
        return value
    if (plain := number(value)) is not None:
        return plain
    raise AmaasError(f"{type(value).__name__} is no value that JSON has: give texts, numbers, lists or dicts")


def _of_tensor(value: Any) -> Any:
    """As _plain, of an element of a tensor: bytes are text there, which is UTF-8, and no file."""
    if not isinstance(value, bytes | bytearray):
        return _plain(value)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise AmaasError(
            f"a tensor's text is UTF-8, which {bytes(value)!r:.40} is not: decode it, or send it in base64 to a model "
            "that takes that"
        ) from error


def _dumped(document: Any, plain: Callable[[Any], Any] = _plain) -> bytes:
    try:
        return json.dumps(document, default=plain, allow_nan=False).encode()
    except ValueError as error:  # also of a list within itself
        raise AmaasError(
            f"the input cannot be sent as JSON, which has no NaN and no infinity ({error}): use None for a gap in a "
            "table, and Client.infer_binary for tensors"
        ) from error
    except TypeError as error:
        raise AmaasError(f"the input cannot be sent as JSON: {error}") from error


# ---- the Open Inference Protocol


def tensors(value: Value, describe: Callable[[], Json]) -> bytes:
    """The body of /infer: a request as it is, one array, or arrays and lists by their names. Raises AmaasError."""
    if isinstance(value, Mapping) and isinstance(value.get("inputs"), list):
        return _dumped(value)
    described = describe()
    if not isinstance(value, Mapping):
        value = {only_input(described)["name"]: value}
    optional = (described.get("parameters") or {}).get("optional_inputs") or []
    declared = {tensor["name"]: tensor for tensor in [*described["inputs"], *optional]}
    for name in value:
        if name not in declared:
            raise AmaasError(f"the model has no input {str(name)[:80]!r}: it takes {', '.join(map(repr, declared))}")
    return _dumped({"inputs": [_tensor(declared[name], data) for name, data in value.items()]}, _of_tensor)


def _tensor(declared: Json, data: Any) -> Json:
    nested = data.tolist() if is_array(data) else data
    shape = list(data.shape) if is_array(data) else _shape(nested, str(declared["name"]))
    return {"name": declared["name"], "datatype": declared["datatype"], "shape": shape, "data": nested}


def _shape(nested: Any, name: str) -> list[int]:
    """Of lists within lists, which have to be of one length."""
    if not isinstance(nested, list | tuple):
        return []
    inner = [_shape(one, name) for one in nested]
    if any(shape != inner[0] for shape in inner):
        raise AmaasError(f"the lists of input {name!r} are of different lengths: a tensor has rows of one length")
    return [len(nested), *(inner[0] if inner else [])]
