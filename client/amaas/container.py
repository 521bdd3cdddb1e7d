"""A training in a container: what it sees of this machine's files and of the environment, and what it cannot see."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from amaas import places
from amaas.errors import AmaasError
from amaas.local_training import Training

HANDED = ("AWS_", "AMAAS_")  # beginnings of environment variables
ITSELF = ("localhost", "127.0.0.1", "::1")  # of a container


def in_docker(image: str, data: str, out: Path, more: Sequence[str] = ()) -> Training:
    """In a container that sees the output folder and, where they are paths, the data and what its options name.

    With GPUs where there are some. Raises AmaasError for what it could not reach. more: the training's options.
    """
    if not shutil.which("docker"):
        raise AmaasError("--docker needs Docker, which is not on this machine: leave it away to train in a checkout")
    _check(data, more)
    gpus = ["--gpus", "all"] if shutil.which("nvidia-smi") else []
    user = ["--user", f"{os.getuid()}:{os.getgid()}"] if hasattr(os, "getuid") else []
    # by name alone: values would be in the list of processes
    handed = [part for name in sorted(os.environ) if name.startswith(HANDED) for part in ("-e", name)]
    start = ["docker", "run", "--rm", "--init", "-e", "HOME=/tmp", *handed, *user, *gpus, *_mounts(data, out, more)]
    return Training([*start, image, "python", "-m", "training.train"], dict(os.environ))


def _mounts(data: str, out: Path, more: Sequence[str]) -> list[str]:
    """Each at its own path. Written to are the output folder and --root, which keeps downloads."""
    seen = {str(out.resolve()): ""}
    for option, value in [("data", data), *((option, value) for _, option, _, value in places.of(more))]:
        if Path(value).exists():
            seen.setdefault(places.absolute(value), "" if option == "root" else ":ro")
    return [part for path, how in seen.items() for part in ("-v", f"{path}:{path}{how}")]


def _check(data: str, more: Sequence[str]) -> None:
    env = os.environ
    if data.startswith("s3://") and env.get("AWS_PROFILE") and not env.get("AWS_ACCESS_KEY_ID"):
        raise AmaasError(
            "the container does not see the file with the AWS profile: unset AWS_PROFILE after "
            '`eval "$(aws configure export-credentials --format env)"`, which sets the credentials themselves'
        )
    asked = [value for _, option, _, value in places.of(more) if option == "teacher" and not Path(value).exists()]
    if not asked:
        return
    if not (env.get("AMAAS_URL") and env.get("AMAAS_TOKEN")):
        raise AmaasError(
            f"the teacher {asked[0]} is no folder here, and the container does not see .local/amaas.json: set "
            "AMAAS_URL and AMAAS_TOKEN for a registered model, or give its package's folder"
        )
    if urlsplit(env["AMAAS_URL"]).hostname in ITSELF:
        raise AmaasError(
            f"in the container, {env['AMAAS_URL']} is the container: set AMAAS_URL to an address that it reaches, or "
            f"give the folder of the package of {asked[0]}"
        )
