"""Make a registered model smaller or faster: search here, register what is worth it, measure where it is served.

The search is training/compress, run by the Python of the training environment; this side imports none of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amaas.api import tensors
from amaas.errors import AmaasError, Rejected
from amaas.local.training import importing

if TYPE_CHECKING:
    import numpy as np

    from amaas.client import Client

Json = dict[str, Any]
PARENT, ALIAS = "parent", "production"
FIGURES = ("pareto.json", "pareto.svg")
STDERR = 2
TURNS, CALLS, WARM = 12, 5, 3  # in each turn, every version is asked CALLS times
CLEAR = 0.75  # share of the turns in which a version has to be faster, or slower, to be called that


@dataclass
class Speed:
    """Of one version: milliseconds of each round trip, and of the model alone in each turn, where the service said."""

    trips: list[list[float]] = field(default_factory=list)
    served: list[float | None] = field(default_factory=list)

    def turns(self, own: bool) -> list[float]:
        return [one for one in self.served if one is not None] if own else [min(turn) for turn in self.trips]


def registered(client: Client, model: str, version: str, package: Path) -> Json:
    """The version's manifest, after making sure that the folder is what was uploaded as it. Raises AmaasError.

    The service hands no models out, so the folder has to be at hand; its digest says whether it is the right one.
    """
    found = client.version(model, version)
    if not (package / "model.onnx").is_file():
        raise AmaasError(f"{package} is no package: it has no model.onnx")
    digest = _digest(package)
    if found.get("source") not in (None, digest):
        raise AmaasError(
            f"{package} is not what version {found['version']} of {model} was made from (its model.onnx has the digest "
            f"{digest[:12]}…, registered is {found['source'][:12]}…): give that folder, or name another version"
        )
    return found


def _digest(package: Path) -> str:
    return hashlib.sha256((package / "model.onnx").read_bytes()).hexdigest()


def search(python: Path, home: Path, package: Path, out: Path, more: Sequence[str]) -> Json:
    """Run the search in the caller's folder, whose paths `more` has; it prints on standard error. Returns pareto.json.

    home: the checkout. Raises AmaasError when it fails.
    """
    command = [python, "-m", "training.compress", "search", package.absolute(), "--out", out.absolute(), *more]
    done = subprocess.run([str(part) for part in command], env=importing(home), stdout=STDERR, check=False)
    if done.returncode:
        raise AmaasError(f"the search ended with exit status {done.returncode}; what it said is above")
    return dict(json.loads((out / "pareto.json").read_text(encoding="utf-8")))


def keep(out: Path, place: Path) -> None:
    """Figures and plot of a search in `out`, which may be temporary, into `place`, over those of one before."""
    if out == place:
        return
    place.mkdir(parents=True, exist_ok=True)
    for name in FIGURES:
        shutil.copyfile(out / name, place / name)


def worth(report: Json) -> list[Json]:
    """The rows to register, parents first: those that no other beats, and what they were made from."""
    rows = {row["step"]: row for row in report["steps"]}
    wanted = {name for name, row in rows.items() if row["pareto"] and name != PARENT}
    under = {name.partition("+")[0] for name in wanted}
    return [row for name, row in rows.items() if name in (wanted | under) and name != PARENT]


def register(client: Client, model: str, out: Path, rows: list[Json], told: Callable[[str], None]) -> None:
    """Push each row's package; notes `version`, or `refused` with the service's reason, in the row.

    What a search before this one has registered, is not registered again.
    """
    there = {one.get("source"): one["version"] for one in client.model(model)["versions"] if one["state"] == "active"}
    for row in rows:
        if known := there.get(_digest(out / row["step"])):
            row["version"] = known
            told(f"{row['step']}: is version {known} already")
            continue
        try:
            state = client.push(out / row["step"], model)
        except Rejected as error:
            row["refused"] = str(error)
            told(f"{row['step']}: not registered: {error}")
            continue
        row["version"] = state["version"]
        told(f"{row['step']}: version {state['version']} is registered")


def golden(package: Path) -> dict[str, np.ndarray]:
    """The first row of the golden inputs: what a single caller sends. Raises AmaasError."""
    np = tensors.numpy()
    path = package / "golden.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name[6:]: file[name][:1] for name in file.files if name.startswith("input.")}
    except (OSError, ValueError) as error:
        raise AmaasError(f"{path} cannot be read ({error}): latency is measured with the golden inputs") from error
    if not found:
        raise AmaasError(f"{path} has no arrays input.<name>: latency is measured with the golden inputs")
    return found


def measured(client: Client, model: str, versions: list[int], inputs: dict[str, np.ndarray]) -> dict[int, Speed]:
    """Ask all versions in turns, so that whatever else the service does meets them alike; the first calls do not count.

    The model's own time is taken from the service's statistics where all calls of a turn were answered by the process
    that is asked for them, and they are in it.
    """
    found = {version: Speed() for version in versions}
    for version in versions:
        for _ in range(WARM):
            client.infer_binary(model, inputs, version)
    for turn in range(TURNS):
        for version in versions if turn % 2 else reversed(versions):
            before = _counted(client, model, version)
            trips = []
            for _ in range(CALLS):
                started = time.perf_counter()
                client.infer_binary(model, inputs, version)
                trips.append((time.perf_counter() - started) * 1e3)
            after = _counted(client, model, version)
            found[version].trips.append(trips)
            calls, spent = after[0] - before[0], after[1] - before[1]
            found[version].served.append(spent / calls / 1e6 if calls == CALLS else None)
    return found


def _counted(client: Client, model: str, version: int) -> tuple[int, int]:
    """How many runs of the model, and their nanoseconds."""
    spent = client.statistics(model, version)["inference_stats"]["compute_infer"]
    return int(spent["count"]), int(spent["ns"])


def compared(rows: list[Json], base: int, speeds: dict[int, Speed]) -> str:
    """Note in each row `latency_ms`, `round_trip_ms` and `speed`: faster, slower or alike. Returns what was compared.

    base: the version that the others are compared with, turn by turn.
    """
    own = all(None not in speed.served for speed in speeds.values())
    reference = speeds[base].turns(own)
    for row in rows:
        if row.get("version") not in speeds:
            continue
        speed = speeds[row["version"]]
        turns = speed.turns(own)
        row["latency_ms"] = round(statistics.median(turns), 4)
        row["round_trip_ms"] = round(statistics.median(trip for turn in speed.trips for trip in turn), 3)
        row["speed"] = _verdict(turns, reference) if row["version"] != base else "alike"
    return "the model's own time" if own else "round trips"


def _verdict(turns: list[float], reference: list[float]) -> str:
    pairs = list(zip(turns, reference, strict=True))
    if sum(mine < theirs for mine, theirs in pairs) >= CLEAR * len(pairs):
        return "faster"
    return "slower" if sum(mine > theirs for mine, theirs in pairs) >= CLEAR * len(pairs) else "alike"


def best(rows: list[Json], target: str, max_drop: float) -> Json | None:
    """The version to promote; None when none is better there than what the search began with.

    For `latency` it has to be faster where it is served, for `size` smaller and not slower; accuracy on the validation
    split may fall by max_drop percentage points. Notes in each row `drop`, None where accuracy was not measured: such a
    version may be the best, but is not promoted.
    """
    before = rows[0]
    fit = []
    for row in rows[1:]:
        row["drop"] = _drop(before, row)
        smaller = row["size"] < before["size"] and row.get("speed") in ("faster", "alike")
        if (
            "version" in row
            and (row["drop"] is None or row["drop"] <= max_drop)
            and (row["speed"] == "faster" if target == "latency" else smaller)
        ):
            fit.append(row)
    return min(fit, key=lambda row: row["latency_ms" if target == "latency" else "size"], default=None)


def _drop(before: Json, after: Json) -> float | None:
    """Percentage points of validation accuracy."""
    had, has = before.get("validation_accuracy"), after.get("validation_accuracy")
    return None if had is None or has is None else round(100 * (had - has), 2)


def promote(client: Client, model: str, base: int, chosen: Json, alias: str) -> Json:
    """Move the alias, unless accuracy is not known, or somebody else has moved it meanwhile. Raises AmaasError."""
    by_hand = f"`amaas promote {model} {chosen['version']}{'' if alias == ALIAS else f' --alias {alias}'}` does"
    if chosen.get("drop") is None:
        raise AmaasError(
            "accuracy was not measured, so nothing was promoted; the versions are registered. Give --data with what "
            f"{model} was trained on, or, if you know that version {chosen['version']} is good, {by_hand}"
        )
    state = client.model(model)
    now = (state.get("aliases") or {}).get(alias) or {}
    if now.get("version") != base or now.get("split"):
        raise AmaasError(
            f"{alias} does not name version {base} alone, which this was compared with: the versions are registered, "
            f"nothing was promoted; {by_hand}"
        )
    reason = f"amaas optimize: {chosen['step']}, {chosen['latency_ms']:g} ms, {chosen['size']:,} bytes"
    return client.promote(model, chosen["version"], alias, reason=reason, expect_revision=state["revision"])
