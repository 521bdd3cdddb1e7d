"""Stored forms of releases that are watched: the policy of an alias, and the evidence in a record.

No member has its default left out: what an old record means must not change with a default of ours.
"""

# no `from __future__ import annotations`: see state.py

from msgspec import Struct, field

ALL = 100  # percent
SERVER_ERRORS, SLOW, SHADOW_DIFFERS, OUT_OF_RANGE = "server_errors", "slow", "shadow_differs", "out_of_range"
WRONG_LABEL = "wrong_label"
METRICS = (SERVER_ERRORS, SLOW, SHADOW_DIFFERS, OUT_OF_RANGE, WRONG_LABEL)
WATCHER = "watcher"  # who changes aliases by evidence; tokens' ids are longer


class ReleasePolicy(Struct, frozen=True, kw_only=True):
    """How a canary of an alias is watched.

    steps: the canary's weight in percent, rising, the last one 100. bake_minutes, least_requests: how long a step lasts
    at least, and how many calls the canary has to have had in it. tolerated_loss: how many more of the canary's calls
    may be bad, as a fraction of them. alpha: how probable a wrong rollback may be, over all steps of a release; also of
    each step, how probable it may be that a loss above the tolerated one is taken for none. abort: roll back by itself.
    promote: go on by itself. metrics: what is bad, of METRICS.
    """

    steps: tuple[int, ...] = (5, 25, 50, ALL)
    bake_minutes: int = 30
    least_requests: int = 200
    tolerated_loss: float = 0.01
    alpha: float = 0.01
    abort: bool = True
    promote: bool = False
    metrics: tuple[str, ...] = (SERVER_ERRORS,)


class Measured(Struct, frozen=True, kw_only=True):
    """Calls of both versions, and how many were bad. log_e: natural logarithm of the e-value that the verdict rests on.

    loss_bound: the smallest loss that is excluded; None if none is.
    """

    canary: int
    canary_bad: int
    stable: int
    stable_bad: int
    log_e: float
    loss_bound: float | None


class Evidence(Struct, frozen=True, kw_only=True):
    """Why the watcher moved an alias. verdict: `worse` (back), `no-loss` (a step on); `open` while it waits.

    since: the alias' own `since` that was judged. stable, canary: versions. log_e_worse: natural logarithm of the
    e-value against "the canary is not worse": the mean over metrics, times that of the steps before, which is
    `carried`. first, last: the minutes that were counted, UTC. policy: by which it was judged.
    """

    verdict: str
    since: int
    stable: int
    canary: int
    log_e_worse: float
    carried: float
    first: str
    last: str
    metrics: dict[str, Measured] = field(default_factory=dict)
    policy: ReleasePolicy = field(default_factory=ReleasePolicy)


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who may move an alias. protected: only callers with scope promote. two_person: only approved move requests do.

    release: how its canaries are watched; None: not at all.
    """

    protected: bool = False
    two_person: bool = False
    release: ReleasePolicy | None = None
