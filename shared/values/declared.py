"""What an uploaded package may say of its table, beyond its schema and shared/package/bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.errors import BadInput
from shared.package.table import Column, Table
from shared.values import cells
from shared.values.cells import Categories

MOST_NAMED = 5


def check(plan: Any) -> None:
    """Raises BadInput that lists what is wrong with `preprocess`. Only tables are looked at."""
    faults = list(_faults(plan)) if isinstance(plan, Table) else []
    if faults:
        raise BadInput("amaas.json: " + "; ".join(faults[:MOST_NAMED]))


def _faults(plan: Table) -> Iterator[str]:
    for column in plan.columns:
        for one, other in Categories(column.categories).alike[:MOST_NAMED]:
            yield f"the column {column.name!r} has one category twice: {one!r:.40} and {other!r:.40}"
        if column.booleans and column.type != "number":
            yield f"the column {column.name!r} has booleans, and type {column.type}: only numbers take them beside"
        if column.type == "number" and not _is_number(column):
            yield f'the column {column.name!r} has numbers, and missing {column.missing!r:.40}: write a number or "nan"'
    names = [column.name for column in plan.columns]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        yield f"the columns {twice[:MOST_NAMED]} are declared more than once"
    if plan.target and plan.target in names:
        yield f"the target {plan.target!r} is one of the columns: the model cannot be fed what it is to tell"
    if plan.ignored and (both := sorted({*plan.ignored} & {*names})):
        yield f"the columns {both[:MOST_NAMED]} are ignored, and declared"
    if plan.csv and plan.csv.delimiter == plan.csv.decimal:
        yield "csv has a comma between fields and before fractions, so no file can be read"


def _is_number(column: Column) -> bool:
    """Whether what stands for a gap is one."""
    if column.missing is None or cells.is_nan(column.missing):
        return True
    if column.booleans and cells.truth(column.missing) is not None:
        return True
    try:
        cells.number(column.missing)
    except ValueError:
        return False
    return True
