"""Fixtures that more than one folder needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest

if find_spec("hypothesis"):  # the environment 'training' does without it
    from hypothesis import HealthCheck, settings

    # how long something takes is no property of it: machines differ, and are busy
    settings.register_profile("amaas", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("amaas")

# a developer's own credentials must never reach a test
for name in list(os.environ):
    if name.startswith(("AWS_", "AMAAS_")):
        del os.environ[name]
os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


from shared.storage.base import Store  # noqa: E402 - the environment is cleaned before anything reads it
from shared.storage.memory import MemoryStore  # noqa: E402 - as above
from tests import servers  # noqa: E402 - as above


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    with servers.moto() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def ministack_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.ministack(tmp_path_factory.mktemp("ministack")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def seaweedfs_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture
def new_store(request: pytest.FixtureRequest) -> Callable[[str], Store]:
    """A fresh store of a kind: memory, moto, ministack or seaweedfs. The server starts when it is first asked for."""

    def make(kind: str) -> Store:
        return MemoryStore() if kind == "memory" else servers.bucket(request.getfixturevalue(f"{kind}_endpoint"))

    return make
