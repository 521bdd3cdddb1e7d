"""Whether a version may answer on this kind of processor: it is proven on load where the gate ran on another kind.

The gate vouches for the kind that it ran on. On another, samples that the gate kept with the version are replayed when
the version is loaded; that takes milliseconds, and where models are loaded before the first call no caller waits for
it. What a gate has registered that did not look at processors yet is served where 8-bit sums cannot be cut off.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared import metrics
from shared.package.manifest import Manifest
from shared.registry.state import Version

if TYPE_CHECKING:
    from shared.runtime.signature import Session

SECONDS = 0.05  # of replaying; one sample is tried in any case
logger = logging.getLogger(__name__)


def find_refusal(
    name: str, version: Version, manifest: Manifest, session: Session, read: Callable[[str], bytes]
) -> str | None:
    """Why the version is not served on this processor, or None. read: a blob by its digest. Raises Unavailable."""
    from shared.runtime import processor

    checked_on = _recorded_processor(manifest).get("kind")
    if checked_on == processor.kind():
        return None
    started = time.perf_counter()
    reason = _find_unproven(manifest) if checked_on is None else _replay_samples(version, session, read)
    milliseconds = round((time.perf_counter() - started) * 1000, 2)
    fields = {"model": name, "version": version.version, "processor": processor.kind(), "gate": checked_on}
    if reason is None:
        if checked_on is not None:
            logger.info("vouched", extra={"milliseconds": milliseconds, **fields})
        return None
    logger.error("not served on this processor", extra={"why": reason, **fields})
    metrics.emit("ProcessorMismatch", 1, service="vouching")  # for the alarm
    metrics.emit("ProcessorMismatch", 1, service="vouching", model=name)
    return (
        f"version {version.version} of {name!r} is not served on this processor ({processor.kind()}): {reason}. "
        "Roll back to another version, or push the model again"
    )


def _recorded_processor(manifest: Manifest) -> dict[str, Any]:
    runtime = (manifest.gate or {}).get("runtime") or {}
    return runtime.get("processor") or {}


def _replay_samples(version: Version, session: Session, read: Callable[[str], bytes]) -> str | None:
    from shared.runtime import samples

    digest = version.files.get(samples.FILE)
    if digest is None:  # nothing that could be made up ran, or no sample is small enough
        return None
    return samples.replay(session, samples.decode(read(digest)), SECONDS)


def _find_unproven(manifest: Manifest) -> str | None:
    """Of a version whose gate did not look at processors."""
    from shared.runtime import processor, products

    operators = (manifest.gate or {}).get("operators") or {}
    if not processor.cuts_off_sums() or products.EIGHT_BIT.isdisjoint(operators):
        return None
    return "it was checked before processors were compared, and its 8-bit sums may be cut off here; it is checked again"
