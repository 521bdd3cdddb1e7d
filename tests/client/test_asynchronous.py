"""The client for asyncio has all that Client has, and answers the same."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from amaas import ApiError, AsyncClient, Client, NotConnected

from shared.registry.log import Log
from tests.client.gateway import Service, Trouble
from tests.client.models import PNG, everyday, served
from tests.client.texts import streaming, writing
from tests.registry.conftest import push

Use = Callable[[AsyncClient], Coroutine[Any, Any, Any]]


def public(kind: type) -> dict[str, Any]:
    return {
        name: getattr(kind, name) for name in dir(kind) if not name.startswith("_") and name not in ("close", "aclose")
    }


def test_it_has_the_methods_of_client_with_their_arguments() -> None:
    """A method that is added to Client has its line in AsyncClient, too."""
    both, own = public(Client), public(AsyncClient)
    assert set(own) - {"url"} == set(both)
    assert len(both) > 60
    for name, method in both.items():
        assert inspect.signature(own[name]) == inspect.signature(method), name
        assert own[name].__doc__ == method.__doc__
        assert inspect.iscoroutinefunction(own[name]) is not inspect.isgeneratorfunction(method), name


def test_it_is_opened_as_client_is() -> None:
    of_client = inspect.signature(Client.__init__).parameters
    own = dict(inspect.signature(AsyncClient.__init__).parameters)
    assert own.pop("at_once").default == 32
    assert list(own.values()) == list(of_client.values())
    with pytest.raises(NotConnected, match="no service is configured"):
        AsyncClient()


@pytest.fixture
def used(service: Service) -> Callable[..., Any]:
    """The answer of a coroutine that gets an AsyncClient, which is closed then."""

    def run(use: Use, **options: Any) -> Any:
        async def main() -> Any:
            async with AsyncClient(service.api_url, service.tokens["ann"], **options) as client:
                return await use(client)

        return asyncio.run(main())

    return run


def test_calls_of_each_kind(used: Callable[..., Any], client: Client, log: Log) -> None:
    served(log)
    everyday(log)
    push(log, "m", 2)

    async def use(own: AsyncClient) -> None:
        assert own.url == client.url
        assert await own.list_models() == client.list_models()
        assert (await own.predict("digits", PNG)).label == client.predict("digits", PNG).label
        assert (await own.predict("rows", [1, 2])).value == 22.0
        assert (await own.infer("sum", [[1, 2]])).data() == [21.0]
        assert (await own.promote("m", 2, reason="better"))["version"] == 2
        assert (await own.verify("m"))["verified"]
        with pytest.raises(ApiError, match="there is no model 'nope'") as refused:
            await own.get_model("nope")
        assert refused.value.status == 404

    used(use)
    assert client.get_history("m", 1)[0]["reason"] == "better"


def test_a_package_is_pushed(used: Callable[..., Any], package: Any, service: Service) -> None:
    assert used(lambda own: own.push(package))["state"] == "registered"
    assert "weights.data" in service.sent_files()


def test_calls_go_together(used: Callable[..., Any], service: Service) -> None:
    service.trouble = [Trouble("GET", "/models$", 200, b'{"models": [], "next": null}', delay=0.3, times=20)]

    async def use(own: AsyncClient) -> float:
        start = time.monotonic()
        assert await asyncio.gather(*(own.list_models() for _ in range(20))) == [[]] * 20
        return time.monotonic() - start

    together = used(use)
    assert together < 20 * 0.3 / 2
    service.trouble[0].times = 4
    start = time.monotonic()
    used(lambda own: asyncio.gather(*(own.list_models() for _ in range(4))), at_once=1)
    assert time.monotonic() - start >= 4 * 0.3


def test_the_loop_goes_on_meanwhile_and_a_cancelled_call_is_left(used: Callable[..., Any], service: Service) -> None:
    service.trouble = [Trouble("GET", "/models$", 200, delay=1)]

    async def use(own: AsyncClient) -> float:
        start = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(own.list_models(), 0.1)
        return time.monotonic() - start

    assert used(use) < 0.8


def test_texts_as_they_come(used: Callable[..., Any], log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    streaming(monkeypatch)
    writing(log)
    messages = [{"role": "user", "content": "Hello"}]

    async def use(own: AsyncClient) -> None:
        whole = await own.chat("writer", messages, max_tokens=6, seed=3)
        parts = [
            event["choices"][0]["delta"].get("content", "")
            async for event in await own.chat("writer", messages, stream=True, max_tokens=6, seed=3)
        ]
        assert "".join(parts) == whole.text and len(parts) > 4
        async with await own.complete("writer", "Once", stream=True, max_tokens=50) as events:
            assert (await anext(events))["choices"]

    used(use)


def test_what_comes_by_rows_is_an_asynchronous_iterator(used: Callable[..., Any], service: Service) -> None:
    body = b'{"outputs": [], "next": null}'
    service.trouble = [Trouble("GET", "/batch/j/outputs", 200, body), Trouble("GET", "/batch/k/outputs", 404)]

    async def use(own: AsyncClient) -> None:
        assert [row async for row in own.read_batch_job_outputs("j")] == []
        with pytest.raises(ApiError, match="not now"):
            await anext(own.read_batch_job_outputs("k"))

    used(use)
