"""What a training request may ask for: arguments of a closed list, and data that the caller may read."""

from __future__ import annotations

from typing import Any

import pytest

from shared.jobs.training import job as jobs
from shared.storage.memory import MemoryStore
from tests.jobs_training.conftest import REQUEST, Queue, ask
from tests.support import caller


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        *(
            ({"model": name}, "a built-in network")
            for name in ("os:system", "training.train:main", "/x.py:Net", "a.b:C", "../x")
        ),
        *(
            ({"model": name}, "a built-in network")
            for name in ("torchvision:", "torchvision:a.b", True, 3, ["cnn"], "cnn\n")
        ),
        *(
            ({"pretrained": value}, "torchvision's weights")
            for value in ("/etc/passwd", "weights.pt", "s3://amaas/x", 1)
        ),
        *(({"epochs": value}, "a number") for value in ("", True, "/x", ["1", "x"], "1 2", "nan", "0x1")),
        *(({"optimizer": value}, "a word") for value in ("../x", "a b", "", 1, True)),
        *(({"no-flip": value}, "true or false") for value in (1, "true", [1])),
        *(({"licence": value}, "a text") for value in (True, 1, ["MIT"])),
        *(
            ({name: "x"}, "no argument of a training job")
            for name in ("check", "d", "calibration", "recipe", "config", "o")
        ),
    ],
)
def test_arguments_that_a_request_may_not_give(store: MemoryStore, queue: Queue, arguments: Any, why: str) -> None:
    answer = ask("POST", "/training-jobs", REQUEST | {"arguments": arguments})
    assert (answer.status, why in answer.json["error"]) == (400, True), answer.json
    assert (jobs.list_ids(store), queue.submitted) == ([], [])


def test_arguments_that_it_may(store: MemoryStore, queue: Queue) -> None:
    arguments = {
        "model": "torchvision:resnet18",
        "pretrained": True,
        "size": [64, "64"],
        "lr": 0.1,
        "epochs": "3",
        "optimizer": "adamw",
    }
    arguments |= {"no-flip": True, "cased": False, "compile": True, "licence": "Apache-2.0", "target": "price/EUR"}
    arguments |= {"device": "cuda:0", "schedule": "one-cycle", "randaugment": [2, 9]}
    assert ask("POST", "/training-jobs", REQUEST | {"arguments": arguments}).status == 202


def test_data_of_the_bucket_is_for_those_who_may_read_it(store: MemoryStore, queue: Queue) -> None:
    data, teacher = "s3://amaas/datasets/faces/2026", {"teacher": "s3://amaas/datasets/teachers/old/"}
    for body in (REQUEST | {"data": data}, REQUEST | {"arguments": teacher}):
        for scopes in ("train", "train data:face", "train infer read write", "admin:*s"):
            answer = ask("POST", "/training-jobs", body, scopes=scopes)
            assert (answer.status, "it lacks the scope 'data:" in answer.json["error"]) == (403, True)
    assert (jobs.list_ids(store), queue.submitted) == ([], [])
    body = REQUEST | {"data": data, "arguments": teacher}
    assert ask("POST", "/training-jobs", body, scopes="train data:faces").status == 403
    assert ask("POST", "/training-jobs", body, scopes="train data:faces data:teach*").status == 202
    assert ask("POST", "/training-jobs", body, scopes="admin").status == 202


def test_reports_show_items_of_the_data(store: MemoryStore) -> None:
    body = REQUEST | {"data": "s3://amaas/datasets/faces"}
    job = ask("POST", "/training-jobs", body, scopes="train data").json["id"]
    jobs.write_report(store, job, 1, "failed", "no space")
    store.put(f"training/{job}/report/cleaning.json", b"{}")

    def seen(scopes: str, token: str, **context: str) -> bool:
        answer = ask("GET", f"/training-jobs/{job}", scopes=scopes, authorizer=caller(scopes, token, **context))
        assert answer.status == 200
        return "reports" in answer.json

    assert seen("read", "tester")
    assert seen("read", "later", replaces='["tester"]')
    assert seen("read data:faces", "bob")
    assert not seen("read", "bob")
    assert not seen("read data:others admin:shoes", "bob")
