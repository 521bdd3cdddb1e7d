"""Calls of a model: predictions, explanations, the Open Inference Protocol, statistics, health."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amaas.api import tensors, transport
from amaas.api.connection import Connection, Json
from amaas.api.paths import of_version, route
from amaas.errors import AmaasError, ApiError

MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"BM": "image/bmp"}
RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
BINARY = "application/octet-stream"
ANSWER_ID = "x-amaas-answer-id"


class Inference(Connection):
    def predict(
        self,
        model: str,
        input: str | Path | bytes | Json,
        version: int | str | None = None,
        *,
        content_type: str | None = None,
        options: dict[str, str] | None = None,
        key: str | None = None,
    ) -> Json:
        """A prediction in the terms of the model's task.

        input: a file, its bytes, or a JSON object. version: a number or an alias; by default production. content_type:
        by default from the first bytes, else from the file's name. options: of the task, as {"top_k": "3"}, or for a
        zero-shot model {"labels": "sports,politics"}. key:
        sticky key for a split alias; requests with the same one go to the same version. An answer with classes has an
        `answer_id`, by which give_labels can say later what it should have been.
        """
        headers = {"x-request-key": key} if key else {}
        prediction: Json = self._send("predict", (model, version), (input, content_type), headers, options)
        return prediction

    def explain(
        self,
        model: str,
        input: str | Path | bytes | Json,
        version: int | str | None = None,
        *,
        content_type: str | None = None,
        options: dict[str, str] | None = None,
        picture: bool = False,
    ) -> Json | bytes:
        """An explanation: how much each part of the input adds to the score of a class.

        options: label, method, samples, seed; of text generation: target, max_tokens. picture: for an image, a PNG
        instead of numbers. Otherwise as predict.
        """
        headers = {"Accept": "image/png"} if picture else {}
        explanation: Json | bytes = self._send("explain", (model, version), (input, content_type), headers, options)
        return explanation

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
    ) -> Json:
        """`results`: `index` and `relevance_score` of the documents, the one that answers the query best first.

        top_n: so many of them. return_documents: with their texts. version, key: as predict.
        """
        named = model if version is None else f"{model}@{version}"
        body: Json = {"model": named, "query": query, "documents": list(documents)}
        if top_n is not None:
            body["top_n"] = top_n
        if return_documents:
            body["return_documents"] = True
        return self._call("rerank", retry=True, json=body, headers={"x-request-key": key} if key else {})

    def infer(self, model: str, body: Json, version: int | str | None = None) -> Json:
        """An inference request of the Open Inference Protocol, with JSON tensors."""
        return self._call(*of_version("infer", model, version), retry=True, json=body)

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
        content: tuple[str | Path | bytes | Json, str | None],
        headers: dict[str, str],
        options: dict[str, str] | None,
    ) -> Any:
        body, guessed = _body(content[0])
        headers = {"Content-Type": content[1] or guessed} | headers
        method, path = route(*of_version(operation, *target))
        response = transport.request(
            self._http, method, path, retry=True, raw=True, content=body, headers=headers, params=options or {}
        )
        answer = transport.content(self._http, response)
        answer_id = response.headers.get(ANSWER_ID)
        return answer | {"answer_id": answer_id} if answer_id and isinstance(answer, dict) else answer

    def _is(self, operation: str, member: str) -> bool:
        try:
            return bool(self._call(operation)[member])
        except ApiError as error:
            if error.status < 500:
                raise
            return False

    def _count_models(self) -> int | None:
        try:
            return sum(1 for _ in self._pages("listModels", "models"))
        except ApiError as error:
            if error.status not in (401, 403):
                raise
            return None


def _body(input: str | Path | bytes | Json) -> tuple[bytes, str]:
    """A request's body, and its content type."""
    if isinstance(input, dict):
        return json.dumps(input).encode(), "application/json"
    if isinstance(input, bytes):
        return input, _content_type(input, "")
    path = Path(input)
    if not path.is_file():
        raise AmaasError(f"{path} is not a file: give a file, bytes or a JSON object")
    body = path.read_bytes()
    return body, _content_type(body, path.name)


def _content_type(body: bytes, name: str) -> str:
    """By the first bytes, which are right more often than names; else by the name."""
    for magic, kind in MAGIC.items():
        if body.startswith(magic):
            return kind
    if body[:4] == b"RIFF":
        return RIFF.get(body[8:12], BINARY)
    guessed = mimetypes.guess_type(name)[0]
    return guessed or ("application/json" if body.lstrip()[:1] in (b"{", b"[") else BINARY)
