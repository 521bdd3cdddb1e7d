"""OpenAI's clients show the message of an error that is an object: what they ask for in vain answers one."""

from __future__ import annotations

import pytest

from functions.inference.app import handler
from tests.support import call


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/embeddings", "/responses", "/audio/speech"])
def test_a_base_url_without_v1_is_told(path: str) -> None:
    answer = call(handler, "POST", path, b"{}")
    assert answer.status == 404
    told = f"there is no route POST {path}: what OpenAI's clients call is below /v1, so their base_url is the API's "
    assert answer.json["error"]["message"].startswith(told) and answer.json["error"]["code"] == "not_found"


def test_what_there_is_not_below_v1_is_told_in_the_form_of_its_clients() -> None:
    answer = call(handler, "POST", "/v1/responses", b"{}")
    assert (answer.status, answer.json["error"]["message"]) == (404, "there is no route POST /v1/responses")
    twice = call(handler, "POST", "/v1/v1/embeddings", b"{}").json["error"]["message"]
    assert twice == "there is no route POST /v1/v1/embeddings: the client's base_url has /v1 once too often"
    assert call(handler, "POST", "/models/m/nothing", b"{}").json["error"] == "there is no route POST /models/m/nothing"
