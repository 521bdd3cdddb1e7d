"""What a package declares of rows: their columns, gaps, categories, and how their CSV files are written."""

# annotations are not kept as text: as in processing

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from shared.errors import BadInput
from shared.package.fields import FileName

Name = Annotated[str, Meta(min_length=1, max_length=200)]
AnyName = Annotated[str, Meta(max_length=200)]  # "" of a data frame's index, as it is saved
Word = Annotated[str, Meta(min_length=1, max_length=50)]


class Csv(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the CSV files of a table are written. delimiter: between fields. decimal: before the fraction of a number."""

    delimiter: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."


CSV_OPTIONS = Csv.__struct_fields__  # by these names, callers say it of their own files


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column of a table. input: the model's input that it goes to; omitted, the one of its name, or the only one.

    missing: what stands in for an absent value, "nan" for models that take NaN for one; without it, absence is an
    error. categories: in the order of their codes, numbers as numbers: 2, 2.0 and the text "2" of a CSV are the same
    one; encode: as one code, or as one column each. unknown: the code of values that are no category (in one-hot there
    is none, so -1 is all zeros); without it they are an error. booleans: whether a column of numbers takes true and
    false, too, as 1 and 0. A number becomes (value - mean) / std.
    """

    name: Name
    type: Literal["number", "category", "text"] = "number"
    input: str | None = None
    missing: int | float | bool | str | None = None
    categories: Annotated[list[str | int | float | bool], Meta(max_length=100_000)] = field(default_factory=list)
    encode: Literal["code", "one-hot"] = "code"
    unknown: int | None = None
    booleans: bool = False
    mean: float = 0.0
    std: float = 1.0


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="table"):
    """How rows become tensors: columns side by side in their order, or each to an input of its own.

    reference: a CSV file of the package with typical rows, against which predictions are explained. gaps: words that
    stand for an absent value, as NA, beside empty text, null and NaN. target: the column that the model was trained to
    tell: rows may have it, and nobody looks at it. ignored: more columns that rows may have and nobody looks at. csv:
    how its CSV files are written, if not with commas and points.
    """

    columns: Annotated[list[Column], Meta(min_length=1, max_length=10_000)]
    reference: FileName | None = None
    # absent in what is stored, where a package has none: the last release can read that
    gaps: Annotated[list[Word], Meta(max_length=100)] | UnsetType = UNSET
    target: Name | UnsetType = UNSET
    ignored: Annotated[list[AnyName], Meta(max_length=10_000)] | UnsetType = UNSET
    csv: Csv | UnsetType = UNSET


def csv_of(declared: Csv | UnsetType | None) -> tuple[str, str]:
    """What stands between fields, and before fractions."""
    written = declared or Csv()
    return written.delimiter, written.decimal


def input_of(column: Column, inputs: list[str]) -> str:
    """The model's input that a column goes to. Raises BadInput when there is none."""
    name = column.input or (column.name if column.name in inputs else inputs[0] if len(inputs) == 1 else None)
    if name not in inputs:
        raise BadInput(f"column {column.name!r} goes to no input of the model: name one of {inputs} as its input")
    return name
