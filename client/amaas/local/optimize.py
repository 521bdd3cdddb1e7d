"""Make a registered model smaller or faster: search here, register what is worth it, measure where it is served.

The search is training/compress, run by the Python of the training environment; nothing of it is imported here.
"""

from __future__ import annotations

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
from amaas.api.package import digest
from amaas.errors import AmaasError, Rejected
from amaas.local.training import with_modules_of

if TYPE_CHECKING:
    from amaas.client import Client

Json = dict[str, Any]
PARENT, ALIAS = "parent", "production"
FIGURES = ("pareto.json", "pareto.svg")
STDERR = 2
TURNS, CALLS, WARM_CALLS = 12, 5, 3  # in each turn, every version is called CALLS times
CLEAR = 0.75  # the share of turns in which a version has to be faster, or slower, to be called that


@dataclass
class Speed:
    """Of one version, in milliseconds: each round trip; the model alone in each turn, None if that is not known."""

    trips: list[list[float]] = field(default_factory=list)
    served: list[float | None] = field(default_factory=list)

    def turns(self, of_model: bool) -> list[float]:
        if of_model:
            return [time for time in self.served if time is not None]
        return [min(turn) for turn in self.trips]


def base_version(client: Client, model: str, version: str, package: Path) -> Json:
    """The version's manifest, once it is certain that the folder was uploaded as it. Raises AmaasError.

    The service does not hand models out, so the folder has to be present; its digest says if it is the right one.
    """
    manifest = client.get_version(model, version)
    if not (package / "model.onnx").is_file():
        raise AmaasError(f"{package} is not a package: it has no model.onnx")
    local = _digest(package)
    if manifest.get("source") not in (None, local):
        raise AmaasError(
            f"{package} is not what version {manifest['version']} of {model} was made from (its model.onnx has the "
            f"digest {local[:12]}…, registered is {manifest['source'][:12]}…): give that folder, or another version"
        )
    return manifest


def _digest(package: Path) -> str:
    return digest(package / "model.onnx")


def search(python: Path, checkout: Path, package: Path, out: Path, arguments: Sequence[str]) -> Json:
    """Run the search in the caller's folder, which paths in `arguments` are relative to. Returns pareto.json.

    It prints on standard error. Raises AmaasError if it fails.
    """
    command = [python, "-m", "training.compress", "search", package.absolute(), "--out", out.absolute(), *arguments]
    process = subprocess.run([str(part) for part in command], env=with_modules_of(checkout), stdout=STDERR, check=False)
    if process.returncode:
        raise AmaasError(f"the search ended with exit status {process.returncode}; its messages are above")
    return dict(json.loads((out / "pareto.json").read_text(encoding="utf-8")))


def save_figures(out: Path, folder: Path) -> None:
    """Copy figures and plot from the search's folder, which may be temporary, over those of an earlier search."""
    if out == folder:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in FIGURES:
        shutil.copyfile(out / name, folder / name)


def worth_registering(report: Json) -> list[Json]:
    """The rows to register, parents first: those on the Pareto front, and the ones they were made from."""
    rows = {row["step"]: row for row in report["steps"]}
    front = {name for name, row in rows.items() if row["pareto"] and name != PARENT}
    parents = {name.partition("+")[0] for name in front}
    return [row for name, row in rows.items() if name in (front | parents) and name != PARENT]


def register(client: Client, model: str, out: Path, rows: list[Json], report: Callable[[str], None]) -> None:
    """Push each row's package; sets `version`, or `refused` with the service's reason, in the row.

    What an earlier search has registered is not registered again.
    """
    versions = client.list_versions(model)
    present = {version.get("source"): version["version"] for version in versions if version["state"] == "active"}
    for row in rows:
        if number := present.get(_digest(out / row["step"])):
            row["version"] = number
            report(f"{row['step']}: is version {number} already")
            continue
        try:
            state = client.push(out / row["step"], model)
        except Rejected as error:
            row["refused"] = str(error)
            report(f"{row['step']}: not registered: {error}")
            continue
        row["version"] = state["version"]
        report(f"{row['step']}: version {state['version']} is registered")


def golden_inputs(package: Path) -> tensors.Arrays:
    """The first row of the golden inputs, which is what a single caller sends. Raises AmaasError."""
    np = tensors.numpy()
    path = package / "golden.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            inputs = {name[6:]: file[name][:1] for name in file.files if name.startswith("input.")}
    except (OSError, ValueError) as error:
        raise AmaasError(f"{path} cannot be read ({error}): latency is measured with the golden inputs") from error
    if not inputs:
        raise AmaasError(f"{path} has no arrays input.<name>: latency is measured with the golden inputs")
    return inputs


def measure(client: Client, model: str, versions: list[int], inputs: tensors.Arrays) -> dict[int, Speed]:
    """Call all versions in turns, so that other load on the service affects all alike; warm calls do not count.

    The model's own time comes from the service's statistics, if the process that answered all calls of a turn is the
    one that is asked for them.
    """
    speeds = {version: Speed() for version in versions}
    for version in versions:
        for _ in range(WARM_CALLS):
            client.infer_binary(model, inputs, version)
    for turn in range(TURNS):
        for version in versions if turn % 2 else reversed(versions):
            runs, nanoseconds = _model_runs(client, model, version)
            speeds[version].trips.append([_round_trip(client, model, inputs, version) for _ in range(CALLS)])
            runs_after, nanoseconds_after = _model_runs(client, model, version)
            spent = (nanoseconds_after - nanoseconds) / CALLS / 1e6
            speeds[version].served.append(spent if runs_after - runs == CALLS else None)
    return speeds


def _round_trip(client: Client, model: str, inputs: tensors.Arrays, version: int) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    client.infer_binary(model, inputs, version)
    return (time.perf_counter() - started) * 1e3


def _model_runs(client: Client, model: str, version: int) -> tuple[int, int]:
    """How many runs of the model, and their nanoseconds."""
    figures = client.get_version_statistics(model, version)["inference_stats"]["compute_infer"]
    return int(figures["count"]), int(figures["ns"])


def compare(rows: list[Json], base: int, speeds: dict[int, Speed]) -> str:
    """Set `latency_ms`, `round_trip_ms` and `speed` (faster, slower, alike) in each row. Returns what was compared.

    base: the version that the others are compared with, turn by turn.
    """
    of_model = all(None not in speed.served for speed in speeds.values())
    reference = speeds[base].turns(of_model)
    for row in rows:
        if row.get("version") not in speeds:
            continue
        speed = speeds[row["version"]]
        turns = speed.turns(of_model)
        row["latency_ms"] = round(statistics.median(turns), 4)
        row["round_trip_ms"] = round(statistics.median(trip for turn in speed.trips for trip in turn), 3)
        row["speed"] = _verdict(turns, reference) if row["version"] != base else "alike"
    return "the model's own time" if of_model else "round trips"


def _verdict(turns: list[float], reference: list[float]) -> str:
    pairs = list(zip(turns, reference, strict=True))
    if sum(mine < theirs for mine, theirs in pairs) >= CLEAR * len(pairs):
        return "faster"
    return "slower" if sum(mine > theirs for mine, theirs in pairs) >= CLEAR * len(pairs) else "alike"


def best(rows: list[Json], target: str, max_drop: float) -> Json | None:
    """The row to promote; None if none is better than the first, which the search began with.

    For `latency`, it has to be faster in service; for `size`, smaller and not slower. Accuracy on the validation split
    may drop by max_drop percentage points. Sets `drop` in each row, None if accuracy was not measured: such a version
    may be the best, but is not promoted.
    """
    for row in rows[1:]:
        row["drop"] = _drop(rows[0], row)
    fit = [row for row in rows[1:] if "version" in row and _is_better(rows[0], row, target, max_drop)]
    return min(fit, key=lambda row: row["latency_ms" if target == "latency" else "size"], default=None)


def _is_better(before: Json, row: Json, target: str, max_drop: float) -> bool:
    if row["drop"] is not None and row["drop"] > max_drop:
        return False
    if target == "latency":
        return bool(row["speed"] == "faster")
    return row["size"] < before["size"] and row["speed"] in ("faster", "alike")


def _drop(before: Json, after: Json) -> float | None:
    """Percentage points of validation accuracy."""
    first, second = before.get("validation_accuracy"), after.get("validation_accuracy")
    return None if first is None or second is None else round(100 * (first - second), 2)


def promote(client: Client, model: str, base: int, row: Json, alias: str) -> Json:
    """Move the alias, unless accuracy is unknown, or somebody else has moved it meanwhile. Raises AmaasError."""
    by_hand = f"`amaas promote {model} {row['version']}{'' if alias == ALIAS else f' --alias {alias}'}` does"
    if row.get("drop") is None:
        raise AmaasError(
            "accuracy was not measured, so nothing was promoted; the versions are registered. Give --data with the "
            f"training data of {model}, or, if you know that version {row['version']} is good, {by_hand}"
        )
    state = client.get_model(model)
    present = (state.get("aliases") or {}).get(alias) or {}
    if present.get("version") != base or present.get("split"):
        raise AmaasError(
            f"{alias} does not point to version {base} alone, the one in this comparison: the versions are registered, "
            f"nothing was promoted; {by_hand}"
        )
    reason = f"amaas optimize: {row['step']}, {row['latency_ms']:g} ms, {row['size']:,} bytes"
    return client.promote(model, row["version"], alias, reason=reason, expect_revision=state["revision"])
