"""Documents ranked by models of pairs and by vectors, and what cannot be ranked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from shared import budget
from shared.errors import BadInput, TooLarge
from shared.package import manifest, processing
from shared.package.manifest import Manifest
from shared.serving import rerank
from shared.serving.inputs import texts
from shared.serving.loaded import Loaded
from tests.serving import packages
from tests.serving.packages import VOCABULARY, loaded

FILES = {"tokenizer.json": packages.tokenizer().to_str().encode()}
PLAN = processing.Text(tokenizer="tokenizer.json")
DOCUMENTS = ["bob went to new york", "the cat sat on a mat", "anna and a cat", "paris"]


def pairs(weights: list[float], **described: Any) -> Loaded:
    plan = {"task": "text-classification", "preprocess": PLAN}
    return loaded(packages.overlap(weights), files=FILES, **plan | described)


def vectors(**described: Any) -> Loaded:
    return loaded(packages.lookup(8), files=FILES, **{"task": "embedding", "preprocess": PLAN} | described)


def ask(model: Loaded, query: str = "the cat on the mat", documents: Any = DOCUMENTS, **more: Any) -> dict[str, Any]:
    body = {"model": "m", "query": query, "documents": documents} | more
    return rerank.answer(model, rerank.read_request(json.dumps(body).encode()))


def sigmoid(value: float) -> float:
    return 1 / (1 + float(np.exp(-value)))


def test_a_cross_encoder_with_one_score() -> None:
    answer = ask(pairs([0.5]))
    assert answer["model"] == "m"
    # the cat shares `the` twice, cat, on, mat; anna's document shares cat; equal ones keep their order
    assert [one["index"] for one in answer["results"]] == [1, 2, 0, 3]
    scores = [one["relevance_score"] for one in answer["results"]]
    assert scores == pytest.approx([sigmoid(2.5), sigmoid(0.5), 0.5, 0.5], abs=1e-6)
    assert all(set(one) == {"index", "relevance_score"} for one in answer["results"])
    # three special tokens in each pair
    assert answer["usage"] == {"total_tokens": sum(5 + 3 + len(text.split()) for text in DOCUMENTS)}


def test_a_cross_encoder_with_two_classes_and_one_with_raw_scores() -> None:
    of_two = ask(pairs([-1.0, 1.0]))["results"]
    assert [one["index"] for one in of_two] == [1, 2, 0, 3]
    assert of_two[0]["relevance_score"] == pytest.approx(sigmoid(10.0), abs=1e-6)
    raw = ask(pairs([0.5], postprocess=processing.Scores(activation="none")))["results"]
    assert [one["relevance_score"] for one in raw] == [2.5, 0.5, 0, 0]


def test_an_embedding_model_ranks_by_the_cosine() -> None:
    unnormalized = processing.Vector(normalize=False)
    answer = ask(vectors(postprocess=unnormalized))
    table = packages.table(0, 8)

    def embed(text: str) -> np.ndarray:
        rows = table[[VOCABULARY[word] for word in ("[CLS]", *text.split(), "[SEP]")]].mean(0)
        return rows / np.linalg.norm(rows)

    expected = np.array([embed(text) for text in DOCUMENTS]) @ embed("the cat on the mat")
    assert [one["index"] for one in answer["results"]] == np.argsort(-expected).tolist()
    scores = [one["relevance_score"] for one in answer["results"]]
    assert scores == pytest.approx(sorted(expected, reverse=True), abs=1e-6)
    assert answer == ask(vectors())
    assert answer["usage"] == {"total_tokens": 7 + sum(2 + len(text.split()) for text in DOCUMENTS)}


def test_queries_have_a_prefix_of_their_own() -> None:
    plan = processing.Text(tokenizer="tokenizer.json", prefix="paris ", query_prefix="york ")
    told = ask(vectors(preprocess=plan), "cat", ["mat", "a"])
    assert told["results"] == ask(vectors(), "york cat", ["paris mat", "paris a"])["results"]
    both = ask(vectors(preprocess=processing.Text(tokenizer="tokenizer.json", prefix="paris ")), "cat", ["mat", "a"])
    assert both["results"] == ask(vectors(), "paris cat", ["paris mat", "paris a"])["results"]


def test_a_package_without_one_is_stored_as_before() -> None:
    stored = manifest.encode(Manifest(task="embedding", preprocess=PLAN))
    assert b"query_prefix" not in stored
    plan = processing.Text(tokenizer="tokenizer.json", query_prefix="")
    assert manifest.decode(manifest.encode(Manifest(task="embedding", preprocess=plan))).preprocess == plan


def test_documents_in_either_form_and_as_many_as_are_asked_for() -> None:
    objects = [{"text": DOCUMENTS[0], "title": "ignored"}, *DOCUMENTS[1:]]
    answer = ask(pairs([0.5]), documents=objects, top_n=2, return_documents=True, max_tokens_per_doc=4096)
    assert [one["document"] for one in answer["results"]] == [{"text": DOCUMENTS[1]}, {"text": DOCUMENTS[2]}]
    assert len(ask(pairs([0.5]), top_n=10)["results"]) == 4
    assert len(ask(pairs([0.5]), documents=["cat"] * 1024)["results"]) == 1024


def test_many_documents_are_what_each_is_alone() -> None:
    """In runs of equal length, whatever their order: of the rows of a run none changes another."""
    words = list(VOCABULARY)[4:]
    documents = [" ".join(words[number % 7 : number % 11 + 1]) or "mat" for number in range(100)]
    for model in (pairs([0.25]), vectors()):
        together = {one["index"]: one["relevance_score"] for one in ask(model, documents=documents)["results"]}
        alone = [ask(model, documents=[text])["results"][0]["relevance_score"] for text in documents]
        assert [together[number] for number in range(100)] == pytest.approx(alone, abs=2e-6)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"query": ""}, r"length >= 1 - at `\$.query`"),
        ({"query": " \n"}, "the query is empty"),
        ({"documents": []}, "1 to 1,024 documents"),
        ({"documents": [{"title": "a"}]}, "text"),
        ({"documents": "a"}, "array"),
        ({"top_n": 0}, "top_n"),
        ({"model": None}, "model"),
    ],
)
def test_requests_that_are_none(body: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        rerank.read_request(json.dumps({"model": "m", "query": "q", "documents": ["a"]} | body).encode())


def test_too_many_documents_are_refused_with_their_number() -> None:
    with pytest.raises(TooLarge, match=r"1,025 documents, and a call ranks 1,024"):
        rerank.read_request(json.dumps({"model": "m", "query": "q", "documents": ["a"] * 1025}).encode())


def test_models_that_rank_nothing_say_what_does() -> None:
    for model, why in (
        (pairs([1.0, 2.0, 3.0]), "it tells 3 classes apart. Name a model that gives a pair of texts one score"),
        (pairs([1.0], task="tensor", preprocess=None), "its task is 'tensor'. Name a model of the task 'text-class"),
        (vectors(preprocess=processing.Image()), "its task is 'embedding'. .*that takes texts"),
        (pairs([1.0], preprocess=None), "names no tokenizer"),
    ):
        with pytest.raises(BadInput, match=why):
            ask(model)


def test_what_is_too_large_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge, match="1,000,003 characters"):
        ask(pairs([1.0]), documents=["a" * 1_000_000], query="cat")
    monkeypatch.setattr(budget, "_limits", [texts.CHARACTER * 1000])
    for model in (pairs([1.0]), vectors()):
        with pytest.raises(TooLarge, match="bytes of memory"):
            ask(model, documents=["a" * 2000])
