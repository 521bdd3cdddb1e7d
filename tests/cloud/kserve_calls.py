"""What test_kserve asks, through KServe's own client: runs in the environment 'kserve', which has nothing of ours.

{"url", "token"} on standard input → one JSON object: what was sent, and for each question what came back.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

IMAGES = np.random.default_rng(0).random((2, 1, 4, 4), np.float32)
TENSORS = {
    "bool": np.array([True, False]),
    "uint8": np.array([0, 255], np.uint8),
    "uint16": np.array([0, 65535], np.uint16),
    "uint32": np.array([0, 2**32 - 1], np.uint32),
    "uint64": np.array([0, 2**64 - 1], np.uint64),
    "int8": np.array([-128, 127], np.int8),
    "int16": np.array([-32768, 32767], np.int16),
    "int32": np.array([-(2**31), 2**31 - 1], np.int32),
    "int64": np.array([-(2**63), 2**63 - 1], np.int64),
    "fp16": np.array([0.5, -65504], np.float16),
    "fp32": np.array([0.1, -3e38], np.float32),
    "fp64": np.array([0.1, 1e300]),
    "bytes": np.array(["größe", ""], object),
}


class Caller:
    """The SDK's client with the gateway's address, whose path is the stage, and the token for each call."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.headers = url, {"Authorization": f"Bearer {token}"}
        self.client = InferenceRESTClient(RESTConfig(protocol="v2"))

    async def infer(self, model: str, request: InferRequest | dict[str, Any], **changes: Any) -> InferResponse:
        asked = {"model_name": model, "headers": dict(self.headers)} | changes
        return await self.client.infer(self.url, request, **asked)

    async def error(self, model: str, request: InferRequest, **changes: Any) -> str:
        """What the SDK tells its user of a call that fails."""
        try:
            return f"no error, but {await self.infer(model, request, **changes)}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def images(binary: bool, name: str = "image", rows: int = 2, **more: Any) -> InferRequest:
    tensor = InferInput(name, [rows, 1, 4, 4], "FP32")
    tensor.set_data_from_numpy(IMAGES[:rows], binary_data=binary)
    if binary:
        more = {"parameters": {"binary_data_output": True}} | more
    return InferRequest("kserve-images", [tensor], **more)


def tensors(binary: bool, outputs: list[RequestedOutput] | None = None) -> InferRequest:
    """One of each datatype; those that have no JSON form in the SDK go in binary always."""
    given = []
    for name, array in TENSORS.items():
        given.append(InferInput(f"x-{name}", [2], name.upper()))
        given[-1].set_data_from_numpy(array, binary_data=binary or name == "fp16")
    asked = outputs or [RequestedOutput(f"y-{name}", {"binary_data": binary or name == "fp16"}) for name in TENSORS]
    return InferRequest("kserve-tensors", given, request_outputs=asked)


def shown(response: InferResponse) -> dict[str, Any]:
    return {
        "id": response.id,
        "model": response.model_name,
        "outputs": {output.name: _values(output.as_numpy()) for output in response.outputs},
    }


def _values(array: np.ndarray) -> Any:
    values = array.tolist()
    return [v.decode() if isinstance(v, bytes) else v for v in values] if array.dtype.kind == "O" else values


async def state(ask: Caller) -> dict[str, Any]:
    client, url, headers = ask.client, ask.url, ask.headers
    return {
        "live": await client.is_server_live(url, headers=headers),
        "ready": await client.is_server_ready(url, headers=headers),
        "model": await client.is_model_ready(url, "kserve-images", headers=headers),
        "version": await client.is_model_ready(url, "kserve-images/versions/production", headers=headers),
        "unknown": await client.is_model_ready(url, "nobody", headers=headers),
        "nobody's": await client.is_model_ready(url, "kserve-images"),
    }


async def answers(ask: Caller) -> dict[str, Any]:
    told: dict[str, str] = {}
    nested = {"inputs": [{"name": "image", "shape": [2, 1, 4, 4], "datatype": "FP32", "data": IMAGES.tolist()}]}
    some = [RequestedOutput("y-int64"), RequestedOutput("y-bytes", {"binary_data": True})]
    classes = [RequestedOutput("logits", {"classification": 1})]
    return {
        "json": shown(await ask.infer("kserve-images", images(False, request_id="r-1"), response_headers=told)),
        "binary": shown(await ask.infer("kserve-images", images(True, request_id="r-2"))),
        "version": shown(await ask.infer("kserve-images/versions/1", images(True))),
        "dictionary": shown(await ask.infer("kserve-images", nested)),
        "tensors in json": shown(await ask.infer("kserve-tensors", tensors(False))),
        "tensors in binary": shown(await ask.infer("kserve-tensors", tensors(True))),
        "some outputs": shown(await ask.infer("kserve-tensors", tensors(True, some))),
        "classes": shown(await ask.infer("kserve-images", images(False, request_outputs=classes))),
        "no rows in json": shown(await ask.infer("kserve-images", images(False, rows=0))),
        "no rows in binary": shown(await ask.infer("kserve-images", images(True, rows=0))),
        "headers": told,
    }


async def errors(ask: Caller) -> dict[str, Any]:
    return {
        "input": await ask.error("kserve-images", images(False, name="picture")),
        "input in binary": await ask.error("kserve-images", images(True, name="picture")),
        "output": await ask.error("kserve-images", images(False, request_outputs=[RequestedOutput("nothing")])),
        "model": await ask.error("nobody", images(False)),
        "route": await ask.error("kserve-images/versions/1/x", images(False)),
        "no token": await ask.error("kserve-images", images(False), headers={}),
        "bad token": await ask.error("kserve-images", images(False), headers={"Authorization": "Bearer amaas_0_0"}),
    }


async def together(ask: Caller) -> list[dict[str, Any]]:
    """Eight calls at once on one client."""
    return [shown(r) for r in await asyncio.gather(*(ask.infer("kserve-images", images(n % 2 == 0)) for n in range(8)))]


async def main() -> None:
    ask = Caller(**json.load(sys.stdin))
    async with ask.client:
        found = {
            "sent": {"image": IMAGES.tolist()} | {f"x-{name}": _values(array) for name, array in TENSORS.items()},
            "state": await state(ask),
            "answers": await answers(ask),
            "errors": await errors(ask),
            "together": await together(ask),
        }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
