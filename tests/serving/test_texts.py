"""Texts: tokens as the tokenizer alone gives them, then classes, entities and embeddings."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from shared.errors import BadInput, TooLarge, Unavailable, Unsupported
from shared.package import processing
from shared.serving import tasks
from shared.serving.inputs import texts
from shared.serving.tasks import embedding
from tests.serving import packages
from tests.serving.packages import VOCABULARY, loaded

FILES = {"tokenizer.json": packages.tokenizer().to_str().encode()}
PLAN = processing.Text(tokenizer="tokenizer.json")


def ask(model, value, content_type: str = "application/json", **options: str) -> dict:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return tasks.predict(model, body, content_type, options)


def test_tokens_are_the_tokenizers_own() -> None:
    reference = packages.tokenizer()
    reference.enable_truncation(6)
    reference.enable_padding(pad_id=0, pad_token="[PAD]")
    items = ["The cat sat on a mat and a mat", "anna", ("the cat", "bob sat")]
    model = loaded(
        packages.lookup(2),
        files=FILES,
        task="embedding",
        preprocess=processing.Text(tokenizer="tokenizer.json", max_length=6),
    )
    feeds, _ = texts.feeds(model, items)
    expected = reference.encode_batch(items)
    assert feeds["input_ids"].tolist() == [e.ids for e in expected]
    assert feeds["attention_mask"].tolist() == [e.attention_mask for e in expected]
    assert feeds["input_ids"].dtype == np.int64


def test_padding_to_the_length_that_the_model_fixes() -> None:
    model = loaded(packages.lookup(2, length=10), files=FILES, task="embedding", preprocess=PLAN)
    assert texts.feeds(model, ["anna"])[0]["input_ids"].shape == (1, 10)
    whole = processing.Text(tokenizer="tokenizer.json", max_length=5, padding="max_length")
    assert texts.feeds(loaded(packages.lookup(2), files=FILES, preprocess=whole), ["anna"])[0]["input_ids"].shape == (
        1,
        5,
    )


@pytest.mark.parametrize("pooling", ["mean", "max", "first", "last"])
def test_embeddings_pool_what_is_text_and_nothing_else(pooling: str) -> None:
    after = processing.Vector(pooling=pooling, normalize=False)  # type: ignore[arg-type]
    model = loaded(packages.lookup(4), files=FILES, task="embedding", preprocess=PLAN, postprocess=after)
    rows = ask(model, {"inputs": ["the cat", "anna went to paris with bob"]})["results"]
    ids = [VOCABULARY[w] for w in ("[CLS]", "the", "cat", "[SEP]")]
    hidden = packages.table(0, 4)[ids]
    expected = {"mean": hidden.mean(0), "max": hidden.max(0), "first": hidden[0], "last": hidden[-1]}[pooling]
    assert rows[0]["embedding"] == pytest.approx(expected, abs=1e-6)
    alone = ask(model, {"input": "the cat"})["embedding"]
    assert alone == pytest.approx(rows[0]["embedding"], abs=1e-6)


def test_embeddings_are_of_length_one_and_can_be_shortened() -> None:
    model = loaded(packages.lookup(8), files=FILES, task="embedding", preprocess=PLAN)
    whole = np.array(ask(model, b"the cat sat", "text/plain")["embedding"])
    assert np.linalg.norm(whole) == pytest.approx(1, abs=1e-6)
    short = np.array(ask(model, {"input": "the cat sat", "parameters": {"dimensions": 3}})["embedding"])
    assert short == pytest.approx(whole[:3] / np.linalg.norm(whole[:3]), abs=1e-6)
    with pytest.raises(BadInput, match="8 dimensions"):
        ask(model, {"input": "a"}, dimensions="9")


def test_a_prefix_is_put_before_each_text() -> None:
    plan = processing.Text(tokenizer="tokenizer.json", prefix="bob ")
    with_prefix = ask(loaded(packages.lookup(4), files=FILES, task="embedding", preprocess=plan), {"input": "sat"})
    written = ask(loaded(packages.lookup(4), files=FILES, task="embedding", preprocess=PLAN), {"input": "bob sat"})
    assert with_prefix == written


def test_openais_form() -> None:
    model = loaded(packages.lookup(4), files=FILES, task="embedding", preprocess=PLAN)

    def ask_openai(body: bytes) -> dict:
        request = embedding.read_request(body)
        return embedding.encoder(request)(embedding.openai(model, request))

    answer = ask_openai(b'{"model": "m", "input": ["the cat", "anna"]}')
    assert [row["index"] for row in answer["data"]] == [0, 1]
    assert answer["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    in_base64 = ask_openai(b'{"model":"m","input":"the cat","encoding_format":"base64"}')
    values = np.frombuffer(base64.b64decode(in_base64["data"][0]["embedding"]), "<f4")
    assert values.tolist() == answer["data"][0]["embedding"]
    with pytest.raises(BadInput, match="embeddings request"):
        embedding.read_request(b'{"model": "m"}')
    with pytest.raises(BadInput, match="its task is 'tensor'"):
        embedding.openai(
            loaded(packages.lookup(4), task="tensor"), embedding.read_request(b'{"model":"m","input":"a"}')
        )


def embed(model, given) -> dict:
    request = embedding.read_request(json.dumps({"model": "m", "input": given}).encode())
    return embedding.encoder(request)(embedding.openai(model, request))


def test_token_ids_of_the_models_own_vocabulary_are_as_good_as_their_texts() -> None:
    model = loaded(packages.lookup(4), files=FILES, task="embedding", preprocess=PLAN)
    items = ["the cat sat on a mat", "anna"]
    ids = [packages.tokenizer().encode(text).ids for text in items]
    of_texts = embed(model, items)
    assert embed(model, ids) == of_texts
    assert embed(model, ids[1])["data"] == embed(model, "anna")["data"]
    fixed = loaded(packages.lookup(4, length=10), files=FILES, task="embedding", preprocess=PLAN)
    assert embed(fixed, ids) == embed(fixed, items)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([1, "a"], "nothing else"),
        (["a", [1]], "nothing else"),
        ([[1], []], "nothing else"),
        ([True], "nothing else"),
        ([1.5], "nothing else"),
        ([-1], "the token id -1"),
        ([[1], [2, len(VOCABULARY)]], f"input 1 has the token id {len(VOCABULARY)}"),
        ([2**70], "embeddings request|token id"),
        (["a"] * 1025, "1,025 inputs"),
        ([], "embeddings request"),
    ],
)
def test_what_is_neither_text_nor_token_id_of_the_model_is_refused(given: Any, why: str) -> None:
    model = loaded(packages.lookup(4), files=FILES, task="embedding", preprocess=PLAN)
    with pytest.raises(BadInput, match=why):
        embed(model, given)


def test_more_token_ids_than_the_model_takes_are_not_cut_silently() -> None:
    model = loaded(packages.lookup(4, length=3), files=FILES, task="embedding", preprocess=PLAN)
    with pytest.raises(TooLarge, match="5 token ids, more than the model's 3"):
        embed(model, [1, 2, 3, 2, 1])


def test_entities_with_their_places() -> None:
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    scores = np.full((len(VOCABULARY), 5), 0.0, np.float32)
    scores[:, 0] = 4
    for name, label in {"anna": 1, "bob": 1, "paris": 3, "new": 3, "york": 4}.items():
        scores[VOCABULARY[name], label] = 9
    model = loaded(_with_table(scores), files=FILES, task="token-classification", preprocess=PLAN, labels=labels)
    text = "Anna went to New York and Paris"
    entities = ask(model, {"input": text})["entities"]
    assert [(e["entity"], e["text"]) for e in entities] == [("PER", "Anna"), ("LOC", "New York"), ("LOC", "Paris")]
    assert all(text[e["start"] : e["end"]] == e["text"] and 0.9 < e["score"] <= 1 for e in entities)
    single = loaded(
        _with_table(scores),
        files=FILES,
        task="token-classification",
        preprocess=PLAN,
        labels=labels,
        postprocess=processing.Entities(group=False),
    )
    assert [e["text"] for e in ask(single, {"input": text})["entities"]] == ["Anna", "New", "York", "Paris"]
    assert ask(model, {"inputs": ["bob bob", "the mat"]})["results"][1] == {"entities": []}


def test_classes_of_texts_and_of_pairs() -> None:
    # scores of the first token only: [CLS], so the same for any text; what is tested is the way
    scores = np.zeros((len(VOCABULARY), 3), np.float32)
    scores[VOCABULARY["[CLS]"]] = [1, 3, 2]
    model = loaded(_first(scores), files=FILES, task="text-classification", preprocess=PLAN, labels=["a", "b", "c"])
    predictions = ask(model, {"input": {"text": "the cat", "pair": "bob"}})["predictions"]
    powers = np.exp([1, 3, 2]) / np.exp([1, 3, 2]).sum()
    assert [(p["label"], p["score"]) for p in predictions] == [
        (label, pytest.approx(powers[n], abs=1e-5)) for label, n in (("b", 1), ("c", 2), ("a", 0))
    ]
    assert ask(model, {"inputs": ["a"] * 70}, top_k="1")["results"] == [{"predictions": [predictions[0]]}] * 70
    assert [p["label"] for p in ask(model, {"input": "a", "parameters": {"threshold": 0.2}})["predictions"]] == [
        "b",
        "c",
    ]


def test_a_model_that_takes_the_text_itself() -> None:
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info("text", TensorProto.STRING, ["N"])]
    outputs = [helper.make_tensor_value_info("same", TensorProto.FLOAT, ["N", 2])]
    nodes = [
        helper.make_node("Equal", ["text", "word"], ["is"]),
        helper.make_node("Cast", ["is"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["number", "axis"], ["column"]),
        helper.make_node("Sub", ["one", "column"], ["other"]),
        helper.make_node("Concat", ["other", "column"], ["same"], axis=1),
    ]
    constants = {
        "word": np.array(["cat"], np.object_),
        "axis": np.array([1], np.int64),
        "one": np.array([[1.0]], np.float32),
    }
    graph = [helper.make_tensor("word", TensorProto.STRING, [1], [b"cat"])]
    del constants["word"]
    from onnx import numpy_helper

    graph += [numpy_helper.from_array(array, name) for name, array in constants.items()]
    proto = helper.make_model(
        helper.make_graph(nodes, "t", inputs, outputs, graph), opset_imports=[helper.make_opsetid("", 19)], ir_version=9
    )
    model = loaded(
        proto.SerializeToString(),
        task="text-classification",
        labels=["other", "cat"],
        postprocess=processing.Scores(activation="none"),
    )
    rows = ask(model, {"inputs": ["cat", "dog"]}, top_k="1")["results"]
    assert [row["predictions"][0]["label"] for row in rows] == ["cat", "other"]
    with pytest.raises(BadInput, match="no pairs"):
        ask(model, {"input": {"text": "a", "pair": "b"}})


def test_what_is_refused() -> None:
    model = loaded(packages.lookup(4), files=FILES, task="embedding", preprocess=PLAN)
    for body, why in (
        ({"input": 3}, "no text"),
        ({"inputs": []}, "1 to 1,024"),
        ({}, "neither"),
        ({"input": "a", "parameters": {"topk": 1}}, "options"),
        ({"input": {"text": "a", "other": 1}}, "no text"),
        (b"[", "JSON"),
        (b"\xff", "JSON"),
    ):
        with pytest.raises(BadInput, match=why):
            ask(model, body)
    with pytest.raises(BadInput, match="UTF-8"):
        ask(model, b"\xff", "text/plain")
    with pytest.raises(Unsupported, match="text/plain"):
        ask(model, b"x", "image/png")
    with pytest.raises(BadInput, match="no tokenizer"):
        ask(loaded(packages.lookup(4), task="embedding"), {"input": "a"})
    with pytest.raises(Unavailable, match="came without"):
        ask(loaded(packages.lookup(4), task="embedding", preprocess=PLAN), {"input": "a"})
    with pytest.raises(Unavailable, match="cannot be read"):
        ask(
            loaded(packages.lookup(4), files={"tokenizer.json": b"{}"}, task="embedding", preprocess=PLAN),
            {"input": "a"},
        )


def test_a_tokenizer_whose_library_panics_does_not_end_the_process() -> None:
    """Its template names a token that it lacks: the library panics, which Python has no Exception for."""
    file = json.loads(packages.tokenizer().to_str())
    file["post_processor"]["single"][0]["SpecialToken"]["id"] = "[START]"
    files = {"tokenizer.json": json.dumps(file).encode()}
    model = loaded(packages.lookup(4), files=files, task="embedding", preprocess=PLAN)
    with pytest.raises(BadInput, match="tokenizer cannot take this text") as refusal:
        ask(model, {"input": "the cat"})
    assert not isinstance(refusal.value.__cause__, Exception)


def _with_table(scores: np.ndarray) -> bytes:
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["N", "T"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "T", scores.shape[1]])]
    return packages.proto([helper.make_node("Gather", ["t", "input_ids"], ["logits"])], inputs, outputs, {"t": scores})


def _first(scores: np.ndarray) -> bytes:
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["N", "T"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", scores.shape[1]])]
    nodes = [
        helper.make_node("Gather", ["t", "input_ids"], ["rows"]),
        helper.make_node("Gather", ["rows", "zero"], ["logits"], axis=1),
    ]
    return packages.proto(nodes, inputs, outputs, {"t": scores, "zero": np.array(0, np.int64)})
