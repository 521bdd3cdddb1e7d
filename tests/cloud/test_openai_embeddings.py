"""Embeddings through openai, LiteLLM and LangChain, unmodified: texts, and token ids of the model's own vocabulary."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.storage.memory import MemoryStore
from tests.client.gateway import Service
from tests.functions.conftest import store
from tests.functions.test_flow import push
from tests.functions.test_packages import embedder
from tests.serving import packages

__all__ = ["store"]  # a fixture
ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".local" / "envs" / "openai" / "bin" / "python"
TEXTS = ["the cat sat on a mat", "anna"]
QUESTIONS = ["openai", "openai floats", "openai ids", "litellm", "langchain"]


@pytest.fixture
def answers(store: MemoryStore) -> dict[str, Any]:
    push(store, "embedder", embedder())
    service = Service(store)
    ids = [packages.tokenizer().encode(text).ids for text in TEXTS]
    asked = json.dumps({"url": service.api_url, "token": service.tokens["ann"], "texts": TEXTS, "ids": ids})
    script = [str(PYTHON), str(ROOT / "tests" / "cloud" / "embedding_calls.py")]
    done = subprocess.run(script, input=asked, capture_output=True, text=True, timeout=300, check=False)
    service.close()
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_all_of_them_embed_and_get_the_same(answers: dict[str, Any]) -> None:
    wanted = answers["openai floats"]
    assert len(wanted) == 2 and wanted[0] != wanted[1]
    for question in QUESTIONS:
        for got, one in zip(answers[question], wanted, strict=True):
            assert got == pytest.approx(one, abs=1e-6), question
    for question in ("openai ids of one", "langchain query"):
        assert answers[question][0] == pytest.approx(wanted[0], abs=1e-6), question
    assert answers["refused"] == ["bad_input", True]
