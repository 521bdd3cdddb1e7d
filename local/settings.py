"""Paths and names of the local deployment, and the environment that its tools run in."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT / ".local" / "envs"
# a second deployment (the tests make one) has a home of its own, and shares the tool environments
HOME = Path(os.environ.get("AMAAS_HOME", ROOT / ".local")).resolve()
STATE = HOME / "state"
BUILD = HOME / "build"
ACCESS = HOME / "amaas.json"

STACK = "amaas"
REGION = "us-east-1"
# the embedded cloud runs functions in its own Python, so the layers are built for that one
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"

_STARTED = float(os.environ.get("AMAAS_STARTED") or time.time())


def say(text: str) -> None:
    """A line of progress, with the seconds since the command started."""
    print(f"[{time.time() - _STARTED:5.1f}s] {text}", flush=True)


def tool(env: str, name: str) -> str:
    """The path of a program in one of the tool environments that the Makefile sets up."""
    path = ENVS / env / "bin" / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: run this through make, which installs the tools")
    return str(path)


def aws_env(endpoint: str) -> dict[str, str]:
    """The caller's environment for talking to the embedded cloud, never to an account that it may be signed in to."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return env | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
    }
