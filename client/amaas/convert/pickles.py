"""Pickles, which run code as they are read: only those that their owner trusts come here."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from amaas.convert import golden
from amaas.convert.errors import NotConverted

VERSION = re.compile(rb"_sklearn_version.{1,8}?(\d+\.\d+(?:\.\d+)?(?:\.?(?:a|b|rc|post|dev)\d+)?)", re.DOTALL)
BOOST = ("lightgbm", "xgboost")
MOST_SCANNED = 1 << 30  # bytes


def load(path: Path) -> tuple[Any, list[str]]:
    """What is pickled, by pickle or joblib, and what is to be said of versions that differ. Raises NotConverted."""
    import joblib
    import sklearn

    made_by, installed = _version(path), str(sklearn.__version__)
    other = f"it was made by scikit-learn {made_by}, and {installed} is installed here" if made_by else ""
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            found = joblib.load(path)
    except ModuleNotFoundError as error:
        raise NotConverted(_lacking(path, str(error.name), other)) from error
    except MemoryError as error:
        raise NotConverted(f"{path.name} takes more memory than there is here") from error
    except Exception as error:
        raise NotConverted(_unreadable(path, error, other if made_by != installed else "")) from error
    versions = [getattr(one.message, "original_sklearn_version", None) for one in warned]
    made_by = next((one for one in versions if one), made_by)
    if made_by in (None, installed):
        return found, []
    return found, [f"it was made by scikit-learn {made_by}, and its answers here are those of {installed}"]


def _version(path: Path) -> str | None:
    """Of scikit-learn, which a pickle names; None of one that is compressed, or of something else."""
    if path.stat().st_size > MOST_SCANNED:
        return None
    found = VERSION.search(path.read_bytes())
    return found[1].decode() if found else None


def _lacking(path: Path, module: str, other: str) -> str:
    top = module.partition(".")[0]
    if top in BOOST:
        return f"{path.name} is a model of {top}, which is not installed: pip install './client[boost]'"
    if top == "sklearn":
        return (
            f"{path.name} needs {module}, which this scikit-learn lacks"
            + (f": {other}; " if other else ": ")
            + "install the version that it was pickled with"
        )
    return f"{path.name} needs the module {module!r}, which is not installed here: install what it was made with"


def _unreadable(path: Path, error: Exception, other: str) -> str:
    said = golden.first_line(error)
    if isinstance(error, AttributeError) and "__main__" in said:
        return (
            f"{path.name} names something that the script which pickled it defines ({said}): move that into a module "
            "that is installed, and pickle the model again; or export ONNX from the script"
        )
    if "unsupported pickle protocol" in said:
        return f"{path.name} was pickled by a newer Python ({said}): push it with that one"
    if other:
        return f"{path.name} cannot be read ({said}): {other}; install that version, and push again"
    return f"{path.name} is no pickle, or one that is cut off or damaged ({said}): save the model again with joblib"
