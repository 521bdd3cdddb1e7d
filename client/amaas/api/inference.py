"""Calls of a model: predictions, explanations, the Open Inference Protocol, statistics, health."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

from amaas.api import inputs, tensors, transport
from amaas.api.answers import Explanation, Prediction, Ranking
from amaas.api.answers import Inference as Inferred
from amaas.api.connection import Connection, Json
from amaas.api.held import known
from amaas.api.inputs import Value
from amaas.api.kinds import BINARY, JSON, UTF8_TEXT
from amaas.api.paths import of_version, route
from amaas.errors import ApiError

ANSWER_ID = "x-amaas-answer-id"


class Inference(Connection):
    """input: what the caller has.

    - a str: a text, unless it names a file that is there, which is sent; with content_type="text/plain" always a text.
      Of texts that others write, say so: they could name your files.
    - a Path: always a file. bytes: its content. An image of Pillow, or an array of uint8 for an image model: a PNG
    - a dict: a row by its columns, or tensors by their names; one with "input" or "inputs" is sent as it is
    - a list: of texts, files or rows, several inputs, answered by `results`; of numbers, one row; of a model without a
      task, its one tensor
    - an array of numpy, or a tensor of another library: a row or rows of a table, or the one tensor
    - an open file or a buffer: its content. An iterator: a list
    """

    def predict(
        self,
        model: str,
        input: Value,
        version: int | str | None = None,
        *,
        content_type: str | None = None,
        options: dict[str, str] | None = None,
        key: str | None = None,
    ) -> Prediction:
        """A prediction in the terms of the model's task: a dict, whose members are attributes, too.

        input: see above. version: a number or an alias; by default production. content_type: by default from the first
        bytes, else from the file's name. options: of the task, as {"top_k": "3"}, or for a zero-shot model {"labels":
        "sports,politics"}. key: sticky key for a split alias; requests with the same one go to the same version. An
        answer with classes has an `answer_id`, by which give_labels can say later what it should have been.
        """
        headers = {"x-request-key": key} if key else {}
        return Prediction(self._send("predict", (model, version), (input, content_type), headers, options))

    @overload
    def explain(
        self,
        model: str,
        input: Value,
        version: int | str | None = None,
        *,
        content_type: str | None = None,
        options: dict[str, str] | None = None,
        picture: Literal[False] = False,
    ) -> Explanation: ...

    @overload
    def explain(
        self,
        model: str,
        input: Value,
        version: int | str | None = None,
        *,
        content_type: str | None = None,
        options: dict[str, str] | None = None,
        picture: bool,
    ) -> Explanation | bytes: ...

    def explain(
        self,
        model: str,
        input: Value,
        version: int | str | None = None,
        *,
        content_type: str | None = None,
        options: dict[str, str] | None = None,
        picture: bool = False,
    ) -> Explanation | bytes:
        """An explanation: how much each part of the input adds to the score of a class.

        options: label, method, samples, seed; of text generation: target, max_tokens. picture: for an image, a PNG
        instead of numbers. Otherwise as predict.
        """
        headers = {"Accept": "image/png"} if picture else {}
        explained = self._send("explain", (model, version), (input, content_type), headers, options)
        return explained if isinstance(explained, bytes) else Explanation(explained)

    def rerank(
        self,
        model: str,
        query: str,
        documents: Sequence[str],
        version: int | str | None = None,
        *,
        top_n: int | None = None,
        return_documents: bool = False,
        key: str | None = None,
    ) -> Ranking:
        """`results`: `index` and `relevance_score` of the documents, the one that answers the query best first.

        top_n: so many of them. return_documents: with their texts. version, key: as predict.
        """
        named = model if version is None else f"{model}@{version}"
        body: Json = {"model": named, "query": query, "documents": list(documents)}
        if top_n is not None:
            body["top_n"] = top_n
        if return_documents:
            body["return_documents"] = True
        headers = {"x-request-key": key} if key else {}
        return Ranking(self._call("rerank", retry=True, json=body, headers=headers))

    def infer(self, model: str, body: Value, version: int | str | None = None) -> Inferred:
        """An inference of the Open Inference Protocol, with JSON tensors.

        body: a request as the protocol has it; a dict of arrays or nested lists by the inputs' names; or one of these
        alone, for a model of one input.
        """
        method, path = route(*of_version("infer", model, version))
        body = known(body)

        def send(describe: Callable[[], Json]) -> Json:
            content, headers = inputs.tensors(body, describe), {"Content-Type": JSON}
            sent: Json = transport.request(self._http, method, path, retry=True, content=content, headers=headers)
            return sent

        return Inferred(self._knowing((model, version), send))

    def infer_binary(
        self, model: str, inputs: tensors.Arrays, version: int | str | None = None, *, outputs: Sequence[str] = ()
    ) -> tensors.Arrays:
        """The same with binary tensors: outputs by name, all of them or those in `outputs`. inputs: arrays by name.

        Needs NumPy. At most 6 MB of inputs on AWS. Raises ApiError; AmaasError for a type without a binary form.
        """
        body, length = tensors.encode(inputs, outputs)
        headers = {tensors.LENGTH: str(length), "Content-Type": BINARY, "Accept": BINARY}
        method, path = route(*of_version("infer", model, version))
        response = transport.request(self._http, method, path, retry=True, raw=True, content=body, headers=headers)
        return tensors.decode(response.content, response.headers.get(tensors.LENGTH))

    def get_version_statistics(self, model: str, version: int | str) -> Json:
        """Inference statistics of a version in the process that answers, as in Triton's statistics extension."""
        return dict(self._call("getVersionStatistics", {"model": model, "version": version})["model_stats"][0])

    def status(self) -> Json:
        """`url`, `live`, `ready`, and `models`: their number, or None if the token may not list them."""
        live, ready = self._is("getServerLive", "live"), self._is("getServerReady", "ready")
        return {"url": self.url, "live": live, "ready": ready, "models": self._count_models()}

    def _send(
        self,
        operation: str,
        target: tuple[str, int | str | None],
        content: tuple[Value, str | None],
        headers: dict[str, str],
        options: dict[str, str] | None,
    ) -> Any:
        method, path = route(*of_version(operation, *target))
        content = known(content[0]), content[1]

        def send(describe: Callable[[], Json]) -> Any:
            body = inputs.body(*content, describe)
            own = {"Content-Type": body.content_type} | headers
            try:
                return transport.request(
                    self._http, method, path, retry=True, raw=True, content=body.content, headers=own,
                    params=options or {},
                )  # fmt: skip
            except ApiError as error:
                raise _of_a_name(error, content[0], body.content_type) from error

        response = self._knowing(target, send)
        answer = transport.content(self._http, response)
        answer_id = response.headers.get(ANSWER_ID)
        return answer | {"answer_id": answer_id} if answer_id and isinstance(answer, dict) else answer

    def _knowing(self, target: tuple[str, int | str | None], send: Callable[[Callable[[], Json]], Any]) -> Any:
        """What `send` answers, which may ask for the model's metadata. They are kept, until a call is refused."""

        def describe() -> Json:
            if target not in self._described:
                model, version = target
                operation = "getModelMetadata" if version is None else "getVersionMetadata"
                names = {"model": model} if version is None else {"model": model, "version": version}
                self._described[target] = self._call(operation, names)
            return self._described[target]

        known = self._described.get(target)
        try:
            return send(describe)
        except ApiError as error:
            self._described.pop(target, None)
            # an alias may have moved to a version that takes something else
            if error.status != 400 or known is None or describe() == known:
                raise
            return send(describe)

    def _is(self, operation: str, member: str) -> bool:
        try:
            answer = self._call(operation)
        except ApiError as error:
            if error.status < 500:
                raise
            return False
        if member not in answer:
            raise transport.strange(self._http)
        return bool(answer[member])

    def _count_models(self) -> int | None:
        try:
            return sum(1 for _ in self._pages("listModels", "models"))
        except ApiError as error:
            if error.status not in (401, 403):
                raise
            return None


def _of_a_name(error: ApiError, value: Value, content_type: str) -> ApiError:
    """The refusal of a text that was meant to be a file's name, or of several in a list."""
    hint = None
    if error.status == 415 and isinstance(value, str) and content_type == UTF8_TEXT:
        hint = f"{value[:100]!r} is no file here, and was sent as a text"
    if error.status == 400 and isinstance(value, list | tuple) and value and isinstance(value[0], str):
        named = inputs.existing_file(value[0])
        hint = f"{value[0][:100]!r} was sent as a text: in a list, give files as Path" if named else None
    if hint is None:
        return error
    return ApiError(error.status, f"{error}; {hint}", code=error.code, request_id=error.request_id)
