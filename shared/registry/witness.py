"""What others have seen of a model's log: revisions that it once had, and must still have.

A log whose newest record was removed together with the head that was made from it is a valid, shorter log. The catalog
and the scrubber keep the revision that they saw last under keys of their own; the scrubber's can be written by its
function alone (template.yaml: DataPolicy).
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from shared import formats, keys
from shared.formats import DAMAGED
from shared.storage.base import ObjectNotFound, Store


class Problem(Struct, frozen=True):
    revision: int
    what: str


class Seen(Struct, frozen=True):
    """The newest record of a log that was seen. at: for readers."""

    revision: int
    digest: str = ""
    at: str = ""


class ScrubState(Struct, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """What the scrubber keeps between two runs.

    seen: by model. model, blob: the last that this round has read; None before the first and after the last one.
    round_began: seconds since the epoch; 0 before the first round. rounded: the same of the last complete round.
    problems: of this round so far.
    """

    seen: dict[str, Seen] = field(default_factory=dict)
    model: str | None = None
    blob: str | None = None
    models_done: bool = False
    round_began: float = 0.0
    rounded: float = 0.0
    problems: int = 0


class _Revision(Struct):
    revision: int = 0


class _Index(Struct):
    """The members of the catalog that are read here, in any format of it."""

    models: dict[str, _Revision] = {}


SCRUB_STATE = msgspec.json.Decoder(ScrubState)
INDEX = msgspec.json.Decoder(_Index)


def read_state(store: Store) -> tuple[ScrubState, str | None]:
    """The scrubber's state and its ETag; an empty one and None where there is none. Raises TooNew, Unavailable."""
    try:
        stored = store.get(keys.SCRUB)
    except ObjectNotFound:
        return ScrubState(), None
    return formats.decode(SCRUB_STATE, stored.body, "the scrubber's state"), stored.etag


def newest(store: Store, model: str) -> int:
    """The highest revision at which a model was seen; 0 if nobody saw it. Two requests.

    To be called before the log is listed: a revision that is seen later may be newer than the list.
    """
    state, _ = read_state(store)
    return max(state.seen.get(model, Seen(0)).revision, in_catalog(store).get(model, 0))


def missing(revision: int, seen: int) -> list[Problem]:
    """That records after `revision`, the newest one of a log, were seen before."""
    if seen <= revision:
        return []
    which = f"record {seen} is" if seen == revision + 1 else f"the records up to {seen} are"
    return [Problem(revision + 1, f"{which} missing: the catalog or the scrubber has seen that revision before")]


def in_catalog(store: Store) -> dict[str, int]:
    """The revisions at which the catalog has models; none if it cannot be read, as it is derived data."""
    try:
        return {name: one.revision for name, one in INDEX.decode(store.get(keys.CATALOG).body).models.items()}
    except (ObjectNotFound, *DAMAGED):
        return {}
