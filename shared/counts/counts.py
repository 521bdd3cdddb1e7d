"""What is counted of calls: sums only, so that what any number of processes counted is added in any order.

No value that a caller sent or a model answered is in them: only how many there were in fixed bins, and how often each
of a model's own labels was the best one.
"""

# no `from __future__ import annotations`: msgspec resolves the texts at import

from typing import Any

from msgspec import Struct, field

from shared.counts.bins import SCORES as SCORES
from shared.counts.bins import Histogram

PHASES = ("resolve", "load", "pre", "run", "post", "total")
MOST_LABELS = 64  # of a model that are counted by name
OTHER = "other"


class Counts(Struct, kw_only=True, omit_defaults=True):
    """Of one key and minute. All members are sums, or histograms of sums.

    client_errors, server_errors: calls answered with 4xx and 5xx; errors: by the kind of the error, as the log has it.
    latency: durations by phase, bins.py; ns: their sums. cold: first calls of a process; cold_ms: the times that these
    processes took to be ready. loads: calls that loaded the model; the others found it loaded.
    billed_ms: for each call, from its event to its answer, rounded up to whole ms, as Lambda bills. Not in it: reading
    the event, work after the answer (shadows, these counts), and the start of a process. billed_by_mb, cold_by_mb:
    both times by the MB of memory that the function had; what they lack is of processes that did not know.
    scores: items by their top score, bins 0 to 19. labels: items by their best label. items: that have features;
    features: items by bins of the version's reference, see bins.place; an item is one image, text, row or sound.
    placed: calls whose items have features; out_of_range: those of them with an item outside of the reference's range.
    shadow: compared, different, failed, dropped. absent members are zero.
    """

    requests: int = 0
    client_errors: int = 0
    server_errors: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    routes: dict[str, int] = field(default_factory=dict)
    latency: dict[str, Histogram] = field(default_factory=dict)
    ns: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    cold: int = 0
    cold_ms: int = 0
    loads: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    billed_ms: int = 0
    billed_by_mb: dict[str, int] = field(default_factory=dict)
    cold_by_mb: dict[str, int] = field(default_factory=dict)
    scores: Histogram = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    items: int = 0
    features: dict[str, Histogram] = field(default_factory=dict)
    placed: int = 0
    out_of_range: int = 0
    shadow: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Counts") -> None:
        """Add the other's to these."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _TABLES:
            _add(getattr(self, name), getattr(other, name))


_NUMBERS = tuple(name for name in Counts.__struct_fields__ if isinstance(getattr(Counts(), name), int))
_TABLES = tuple(name for name in Counts.__struct_fields__ if name not in _NUMBERS)


def _add(to: dict[Any, Any], more: dict[Any, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            _add(to.setdefault(name, {}), value)
        else:
            to[name] = to.get(name, 0) + value


class Key(Struct, frozen=True, order=True):
    """Whose calls are counted together. alias: by which the version was found, `production` where the caller named
    none; empty for a version's number. since: the revision that set the alias to its target, 0 without an alias: so
    the calls of one step of a canary are told from those of another without any clock.
    """

    model: str
    version: int
    alias: str = ""
    since: int = 0


class Row(Struct, frozen=True, kw_only=True):
    """Counts of a key from a time on. at: in minutes since the epoch; how long it lasts says who holds the row."""

    model: str
    version: int
    alias: str = ""
    since: int = 0
    at: int
    counts: Counts

    @property
    def key(self) -> Key:
        return Key(self.model, self.version, self.alias, self.since)


Table = dict[tuple[Key, int], Counts]


def add_rows(table: Table, rows: list[Row], minutes: int = 1) -> None:
    """Add rows to a table by key and time. minutes: the length of the table's steps."""
    for row in rows:
        table.setdefault((row.key, row.at - row.at % minutes), Counts()).add(row.counts)


def by_version(table: Table) -> dict[int, Counts]:
    """Of one model's table: sums over aliases and time."""
    sums: dict[int, Counts] = {}
    for (key, _), counts in table.items():
        sums.setdefault(key.version, Counts()).add(counts)
    return sums


def to_rows(table: Table) -> list[Row]:
    return [
        Row(model=key.model, version=key.version, alias=key.alias, since=key.since, at=at, counts=counts)
        for (key, at), counts in sorted(table.items(), key=lambda entry: entry[0])
    ]
