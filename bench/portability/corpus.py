"""Every case, in one list."""

from __future__ import annotations

from bench.portability import microsoft, nested, qdq, qoperator, weightonly
from bench.portability.graphs import Case

MODULES = (qoperator, qdq, microsoft, weightonly, nested)


def cases(form: str = "as is") -> list[Case]:
    """The same graphs, feeds included, on every run. form: of signed 8-bit weights, one of graphs.FORMS."""
    every = [case for module in MODULES for case in module.cases(form)]
    names = [case.name for case in every]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"two cases have one name: {repeated}")
    return every
