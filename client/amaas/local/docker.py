"""A training in a container: what it sees of this machine's files and of the environment, and what it cannot see.

What a word means, only the training knows: `wine` is its data set of that name even where there is a folder of that
name, `./wine` is the folder. So words are handed on as they are written, and the container runs at the caller's folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from amaas.errors import AmaasError
from amaas.local.training import Training

NAMED = ("teacher", "pretrained", "root")  # options whose value may be a path, beside --data and --out
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
    here = ["--workdir", str(Path.cwd())]  # where its options were written
    user = ["--user", f"{os.getuid()}:{os.getgid()}"] if hasattr(os, "getuid") else []
    # by name alone: values would be in the list of processes
    handed = [part for name in sorted(os.environ) if name.startswith(HANDED) for part in ("-e", name)]
    options = [*handed, *user, *gpus, *here, *_mounts(data, out, more)]
    start = ["docker", "run", "--rm", "--init", "-e", "HOME=/tmp", *options]
    return Training([*start, image, "python", "-m", "training.train"], dict(os.environ))


def _mounts(data: str, out: Path, more: Sequence[str]) -> list[str]:
    """Each at the path that it has here, links followed. Written to are the output folder and --root, for downloads."""
    seen = {str(out.resolve()): f"{out.resolve()}:{out.resolve()}"}
    for option, value in [("data", data), *_named(more)]:
        if value and Path(value).exists():
            there = os.path.abspath(value)
            seen.setdefault(there, f"{Path(value).resolve()}:{there}{'' if option == 'root' else ':ro'}")
    return [part for mount in seen.values() for part in ("-v", mount)]


def _named(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each value of an option in NAMED, after the option."""
    option = None
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            option = name if name in NAMED else None
            if option and equals:
                yield option, value
        elif option:
            yield option, word


def _check(data: str, more: Sequence[str]) -> None:
    env = os.environ
    if data.startswith("s3://") and env.get("AWS_PROFILE") and not env.get("AWS_ACCESS_KEY_ID"):
        raise AmaasError(
            "the container does not see the file with the AWS profile: unset AWS_PROFILE after "
            '`eval "$(aws configure export-credentials --format env)"`, which sets the credentials themselves'
        )
    asked = [value for option, value in _named(more) if option == "teacher" and not Path(value).exists()]
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
