"""From what stands behind --data to a Source: data sets by name, in s3://, files and folders by their kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from training.data import folders, images, parquet, records, s3, sounds, tables, texts
from training.data.named import fashion_mnist, fortunes, languages, sklearn_tables, spoken_digits
from training.data.named import torchvision_sets as torchvision
from training.data.records import Records
from training.data.source import PLURAL, Options, Report, Source, check_utf8
from training.errors import TrainingError
from training.options import KindName

NAMED: dict[str, Callable[[Path, Report], Source]] = {
    "fashion-mnist": fashion_mnist.source,
    "fortunes": fortunes.source,
    "languages": languages.source,
    "spoken-digits": spoken_digits.source,
    **{name: partial(sklearn_tables.source, name) for name in sklearn_tables.ABOUT},
}
FITS: dict[KindName, set[str]] = {
    "image": {"--size", "--target", "--group"},
    "text": {"--text", "--target", "--group", "--delimiter"},
    "audio": {"--rate", "--target", "--group"},
    "table": {"--target", "--group", "--delimiter", "--decimal"},
}
LONG = 20  # characters of a text that is to be read, on average; categories are shorter


def named(name: str) -> bool:
    """Whether it is a data set with a name of its own, of which nothing is left to choose."""
    return name in NAMED or torchvision.called(name) is not None


def find(name: str, root: Path, options: Options, report: Report) -> Source:
    """Read a data set. root: the cache of downloads. Raises TrainingError."""
    if named(name):
        if chosen := sorted(options.chosen()):
            raise TrainingError(f"{name} is read in one way only: omit {', '.join(chosen)}")
        if name in NAMED:
            return NAMED[name](root, report)
        return torchvision.source(str(torchvision.called(name)), root, report)
    if name.startswith(s3.SCHEME):
        source = _read(s3.fetch(name, root), options, report)
        source.about["source"] = name
        return source
    path = Path(name)
    if not path.exists():
        raise TrainingError(
            f"{name!r} is not a data set: use {', '.join([*NAMED, *torchvision.SHORT])}, {torchvision.PREFIX}NAME, "
            "a folder with a folder per class, a CSV, JSONL or Parquet file, or one of these in s3://"
        )
    for place in (path, path.resolve()):
        check_utf8(place, "data set")
    return _read(path, options, report)


def _read(path: Path, options: Options, report: Report) -> Source:
    in_folders = folders.kind_of(path) if path.is_dir() else None
    parts = {} if in_folders else records.read(path, report, options.delimiter, options.decimal)
    groups = {split: part.aside(options.group, report) for split, part in parts.items()} if options.group else {}
    kind = options.task or in_folders or guess(parts["train"], options)
    if strange := sorted(options.chosen() - FITS[kind] - {"--task"}):
        raise TrainingError(f"{path} holds {PLURAL[kind]}, for which {', '.join(strange)} means nothing: omit it")
    options = options.filled(FITS[kind])
    if parts:
        source = _of_rows(parts, kind, path, options, report)
        if groups:
            source.groups = {split: [groups[split][place] for place in source.names[split]] for split in source.splits}
        return source
    if kind == "table":
        raise TrainingError(
            f"{path} has folders, and no rows: a table is a file of {', '.join(sorted(records.SUFFIXES))}"
        )
    if columns := sorted(options.chosen() & FITS["text"]):
        raise TrainingError(f"{path} has its classes as folders: omit {', '.join(columns)}")
    reader = {"image": images.from_folder, "text": texts.from_folder, "audio": sounds.from_folder}[kind]
    return reader(path, options, report)


def _of_rows(parts: dict[str, Records], kind: KindName, path: Path, options: Options, report: Report) -> Source:
    if kind in parquet.DECODED:
        return parquet.source(parts, kind, path, options, report)
    return {"text": texts.from_records, "table": tables.from_records}[kind](parts, path, options, report)


def guess(train: Records, options: Options) -> KindName:
    """What rows hold, where nobody says it with --task. (Of class folders it is what most of their files are.)

    Images or sounds, if a column holds encoded bytes (sounds, if it is called `audio`). Texts, if --text is given, if
    the columns `text` and `label` are there, or if there are just two, and the longer one's values are texts of 20
    characters on average. Else a table.
    """
    if encoded := parquet.column(train):
        return "audio" if encoded == "audio" else "image"
    if options.text or {texts.TEXT, texts.LABEL} <= set(train.columns):
        return "text"
    if len(train.columns) == 2 and max(texts.length(train, name) for name in train.columns) >= LONG:
        return "text"
    return "table"
