"""What two versions may share of what is loaded: nothing, unless all that an answer depends on is the same."""

from __future__ import annotations

import pytest

from shared.errors import Unavailable
from shared.registry import models as registry
from shared.registry.log import Log
from shared.registry.state import Version
from shared.serving import models as serving
from shared.storage.memory import MemoryStore
from tests.serving.test_models import make, publish
from tests.support import linear


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_versions_that_differ_in_one_other_file_share_nothing(store: MemoryStore) -> None:
    """The same model and manifest: with another tokenizer, or with samples that it does not answer alike."""
    for n, text in enumerate((b"one", b"two", b"two"), start=1):
        publish(store, "texts", linear([[1.0], [0.0]]), f"text-{n}", tokenizer=text)
    models = make(store)
    loaded = [models.load("texts", str(n)) for n in (1, 2, 3)]
    assert [one.part("tokenizer", bytes.decode) for one in loaded] == ["one", "two", "two"]
    assert loaded[0].session is not loaded[1].session
    assert loaded[1].session is loaded[2].session  # the same package, pushed twice


def test_what_refuses_one_version_refuses_no_other(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for n, text in enumerate((b"one", b"two"), start=1):
        publish(store, "texts", linear([[1.0], [0.0]]), f"text-{n}", samples=text)
    first = registry.get(Log(store), "texts").versions[1].files

    def find_refusal(name: str, version: Version, *_: object) -> str | None:
        return "its samples are answered otherwise" if version.files == first else None

    monkeypatch.setattr(serving.vouching, "find_refusal", find_refusal)
    models = make(store)
    with pytest.raises(Unavailable, match="samples"):
        models.load("texts", "1")
    assert models.load("texts", "2").version.version == 2
