"""Names of inputs as people and their systems write them: each is answered under the very name, or refused."""

from __future__ import annotations

import pytest

from shared import batch_keys, keys
from shared.errors import BadInput
from shared.storage.memory import MemoryStore
from tests.jobs_batch.world import IMAGES, a_job, answers, run

NAMES = [
    "Screenshot 2026-01-01 at 9.22.20\u202fPM.png",  # macOS
    "Sn\u00edmek obrazovky v\u00a013.05.05.png",
    "\u0646\u0627\u0645\u0647\u200c\u0647\u0627.png",  # Persian
    "\u200fa\u200e.png",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
    "\u5199\u771f\u3000\uff11.png",
    "u\u0308.png",
    "a\u00adb.png",
    "\ue000.png",
    "trailing .png ",
    "back\\slash.png",
    "100%.png",
    "\U0001fae9.png",
    "é" * 254 + ".png",
]


def test_names_of_real_files_are_answered_under_themselves() -> None:
    store = MemoryStore()
    job = a_job(store, dict.fromkeys(NAMES, b"x"))
    run(store, job, lambda body, content_type: {"ok": True}, manifest=IMAGES)
    assert sorted(line["input"] for line in answers(store, job)) == sorted(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/a", "a//b", "a/", ".", "..", "a/../b", "a\nb", "a\tb", "a\x7fb", "a\x85b"),
        *("a\u2028b", "a\u2029b", "\ud800", "a\ufffe", "é" * 255 + ".png"),
    ],
)
def test_what_no_input_can_be_called(name: str) -> None:
    with pytest.raises(BadInput, match="not a name for an input"):
        batch_keys.batch_input("j1", name)


def test_data_sets_have_the_same_names() -> None:
    for name in NAMES:
        assert keys.dataset(f"datasets/d/{name}") == f"datasets/d/{name}"
    with pytest.raises(BadInput):
        keys.dataset("datasets/d/a\u2028b")
