"""The Python client: one method per operation of the API, in its words (`list_models` is `listModels`), and some for
what takes several, as `push`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from amaas.api.aliases import Aliases
from amaas.api.batch import BatchJobs
from amaas.api.feedback import Feedback
from amaas.api.figures import Figures
from amaas.api.generation import Generation
from amaas.api.history import History
from amaas.api.inference import Inference
from amaas.api.logs import Logs
from amaas.api.models import Models
from amaas.api.tokens import Tokens
from amaas.api.training import TrainingJobs
from amaas.api.uploads import Uploads

# deprecated names of methods, with their present ones
RENAMED = {
    "models": "list_models",
    "model": "get_model",
    "version": "get_version",
    "diff": "compare_versions",
    "edit": "update_model",
    "delete": "delete_model",
    "retire": "retire_version",
    "history": "get_history",
    "anchored": "matches_anchor",
    "drop_alias": "delete_alias",
    "protect": "set_alias_policy",
    "request": "create_move_request",
    "approve": "approve_move_request",
    "reject": "reject_move_request",
    "wait": "wait_for_upload",
    "upload": "get_upload",
    "uploads": "list_uploads",
    "statistics": "get_version_statistics",
    "tokens": "list_tokens",
    "batch": "create_batch_job",
    "batch_start": "start_batch_job",
    "batch_state": "get_batch_job",
    "batch_wait": "wait_for_batch_job",
    "batch_cancel": "cancel_batch_job",
    "batch_answers": "read_batch_job_outputs",
    "train": "create_training_job",
    "training": "get_training_job",
    "trainings": "list_training_jobs",
    "training_wait": "wait_for_training_job",
    "training_cancel": "cancel_training_job",
    "training_reports": "download_training_reports",
}


class Client(
    Models, History, Aliases, Figures, Feedback, Uploads, Inference, Generation, BatchJobs, TrainingJobs, Tokens, Logs
):
    """A connection to one deployment; a context manager. Raises ApiError, Rejected, NotConnected (all AmaasError).

    url, token: by default those of `profile`, which `amaas login` has stored; else AMAAS_URL and AMAAS_TOKEN; else
    those of the profile that AMAAS_PROFILE names, or of the one called default; else of the nearest .local/amaas.json.
    timeout: seconds that a call may take, with all its attempts; by default 60, and 300 of a text that a model writes.
    """

    if not TYPE_CHECKING:  # type checkers know the present names only

        def __getattr__(self, name: str) -> Any:
            if name not in RENAMED:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            present = RENAMED[name]
            warnings.warn(f"Client.{name} is now Client.{present}", DeprecationWarning, stacklevel=2)
            return getattr(self, present)
