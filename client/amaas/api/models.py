"""Models and their versions: list, read, edit, retire, delete, restore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from amaas.api import pull
from amaas.api.connection import Connection, Json


class Models(Connection):
    """change, where a method takes it: reason (stored in the history), expect_revision (ApiError 409 if outdated)."""

    def list_models(self, search: str | None = None, *, task: str | None = None, tag: str | None = None) -> list[Json]:
        """All models, of all pages. search: words that the name, the task or a tag contains."""
        filters = {"search": search, "task": task, "tag": tag}
        return list(
            self._pages("listModels", "models", query={name: value for name, value in filters.items() if value})
        )

    def get_model(self, model: str) -> Json:
        """A model with its aliases, its newest versions (newest first) and its card."""
        return self._call("getModel", {"model": model})

    def list_versions(self, model: str) -> list[Json]:
        """All versions of a model, newest first."""
        return list(self._pages("listVersions", "versions", {"model": model}))

    def get_version(self, model: str, version: int | str) -> Json:
        """A version's manifest; `version` is a number or an alias."""
        return self._call("getVersion", {"model": model, "version": version})

    def get_version_signature(self, model: str, version: int | str) -> Json:
        """The OpenSSF signature of a version's package: `bundle`, `files` with their digests, `public_keys`.

        Raises ApiError 404 for a version that was registered unsigned.
        """
        return self._call("getVersionSignature", {"model": model, "version": version})

    def get_version_files(self, model: str, version: int | str) -> Json:
        """Where the files of a version's package can be read: `files` and `served`, by URLs that need no token."""
        return self._call("getVersionFiles", {"model": model, "version": version})

    def pull(
        self,
        model: str,
        version: int | str = "production",
        folder: Path | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Json:
        """Write a version's package into a folder, by default one of the model's name: `model`, `version`, `folder`,
        `files`. on_progress(bytes that have come, of how many).

        Its golden set is not kept by the service, but for cases that are written out in amaas.json. Raises AmaasError
        for a folder that is not empty.
        """
        described = self.get_version_files(model, version)
        number = described["version"]  # an alias may move meanwhile
        folder = folder or Path(model)
        names = pull.write(described, self.get_version(model, number), folder, on_progress)
        return {"model": model, "version": number, "folder": str(folder), "files": names}

    def compare_versions(self, model: str, old: int | str | None = None, new: int | str | None = None) -> Json:
        """Differences in manifest, graph and metrics; by default, of production and the newest version."""
        query = {name: str(version) for name, version in (("from", old), ("to", new)) if version is not None}
        return self._call("compareVersions", {"model": model}, params=query)

    def get_model_counts(
        self,
        model: str,
        *,
        since: str = "1h",
        until: str | None = None,
        step: str | None = None,
        version: int | None = None,
        alias: str | None = None,
    ) -> Json:
        """What was counted of a model's calls: `sums` by version and alias, and the whole `series` of steps.

        since, until: a time (2026-01-31T17:00:00Z), or so long ago: 90m, 24h, 30d. step: minute, hour or day; omitted,
        the finest that suits the span. version, alias: only calls of these.
        """
        parameters = {"since": since, "until": until, "step": step, "version": version, "alias": alias}
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        answer = self._call("getModelCounts", {"model": model}, params=query | {"limit": "5000"})
        while answer["next"]:
            more = self._call(
                "getModelCounts", {"model": model}, params=query | {"limit": "5000", "next": answer["next"]}
            )
            answer = more | {"series": answer["series"] + more["series"]}
        return answer

    def get_model_drift(
        self,
        model: str,
        *,
        since: str = "1d",
        until: str | None = None,
        version: int | None = None,
        alias: str | None = None,
    ) -> Json:
        """Whether calls differ from what each version was made of: `versions`, each with a `state` and its `columns`.

        state: drift, quiet, or waiting for items. since, until: as of get_model_counts, in whole hours.
        """
        parameters = {"since": since, "until": until, "version": version, "alias": alias}
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        return self._call("getModelDrift", {"model": model}, params=query)

    def get_model_accuracy(
        self,
        model: str,
        *,
        since: str = "7d",
        until: str | None = None,
        version: int | None = None,
        alias: str | None = None,
    ) -> Json:
        """How often each version's answers are right, without labels: `versions`, with `estimate`, `low` and `high`.

        state: estimated, doubtful (calls drift), or waiting. since, until: as of get_model_drift.
        """
        parameters = {"since": since, "until": until, "version": version, "alias": alias}
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        return self._call("getModelAccuracy", {"model": model}, params=query)

    def update_model(
        self, /, model: str, *, card: str | None = None, tags: list[str] | None = None, **change: Any
    ) -> Json:
        """Replace a model's card (Markdown), its tags, or both."""
        return self._change("updateModel", {"model": model}, card=card, tags=tags, **change)

    def delete_model(self, /, model: str, **change: Any) -> Json:
        """Take a model out of service, with all its versions. It can be restored for a week."""
        return self._change("deleteModel", {"model": model}, **change)

    def restore_model(self, /, model: str, **change: Any) -> Json:
        """Undo the deletion of a model."""
        return self._change("restoreModel", {"model": model}, **change)

    def retire_version(self, /, model: str, version: int, **change: Any) -> Json:
        """Take a version out of use: it cannot be called, and no alias may point to it."""
        return self._change("retireVersion", {"model": model, "version": version}, **change)

    def restore_version(self, /, model: str, version: int, **change: Any) -> Json:
        """Take a retired version into use again."""
        return self._change("restoreVersion", {"model": model, "version": version}, **change)
