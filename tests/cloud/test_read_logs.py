"""`amaas logs` of the running cloud: real lines of real functions, by a token alone."""

from __future__ import annotations

from typing import Any

import pytest
from amaas import Client

from tests.cloud.conftest import Cloud
from tests.cloud.running import until

pytestmark = pytest.mark.cloud


def test_who_has_the_number_of_a_call_gets_its_lines(cloud: Cloud) -> None:
    refused = cloud.api.get("/models/nobody-has-it")
    assert refused.status_code == 404
    number = refused.json()["request_id"]
    with Client(cloud.access["api_url"], cloud.access["token"]) as client:

        def seen() -> list[dict[str, Any]]:
            return list(client.get_logs(number))

        [line] = until(seen)
        assert (line["function"], line["message"], line["request_id"]) == ("registry", "call", number)
        assert (line["fields"]["route"], line["fields"]["status"]) == ("/models/{model}", 404)
        assert seen() == [line]

        everything = list(client.get_logs(since="15m"))
        assert {"registry", "authorize", "logs"} <= {one["function"] for one in everything}
        assert [one["at"] for one in everything] == sorted(one["at"] for one in everything)
        places = {(one["function"], one["id"]) for one in everything}
        assert len(places) == len(everything), "each has an id of its own"
        texts = [one["message"] for one in everything if one["level"] is None]
        assert [text for text in texts if "RequestId:" in text] == [], "what Lambda says of itself is left out"


def test_a_page_goes_on_where_the_last_one_ended(cloud: Cloud) -> None:
    for _ in range(5):
        cloud.api.get("/models/nobody-has-it")
    query = {"function": "registry", "since": "30m", "until": "0m", "limit": "2"}

    def pages() -> list[dict[str, Any]]:
        found, following = list[dict[str, Any]](), dict[str, str]()
        while True:
            answer = cloud.api.get("/logs", params=query | following).json()
            found.append(answer)
            if answer["next"] is None:
                return found if len(found) > 3 else []
            following = {"next": answer["next"], "since": answer["since"], "until": answer["until"]}

    ids = [line["id"] for page in until(pages) for line in page["lines"]]
    assert len(set(ids)) == len(ids)
