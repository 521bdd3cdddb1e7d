"""Paths of the API's resources. Names are quoted, so that none becomes another path."""

from __future__ import annotations

from urllib.parse import quote

from amaas.errors import AmaasError


def model_path(model: str, version: int | str | None = None) -> str:
    """A model, or one version of it, by number or alias. Raises AmaasError for a name that would be another path."""
    if not model.strip("."):
        raise AmaasError(f"{model!r} is not a model name: names begin with a letter or a digit")
    path = f"/models/{segment(model)}"
    return path if version is None else f"{path}/versions/{segment(str(version))}"


def alias_path(model: str, alias: str) -> str:
    return f"{model_path(model)}/aliases/{segment(alias)}"


def batch_job_path(job: str) -> str:
    return f"/batch/{segment(job)}"


def training_job_path(job: str) -> str:
    return f"/training-jobs/{segment(job)}"


def upload_path(upload: str) -> str:
    return f"/uploads/{segment(upload)}"


def segment(name: str) -> str:
    return quote(name, safe="")
