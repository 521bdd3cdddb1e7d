"""The client for asyncio: each method of Client, awaited.

All that a method does is Client's own: it runs in a thread of the client's, so that there is no second copy of what is
sent, repeated and read. A call that is cancelled is not waited for; the service may still carry it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from amaas.client import Client
from amaas.errors import AmaasError

P = ParamSpec("P")
T = TypeVar("T")
AT_ONCE = 32
END = object()


class Closed:
    """What is closed at the end of an `async with`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        raise NotImplementedError


class Rows(Closed, Generic[T]):
    """An asynchronous iterator over what comes one by one, which is to be read to its end or closed."""

    def __init__(self, run: Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]], rows: Iterator[T]) -> None:
        self._run, self._rows, self._turn = run, rows, asyncio.Lock()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        async with self._turn:
            row = await self._run(partial(next, self._rows, END))
        if row is END:
            raise StopAsyncIteration
        found: T = row
        return found

    async def aclose(self) -> None:
        """End the work behind it."""
        close = getattr(self._rows, "close", None)
        if close is not None:
            await self._run(close)


def _awaited(
    method: Callable[Concatenate[Client, P], T],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    @wraps(method)
    async def call(self: AsyncClient, /, *arguments: P.args, **options: P.kwargs) -> T:
        answer: T = await self._run(partial(method, self._client, *arguments, **options))
        return answer

    return call


def _iterated(
    method: Callable[Concatenate[Client, P], Iterator[T]],
) -> Callable[Concatenate[AsyncClient, P], Rows[T]]:
    @wraps(method)
    def call(self: AsyncClient, /, *arguments: P.args, **options: P.kwargs) -> Rows[T]:
        return Rows(self._run, method(self._client, *arguments, **options))

    return call


def _written(method: Callable[Concatenate[Client, P], Any]) -> Callable[Concatenate[AsyncClient, P], Any]:
    """Of a text: whole, or with stream=True its events, as they come."""

    @wraps(method)
    async def call(self: AsyncClient, /, *arguments: P.args, **options: P.kwargs) -> Any:
        answer = await self._run(partial(method, self._client, *arguments, **options))
        return Rows(self._run, answer) if options.get("stream") else answer

    return call


class AsyncClient(Closed):
    """As Client, for asyncio; an asynchronous context manager. Its methods are Client's, and so are their errors.

    `await client.predict(…)`; `async for row in client.read_batch_job_outputs(…)`; `await client.chat(…, stream=True)`
    is an asynchronous iterator. at_once: how many calls may be on their way together; more wait for their turn.
    on_progress and on_state are called from another thread.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
        *,
        profile: str | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self._client = Client(url, token, timeout, profile=profile)
        self._is_closed = False
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="amaas")

    @property
    def url(self) -> str:
        return self._client.url

    async def aclose(self) -> None:
        """Close the connections. Calls that wait for their turn are not made; those on their way are not waited for."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._client.close)

    async def _run(self, call: Callable[[], Any]) -> Any:
        if self._is_closed:
            raise AmaasError("the client is closed: make another, or call it within its `async with`")
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    get_logs = _iterated(Client.get_logs)
    list_models = _awaited(Client.list_models)
    get_model = _awaited(Client.get_model)
    list_versions = _awaited(Client.list_versions)
    get_version = _awaited(Client.get_version)
    get_version_files = _awaited(Client.get_version_files)
    pull = _awaited(Client.pull)
    get_version_signature = _awaited(Client.get_version_signature)
    compare_versions = _awaited(Client.compare_versions)
    get_model_counts = _awaited(Client.get_model_counts)
    get_model_drift = _awaited(Client.get_model_drift)
    get_model_accuracy = _awaited(Client.get_model_accuracy)
    update_model = _awaited(Client.update_model)
    delete_model = _awaited(Client.delete_model)
    restore_model = _awaited(Client.restore_model)
    retire_version = _awaited(Client.retire_version)
    restore_version = _awaited(Client.restore_version)

    get_history = _awaited(Client.get_history)
    verify = _awaited(Client.verify)
    matches_anchor = _awaited(Client.matches_anchor)

    promote = _awaited(Client.promote)
    split = _awaited(Client.split)
    rollback = _awaited(Client.rollback)
    delete_alias = _awaited(Client.delete_alias)
    set_alias_policy = _awaited(Client.set_alias_policy)
    create_policy_request = _awaited(Client.create_policy_request)
    create_move_request = _awaited(Client.create_move_request)
    approve_move_request = _awaited(Client.approve_move_request)
    reject_move_request = _awaited(Client.reject_move_request)

    get_model_cost = _awaited(Client.get_model_cost)
    list_model_costs = _awaited(Client.list_model_costs)
    get_release = _awaited(Client.get_release)

    give_labels = _awaited(Client.give_labels)
    delete_labels = _awaited(Client.delete_labels)

    push = _awaited(Client.push)
    wait_for_upload = _awaited(Client.wait_for_upload)
    get_upload = _awaited(Client.get_upload)
    list_recent_uploads = _awaited(Client.list_recent_uploads)
    list_uploads = _awaited(Client.list_uploads)
    delete_upload = _awaited(Client.delete_upload)
    redrive_uploads = _awaited(Client.redrive_uploads)

    predict = _awaited(Client.predict)
    explain = _awaited(Client.explain)
    rerank = _awaited(Client.rerank)
    infer = _awaited(Client.infer)
    infer_binary = _awaited(Client.infer_binary)
    get_version_statistics = _awaited(Client.get_version_statistics)
    status = _awaited(Client.status)

    chat = _written(Client.chat)
    complete = _written(Client.complete)

    create_batch_job = _awaited(Client.create_batch_job)
    list_batch_jobs = _awaited(Client.list_batch_jobs)
    start_batch_job = _awaited(Client.start_batch_job)
    get_batch_job = _awaited(Client.get_batch_job)
    wait_for_batch_job = _awaited(Client.wait_for_batch_job)
    cancel_batch_job = _awaited(Client.cancel_batch_job)
    delete_batch_job_data = _awaited(Client.delete_batch_job_data)
    list_batch_job_failures = _awaited(Client.list_batch_job_failures)
    read_batch_job_outputs = _iterated(Client.read_batch_job_outputs)

    create_training_job = _awaited(Client.create_training_job)
    get_training_job = _awaited(Client.get_training_job)
    list_training_jobs = _awaited(Client.list_training_jobs)
    cancel_training_job = _awaited(Client.cancel_training_job)
    delete_training_job_data = _awaited(Client.delete_training_job_data)
    download_training_reports = _awaited(Client.download_training_reports)
    wait_for_training_job = _awaited(Client.wait_for_training_job)

    list_tokens = _awaited(Client.list_tokens)
    get_own_token = _awaited(Client.get_own_token)
    create_token = _awaited(Client.create_token)
    rotate_token = _awaited(Client.rotate_token)
    revoke_token = _awaited(Client.revoke_token)
