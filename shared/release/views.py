"""How an alias does, as `GET /models/{model}/aliases/{alias}/release` answers it. Nothing is carried out."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.registry.views import ReleasePolicy, Target


class ReleaseMetric(Struct, kw_only=True):
    """Calls of both versions, and how many of them were bad.

    log_e_worse: natural logarithm of the e-value against "the canary is not worse"; log_e_no_loss: of the one against
    "it is worse by the tolerated loss or more". loss_bound: the smallest loss that is excluded; null if none is.
    """

    canary: int
    canary_bad: int
    stable: int
    stable_bad: int
    log_e_worse: float
    log_e_no_loss: float
    loss_bound: float | None


class ReleaseEvidence(Struct, kw_only=True):
    """log_e_worse: of all metrics, with `carried`, which the steps before brought. Enough is `needed`, the natural
    logarithm of 1/alpha: log_e_worse reaches it to roll back, log_e_no_loss of each metric to go on.

    calls: of the canary. first, last: the minutes that were counted, null without any. left_out, dropped: counts that
    cannot be read, and calls that were not counted.
    """

    calls: int
    log_e_worse: float
    carried: float
    needed: float
    first: str | None
    last: str | None
    metrics: dict[str, ReleaseMetric]
    left_out: int
    dropped: int


class ReleaseStage(Struct, kw_only=True):
    """The alias since its last move, which was record `since`. weight: the canary's, in percent; next_step: the one
    after it. minutes: since it began.
    """

    stable: int
    canary: int
    weight: float
    next_step: int
    since: int
    began: str
    minutes: int


class Release(Struct, kw_only=True):
    """policy, stage: null where there is none. verdict: what the next look decides, if no other calls come: null where
    the alias is not watched. reason: why that, or why it is not watched. obstacle: why the verdict would not be carried
    out all the same, as while a move request is open.
    """

    model: str
    alias: str
    revision: int
    target: Target
    policy: ReleasePolicy | None
    stage: ReleaseStage | None
    verdict: Annotated[Literal["wait", "roll-back", "go-on"] | None, Meta(description="null: it is not watched")]
    reason: str
    obstacle: str | None
    evidence: ReleaseEvidence | None
