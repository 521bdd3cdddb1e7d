"""Versions that got past the gate, called over HTTP: each harms its own call, and nobody else's.

They are written into the log with the deployment's own key, as a gate with a hole would have done. While they are
called, another caller calls another model all the time; the function's processes must be the same at the end.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.package.manifest import Tensor
from shared.signing.local import LocalKey
from tests.cloud.conftest import Cloud
from tests.cloud.running import logged, processes, register_past_the_gate, settings
from tests.runtime import sessions
from tests.support import linear

pytestmark = pytest.mark.cloud
FP32, INT64 = "FP32", "INT64"
FUNCTION = "InferenceFunction"
SECONDS = 8  # of the function, instead of 29: its deadline is one second before
PLANTED = 271828182845904523  # a caller's value, that no log may have
HOSTILE: dict[str, tuple[bytes, list[Tensor], list[Tensor]]] = {
    "null": (sessions.dereferences_null(), [Tensor("x", FP32, [-1])], [Tensor("y", FP32, [-1])]),
    "division": (
        sessions.divides(),
        [Tensor("x", INT64, [-1]), Tensor("by", INT64, [-1])],
        [Tensor("y", INT64, [-1])],
    ),
    "memory": (sessions.grows(), [Tensor("shape", INT64, [1])], [Tensor("y", FP32, [-1]), Tensor("n", FP32, [1])]),
    "loop": (sessions.repeats(), [Tensor("times", INT64, []), Tensor("x", FP32, [1])], [Tensor("y", FP32, [1])]),
}
SMALLEST = -(2**63)


class Other:
    """Another caller, of another model, who calls without a pause; each answer has to be that of its own input."""

    def __init__(self, cloud: Cloud) -> None:
        token = cloud.api.post("/tokens", json={"name": "other", "scopes": ["infer:wall-good"]}).json()["token"]
        self._api = httpx.Client(
            base_url=cloud.access["api_url"], headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        self._stop = threading.Event()
        self.right, self.wrong = 0, list[str]()
        self._thread = threading.Thread(target=self._call, daemon=True)

    def __enter__(self) -> Other:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._api.close()

    def _call(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            answer = self._api.post("/models/wall-good/predict", json={"inputs": {"x": [[number, 7]]}})
            if answer.status_code == 200 and answer.json()["outputs"] == {"y": [[float(number)]]}:
                self.right += 1
            else:
                self.wrong.append(f"{number}: {answer.status_code} {answer.text}")


@pytest.fixture(scope="module", autouse=True)
def hostile(cloud: Cloud) -> Iterator[None]:
    good = linear([[1.0], [0.0]])
    register_past_the_gate(cloud, "wall-good", good, [Tensor("x", FP32, [-1, 2])], [Tensor("y", FP32, [-1, 1])])
    for name, (body, inputs, outputs) in HOSTILE.items():
        register_past_the_gate(cloud, f"wall-{name}", body, inputs, outputs)
    with settings(cloud, FUNCTION, timeout=SECONDS):
        yield


@pytest.fixture
def other(cloud: Cloud) -> Iterator[Other]:
    """Whatever the test does meanwhile: nobody else notices it, and no process of the function ends."""
    predict(cloud, "good", {"x": [[1, 7]]})
    with Other(cloud) as other:
        while other.right < 3:
            assert not other.wrong
            time.sleep(0.05)
        before = set(processes(cloud, FUNCTION))
        yield other
        answered = other.right
        while other.right < answered + 3:
            assert not other.wrong
            time.sleep(0.05)
        assert before and before <= set(processes(cloud, FUNCTION)), "a process of the function has ended"
    assert other.wrong == []


def predict(cloud: Cloud, name: str, inputs: dict[str, Any]) -> httpx.Response:
    return cloud.api.post(f"/models/wall-{name}/predict", json={"inputs": inputs})


@pytest.mark.parametrize(
    ("name", "inputs", "name_of_signal", "harmless"),
    [
        ("null", {"x": [float(PLANTED)]}, "SIGSEGV", None),
        ("division", {"x": [SMALLEST, PLANTED], "by": [-1, 1]}, "SIGFPE", {"x": [7], "by": [2]}),
    ],
)
def test_a_crash_is_a_503_of_its_call(
    cloud: Cloud, other: Other, name: str, inputs: dict[str, Any], name_of_signal: str, harmless: dict[str, Any] | None
) -> None:
    since = time.time()
    for _ in range(3):
        answer = predict(cloud, name, inputs)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert f"crashed ({name_of_signal}) on this input; no other call is affected" in answer.json()["error"]
        assert str(PLANTED) not in answer.text
        if harmless:
            assert predict(cloud, name, harmless).json()["outputs"] == {"y": [3]}
    lines = logged(cloud, "inference", since)
    crashes = [line for line in lines if "ModelCrashed" in line]
    assert [line["model"] for line in crashes if "model" in line] == [f"wall-{name}"] * 3
    assert len([line for line in crashes if "model" not in line]) == 3, "what the alarm counts"
    assert name_of_signal in json.dumps(lines)
    assert not any(value in json.dumps(lines) for value in (str(PLANTED), str(float(PLANTED)), str(SMALLEST)))


def test_a_model_without_end_is_a_504_in_time(cloud: Cloud, other: Other) -> None:
    since = time.time()
    answer = predict(cloud, "loop", {"times": 10**12, "x": [0.0]})
    assert answer.status_code == 504
    assert "was stopped: send fewer or smaller inputs" in answer.json()["error"]
    assert predict(cloud, "loop", {"times": 4, "x": [0.0]}).json()["outputs"] == {"y": [4.0]}
    timed_out = [line for line in logged(cloud, "inference", since) if "ModelTimedOut" in line]
    assert [line["model"] for line in timed_out if "model" in line] == ["wall-loop"]


def test_five_gigabytes_are_a_503_of_their_call(cloud: Cloud, other: Other) -> None:
    answer = predict(cloud, "memory", {"shape": [5 * 10**9 // 4]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "out of memory on this input; send a smaller one" in answer.json()["error"]
    assert predict(cloud, "memory", {"shape": [2]}).json()["outputs"] == {"y": [0.0, 0.0], "n": [0.0]}


@pytest.mark.parametrize("count", [10**8, 10**7])
def test_a_huge_answer_is_a_413_of_its_call(cloud: Cloud, other: Other, count: int) -> None:
    answer = predict(cloud, "memory", {"shape": [count]})
    assert answer.status_code == 413
    assert "send fewer" in answer.json()["error"]
    assert predict(cloud, "memory", {"shape": [1]}).status_code == 200


def test_negative_control_without_the_wall_the_process_ends(cloud: Cloud, tmp_path: Path) -> None:
    """The same model, signed with a key that the operator trusts, takes the function's process with it."""
    key = LocalKey.create(tmp_path / "key.pem")
    register_past_the_gate(cloud, "wall-trusted", *HOSTILE["division"], key)
    signer = base64.b64encode(key.public).decode()
    headers = {"Authorization": cloud.api.headers["Authorization"]}  # the gateway's own answer is not as on AWS
    with settings(cloud, FUNCTION, TRUSTED_MODELS="signed", TRUSTED_SIGNERS=signer):
        assert predict(cloud, "trusted", {"x": [7], "by": [2]}).json()["outputs"] == {"y": [3]}
        [process] = processes(cloud, FUNCTION)
        ended = {"inputs": {"x": [SMALLEST], "by": [-1]}}
        answer = httpx.post(f"{cloud.access['api_url']}/models/wall-trusted/predict", json=ended, headers=headers)
        assert answer.status_code in (502, 504)
        assert process not in processes(cloud, FUNCTION)
