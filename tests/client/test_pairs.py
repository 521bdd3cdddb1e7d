"""The verbs that call models of pairs of texts, and how the client says what such a route refuses."""

from __future__ import annotations

import pytest
from amaas import ApiError, Client

from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.gateway import Service
from tests.client.models import ranking
from tests.client.test_cli import answered


def test_rerank(run: Run, log: Log, service: Service) -> None:
    ranking(log)
    heading, first, second = run("rerank", "pairs", "a cat", "bob", "the cat", "--top", "2").stdout.splitlines()
    assert heading == "pairs 2 documents"
    assert first.split() == ["0.8808", "1", "the", "cat"] and second.split() == ["0.5000", "0", "bob"]
    lines = answered(run, "rerank", "pairs@1", "a cat", "-", "--key", "k", input="bob\n\nthe cat\n")
    assert [one["index"] for one in lines["results"]] == [1, 0]
    assert service.calls[-1].json()["model"] == "pairs@1" and service.calls[-1].headers["x-request-key"] == "k"
    refused = run("rerank", "nobody", "a cat", "bob")
    assert (refused.exit_code, refused.stdout) == (1, "") and refused.stderr.startswith(
        "amaas: there is no model 'nobo"
    )
    assert run("rerank", "pairs", "a cat").exit_code == 2


def test_predict_takes_labels(run: Run, log: Log) -> None:
    ranking(log)
    arguments = ["--data", '{"input": "bob and anna"}', "--labels", "paris,bob"]
    assert [one["label"] for one in answered(run, "predict", "topics", *arguments)["predictions"]] == ["bob", "paris"]


def test_the_clients_method(client: Client, log: Log) -> None:
    ranking(log)
    answer = client.rerank("pairs", "a cat", ["bob", "the cat"], version=1, top_n=1)
    assert answer == {
        "model": "pairs@1",
        "results": [{"index": 1, "relevance_score": pytest.approx(0.880797)}],
        "usage": {"total_tokens": 13},
    }
    assert "document" in client.rerank("pairs", "a cat", ["bob"], return_documents=True)["results"][0]
    with pytest.raises(ApiError, match=r"^the body is no rerank request, .* 1 to 1,024 documents") as refused:
        client.rerank("pairs", "a cat", [])
    assert refused.value.status == 400
