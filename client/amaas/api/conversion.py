"""Runs `amaas.convert`, in a process of its own: what it does takes packages that the extras install.

A process, because reading a pickle runs the code in it, a damaged file can end one, and other libraries print as they
like.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from amaas.api import foreign, huggingface
from amaas.errors import AmaasError

PROGRAM = "amaas.convert"
GOLDEN = ("numpy", "onnxruntime", "tokenizers")
PICKLES = (".pkl", ".pickle", ".joblib")
XGBOOST, LIGHTGBM = (".json", ".ubj", ".xgb"), (".txt", ".lgb")
# modules that an extra brings
EXTRAS = {
    "sklearn": ("joblib", "sklearn", "skl2onnx", "onnxruntime", "pandas"),
    "boost": ("onnxmltools", "onnxruntime", "pandas"),
    "mlflow": ("yaml", "onnxruntime", "numpy"),
}
MLFLOW = "MLmodel"  # the file that says what a folder of MLflow's is
HEAD = 4096  # bytes by which a file is known
LONGEST = 1800.0  # seconds


class Converted(NamedTuple):
    """files: by their names in the package. notes: what the user should know."""

    files: dict[str, Path]
    notes: list[str]


def model_in(path: Path) -> Path | None:
    """The model that is to be converted: the file, or the one in a folder without ONNX; None where there is none.

    Raises AmaasError of several, and of other forms than are converted.
    """
    if path.is_file():
        if said := foreign.refusal_of_file(path):
            raise AmaasError(said)
        return path if path.suffix.lower() in (*PICKLES, *XGBOOST, *LIGHTGBM) else None
    if (path / MLFLOW).is_file() and not _is_described(path):
        return path / MLFLOW
    if not path.is_dir() or foreign.graphs(path):
        return None
    models = [file for file in sorted(path.iterdir()) if file.suffix.lower() in PICKLES or _is_booster(file)]
    if len(models) > 1:
        raise AmaasError(f"{path} has several models, {models[0].name} and {models[1].name}: push one of these files")
    return models[0] if models else None


def _is_described(path: Path) -> bool:
    """Whether a folder is a package already, by its author's word."""
    return (path / "model.onnx").is_file() and "task" in huggingface.read(path / "amaas.json")


def _is_booster(file: Path) -> bool:
    """By its name, and what it begins with: other files are JSON or text, too."""
    if not file.is_file() or file.suffix.lower() not in (*XGBOOST, *LIGHTGBM):
        return False
    with file.open("rb") as opened:
        head = opened.read(HEAD).lstrip()
    return head.startswith(b"tree") if file.suffix.lower() in LIGHTGBM else head.startswith(b"{") and b"learner" in head


def convert(path: Path, folder: Path, examples: Path | None, *, trust_pickle: bool) -> Converted:
    """The package of a model's file, written to a folder. examples: a CSV file with rows. Raises AmaasError."""
    if path.name == MLFLOW:
        require("mlflow", path)
        return run({"kind": "mlflow", "path": str(path.parent.resolve()), "folder": str(folder)}, path)
    if path.suffix.lower() in PICKLES and not trust_pickle:
        raise AmaasError(
            f"{path.name} is a pickle, and reading one runs whatever code is in it: if you made it, or trust who did, "
            "say --trust-pickle, and it is converted on this machine; else ask who made it for ONNX"
        )
    if path.suffix.lower() not in PICKLES and not _is_booster(path):
        library = "XGBoost" if path.suffix.lower() in XGBOOST else "LightGBM"
        raise AmaasError(f"{path.name} is no model of {library} as its save_model writes it: push a package or ONNX")
    extra = "sklearn" if path.suffix.lower() in PICKLES else "boost"
    require(extra, path)
    said = str(examples.resolve()) if examples else None
    return run({"kind": "model", "path": str(path.resolve()), "folder": str(folder), "examples": said}, path)


def require(extra: str, path: Path) -> None:
    """Raises AmaasError that says what to install."""
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing and _of_checkout() is None:
        raise AmaasError(
            f"to convert {path.name} takes {missing[0]}: in a checkout, `make converters`, or "
            f"pip install './client[{extra}]'"
        )


def _of_checkout() -> Path | None:
    """The Python that `make converters` has set up, of the checkout that this client, or the current folder, is in."""
    for folder in (*Path(__file__).parents, Path.cwd(), *Path.cwd().parents):
        environment = folder / ".local" / "envs" / "converters"
        if (environment / ".ready").is_file():
            return environment / "bin" / "python"
    return None


def _python() -> str:
    """This one, if it has what converting takes; else the checkout's."""
    lacks = any(find_spec(name) is None for names in EXTRAS.values() for name in names)
    return str((lacks and _of_checkout()) or sys.executable)


def golden_set(graph: Path, described: dict[str, Any], tokenizer: Path, folder: Path) -> Converted:
    """golden.npz of a graph that is pushed as it is, of what it answers here; none where that fails, and why."""
    if not all(find_spec(name) for name in GOLDEN) and _of_checkout() is None:
        made_by = "which `make converters` in a checkout, or pip install './client[check]', would have made"
        return Converted({}, [f"it goes without a golden set, {made_by}"])
    after = described.get("postprocess") or {}
    request = {"kind": "golden", "model": str(graph.resolve()), "tokenizer": str(tokenizer), "folder": str(folder)}
    try:
        return run(request | {"plan": described["preprocess"], "output": after.get("output")}, graph)
    except AmaasError as error:
        return Converted({}, [f"it goes without a golden set: {error}"])


def run(request: dict[str, Any], path: Path) -> Converted:
    """What the process answers. path: what it is about. Raises AmaasError."""
    try:
        # -P: no module of the current folder is taken for one of a library's
        done = subprocess.run(
            [_python(), "-P", "-m", PROGRAM],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AmaasError(f"{path.name} took more than {LONGEST:.0f} seconds here: push ONNX of it") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        how = f"signal {-done.returncode}" if done.returncode < 0 else last or f"exit status {done.returncode}"
        raise AmaasError(f"{path.name} has ended what reads it ({how}): export ONNX anew, and push that") from None
    if "error" in answer:
        raise AmaasError(answer["error"])
    return Converted({name: Path(file) for name, file in answer["files"].items()}, answer["notes"])
