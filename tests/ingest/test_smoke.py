"""Packages that can answer in the terms of their task, and those that cannot, in the real confined process."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers

from shared.ingest.verdict import Limits
from shared.package import processing
from shared.package.table import Column, Table
from tests.ingest.conftest import Smoke
from tests.ingest.smoke_packages import (
    AB,
    BOXES,
    ENTAILS,
    LISTENS,
    NEAR,
    TOKENIZER,
    TOKENS,
    any_size,
    tokenizer_file,
    without_unknown,
    words,
)
from tests.serving.packages import constant, lookup, loudness, overlap, towers
from tests.support import linear, tiny_classifier


@pytest.mark.parametrize(
    ("model", "members", "files"),
    [
        (tiny_classifier(), {"task": "image-classification", "labels": ["a", "b", "c"]}, {}),
        (any_size(), {"task": "image-classification"}, {}),
        (any_size(datatype=TensorProto.UINT8), {"task": "image-classification"}, {}),
        (
            any_size(datatype=TensorProto.UINT8),
            {"task": "image-classification", "preprocess": processing.Image(scale=1)},
            {},
        ),
        (any_size(), {"task": "embedding", "preprocess": processing.Image(size=[8, 8])}, {}),
        (constant({"rows": BOXES["rows"]}), {"task": "object-detection", "labels": ["a", "b", "c"]}, {}),
        (
            constant({"boxes": np.zeros((5, 4), np.float32), "scores": np.ones(5, np.float32), "ids": np.arange(5)}),
            {
                "task": "object-detection",
                "labels": ["only one"],
                "postprocess": processing.Boxes(boxes="boxes", scores="scores", classes="ids"),
            },
            {},
        ),
        (
            constant(BOXES),
            {
                "task": "object-detection",
                "labels": ["a", "b"],
                "postprocess": processing.Boxes(background=2, activation="softmax"),
            },
            {},
        ),
        (lookup(4), {"task": "embedding", **TOKENS}, tokenizer_file()),
        (lookup(2), {"task": "token-classification", "labels": ["O", "B-X"], **TOKENS}, tokenizer_file()),
        (overlap([-1.0, 1.0]), {"task": "text-classification", "labels": ["no", "yes"], **TOKENS}, tokenizer_file()),
        (overlap([1.0]), {"task": "text-classification", **TOKENS}, tokenizer_file()),
        (overlap([0.0, 1.0]), {"task": "zero-shot-classification", **ENTAILS, **TOKENS}, tokenizer_file()),
        (
            overlap([0.0, 1.0]),
            {"task": "zero-shot-classification", "labels": ["a", "b", "c"], **ENTAILS, **TOKENS},
            tokenizer_file(),
        ),
        (towers(), {"task": "zero-shot-classification", **NEAR}, tokenizer_file()),
        (lookup(4, mask=False, batch=2, length=16), {"task": "embedding", **TOKENS}, tokenizer_file()),
        (lookup(4), {"task": "embedding", **TOKENS}, tokenizer_file(without_unknown())),
        (loudness(4000), {"task": "audio-classification", "labels": ["loud", "quiet"], **LISTENS}, {}),
        (linear([[1.0], [2.0]]), {"task": "tabular", "preprocess": AB}, {}),
        (linear([[1.0], [2.0]]), {"task": "tabular", "preprocess": AB, "labels": ["no", "yes"]}, {}),
        (
            linear([[1.0], [2.0]]),
            {"task": "tabular", "preprocess": Table(columns=AB.columns, reference="rows.csv")},
            {"rows.csv": b"b,a\n1,2\n3,4\n"},
        ),
        (
            words(),
            {"task": "tabular", "preprocess": Table(columns=[Column(name="w", type="text")])},
            {},
        ),
    ],
)
def test_a_package_that_answers(smoke: Smoke, model: bytes, members: dict[str, Any], files: dict[str, bytes]) -> None:
    verdict = smoke(model, files=files, **members)
    assert (verdict.accepted, verdict.probe) == (True, "ran"), verdict.reason
    assert verdict.runtime["seccomp"] is True
    assert verdict.optimized is None


@pytest.mark.parametrize(
    ("model", "members", "files", "code", "reason"),
    [
        (lookup(4), {"task": "embedding", **TOKENS}, tokenizer_file(b"{}"), "bad_tokenizer", "tokenizer.json"),
        (lookup(4), {"task": "embedding", **TOKENS}, tokenizer_file(b"\x80" * 99), "bad_tokenizer", "tokenizer.json"),
        (lookup(4), {"task": "embedding", **TOKENS}, tokenizer_file(b"[" * 10**6), "bad_tokenizer", "tokenizer.json"),
        (lookup(4), {"task": "text-classification"}, {}, "task_failed", "names no tokenizer"),
        (
            lookup(4),
            {"task": "embedding", "preprocess": processing.Text(tokenizer="tokenizer.json", ids="ids")},
            tokenizer_file(),
            "task_failed",
            "'input_ids' is none that a tokenizer gives",
        ),
        (
            lookup(4),
            {"task": "embedding", "postprocess": processing.Vector(dimensions=5), **TOKENS},
            tokenizer_file(),
            "task_failed",
            "5 cannot be had",
        ),
        (
            overlap([1.0]),
            {"task": "zero-shot-classification", **ENTAILS, **TOKENS},
            tokenizer_file(),
            "task_failed",
            "entailment is 1, the model has classes 0 to 0",
        ),
        (
            towers(),
            {"task": "zero-shot-classification", **NEAR},
            tokenizer_file(b"{}"),
            "bad_tokenizer",
            "tokenizer.json",
        ),
        (tiny_classifier(), {"task": "image-classification", "labels": ["a"]}, {}, "labels_mismatch", "1 labels"),
        (
            tiny_classifier(),
            {"task": "image-classification", "preprocess": processing.Image(mode="RGB")},
            {},
            "task_failed",
            "shape [1, 3, 4, 4], the model takes [-1, 1, 4, 4]",
        ),
        (
            tiny_classifier(),
            {"task": "image-classification", "preprocess": processing.Image(mode="L", size=[8, 8])},
            {},
            "task_failed",
            "shape [1, 1, 8, 8]",
        ),
        (
            any_size(),
            {"task": "image-classification", "preprocess": processing.Image(mode="L")},
            {},
            "task_failed",
            "the model takes [-1, 3, -1, -1]",
        ),
        (linear([[1.0]]), {"task": "image-classification"}, {}, "task_failed", "does not take one batch of images"),
        (constant(BOXES), {"task": "object-detection", "labels": ["a"]}, {}, "labels_mismatch", "3 classes"),
        (
            constant({"rows": np.zeros((1, 6, 3), np.float32)}),
            {"task": "object-detection"},
            {},
            "task_failed",
            "not four numbers per box",
        ),
        (
            constant({"rows": np.zeros((1, 6, 4), np.float32)}),
            {"task": "object-detection"},
            {},
            "task_failed",
            "has no scores after its boxes",
        ),
        (
            lookup(3),
            {"task": "token-classification", "labels": ["O", "B-X"], **TOKENS},
            tokenizer_file(),
            "labels_mismatch",
            "3 classes",
        ),
        (
            loudness(4000),
            {"task": "audio-classification", "preprocess": processing.Audio(features="mel")},
            {},
            "task_failed",
            "shape [1, 80, ",
        ),
        (
            loudness(4000),
            {"task": "audio-classification", "labels": ["loud"], **LISTENS},
            {},
            "labels_mismatch",
            "2 classes",
        ),
        (
            linear([[1.0], [2.0]]),
            {"task": "tabular", "preprocess": Table(columns=AB.columns[:1])},
            {},
            "task_failed",
            "the model takes [-1, 2]",
        ),
        (
            linear([[1.0], [2.0]]),
            {"task": "tabular", "preprocess": Table(columns=AB.columns, reference="rows.csv")},
            {"rows.csv": b"a,c\n1,2\n"},
            "bad_reference",
            "columns ['c']",
        ),
        (
            linear([[1.0], [2.0]]),
            {"task": "tabular", "preprocess": Table(columns=AB.columns, reference="rows.csv")},
            {"rows.csv": b"a,b\n1,many\n"},
            "bad_reference",
            "'b' is a number",
        ),
        (
            linear([[1.0], [2.0]]),
            {"task": "tabular", "preprocess": Table(columns=AB.columns, reference="rows.csv")},
            {"rows.csv": b"a,b\n"},
            "bad_reference",
            "has no rows",
        ),
        *(
            (
                any_size(datatype=TensorProto.UINT8),
                {"task": "image-classification", "preprocess": processing.Image(**made)},
                {},
                "bad_pixels",
                "input 'image' is UINT8 and gets pixels as they are",
            )
            for made in ({"mean": [0.5]}, {"std": [0.2, 0.2, 0.3]}, {"scale": 1 / 127.5})
        ),
        *(
            (any_size(datatype=kind), {"task": "image-classification"}, {}, "", "does not take one batch of images")
            for kind in (TensorProto.INT8, TensorProto.INT32, TensorProto.INT64)
        ),
        (
            linear([[1.0] * 3, [2.0] * 3]),
            {"task": "tabular", "preprocess": AB, "labels": ["x"]},
            {},
            "labels_",
            "3 cla",
        ),
    ],
)
def test_a_package_that_is_refused(
    smoke: Smoke, model: bytes, members: dict[str, Any], files: dict[str, bytes], code: str, reason: str
) -> None:
    verdict = smoke(model, files=files, **members)
    assert not verdict.accepted
    assert verdict.code.startswith(code), verdict.reason
    assert reason in verdict.reason


def test_a_tokenizer_of_another_model(smoke: Smoke) -> None:
    """Its ids go beyond the model's table, whatever the input."""
    vocabulary = {"[UNK]": 5000} | {f"word{n}": 5001 + n for n in range(200)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    verdict = smoke(lookup(4), files=tokenizer_file(tokenizer.to_str().encode()), task="embedding", **TOKENS)
    assert (verdict.accepted, verdict.code) == (False, "task_failed")
    assert "the model cannot run on this input" in verdict.reason


def test_words_that_a_model_does_not_know_are_not_its_fault(smoke: Smoke) -> None:
    """The gate does not know which words a column takes: an encoder that refuses all others may be right."""
    inputs = [helper.make_tensor_value_info("word", TensorProto.STRING, ["N", 1])]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1, 2])]
    node = helper.make_node(
        "OneHotEncoder", ["word"], ["score"], domain="ai.onnx.ml", cats_strings=["yes", "no"], zeros=0
    )
    graph = helper.make_graph([node], "words", inputs, outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    verdict = smoke(model, task="tabular", preprocess=Table(columns=[Column(name="word", type="text")]))
    assert (verdict.accepted, verdict.probe) == (True, "inconclusive"), verdict.reason


def test_a_tokenizer_that_takes_forever_is_stopped(smoke: Smoke) -> None:
    """A normalizer that doubles the text, thirty times over: the limits of the process end it."""
    doubling = {"type": "Replace", "pattern": {"Regex": "."}, "content": "xxxx"}
    described = msgspec.json.decode(TOKENIZER)
    described["normalizer"] = {"type": "Sequence", "normalizers": [doubling] * 30}
    verdict = smoke(
        lookup(4),
        limits=Limits(cpu=2, wall=20),
        files=tokenizer_file(msgspec.json.encode(described)),
        task="embedding",
        **TOKENS,
    )
    assert not verdict.accepted
    assert verdict.code in ("cpu_limit", "memory_limit", "crashed"), verdict.reason
    assert "as embedding" in verdict.reason or verdict.code == "memory_limit"


def test_what_is_no_number_may_be_the_made_up_inputs_fault(smoke: Smoke) -> None:
    verdict = smoke(linear([[np.inf, 1.0], [1.0, 1.0]]), task="tabular", preprocess=AB)
    assert verdict.accepted and verdict.probe == "inconclusive"
    assert "a value that is no number" in verdict.reason or "a score that is no number" in verdict.reason
