"""A training in a container: which of this machine's files and of its environment the container sees.

Only the training knows what a word means: `wine` is its data set of that name even if there is a folder of that name,
`./wine` is the folder. So words are forwarded as they are, and the container's working folder is the caller's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from amaas.errors import AmaasError
from amaas.local.training import TrainingCommand

PATH_OPTIONS = ("teacher", "pretrained", "root")  # options whose value may be a path, beside --data and --out
FORWARDED = ("AWS_", "AMAAS_")  # prefixes of environment variables
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def in_docker(image: str, data: str, out: Path, options: Sequence[str] = ()) -> TrainingCommand:
    """In a container that sees the output folder and, where they are paths, the data and the values of options.

    With GPUs if there are any. options: the training's. Raises AmaasError for what the container could not reach.
    """
    if not shutil.which("docker"):
        raise AmaasError("--docker needs Docker, which is not installed: omit it to train in a checkout")
    _check(data, options)
    gpus = ["--gpus", "all"] if shutil.which("nvidia-smi") else []
    folder = ["--workdir", str(Path.cwd())]  # relative paths in the options are relative to it
    user = ["--user", f"{os.getuid()}:{os.getgid()}"] if hasattr(os, "getuid") else []
    # by name alone: values would be in the list of processes
    variables = [part for name in sorted(os.environ) if name.startswith(FORWARDED) for part in ("-e", name)]
    flags = [*variables, *user, *gpus, *folder, *_mounts(data, out, options)]
    run = ["docker", "run", "--rm", "--init", "-e", "HOME=/tmp", *flags]
    return TrainingCommand([*run, image, "python", "-m", "training.train"], dict(os.environ))


def _mounts(data: str, out: Path, options: Sequence[str]) -> list[str]:
    """Each at the path that it has here, links resolved. Writable: the output folder, and --root, for downloads."""
    mounts = {str(out.resolve()): f"{out.resolve()}:{out.resolve()}"}
    for option, value in [("data", data), *_path_options(options)]:
        if value and Path(value).exists():
            path = os.path.abspath(value)
            mounts.setdefault(path, f"{Path(value).resolve()}:{path}{'' if option == 'root' else ':ro'}")
    return [part for mount in mounts.values() for part in ("-v", mount)]


def _path_options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each value of an option in PATH_OPTIONS, after the option."""
    option = None
    for argument in arguments:
        if argument.startswith("--") and len(argument) > 2:
            name, equals, value = argument[2:].partition("=")
            option = name if name in PATH_OPTIONS else None
            if option and equals:
                yield option, value
        elif option:
            yield option, argument


def _check(data: str, options: Sequence[str]) -> None:
    env = os.environ
    if data.startswith("s3://") and env.get("AWS_PROFILE") and not env.get("AWS_ACCESS_KEY_ID"):
        raise AmaasError(
            "the container does not see the file with the AWS profile: unset AWS_PROFILE after "
            '`eval "$(aws configure export-credentials --format env)"`, which sets the credentials themselves'
        )
    registered = [value for name, value in _path_options(options) if name == "teacher" and not Path(value).exists()]
    if not registered:
        return
    if not (env.get("AMAAS_URL") and env.get("AMAAS_TOKEN")):
        raise AmaasError(
            f"the teacher {registered[0]} is not a folder here, and the container does not see .local/amaas.json: set "
            "AMAAS_URL and AMAAS_TOKEN for a registered model, or give the folder of its package"
        )
    if urlsplit(env["AMAAS_URL"]).hostname in LOOPBACK:
        raise AmaasError(
            f"in the container, {env['AMAAS_URL']} is the container: set AMAAS_URL to an address that it can reach, or "
            f"give the folder of the package of {registered[0]}"
        )
