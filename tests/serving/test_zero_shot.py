"""Texts classified by labels that the model was never trained with."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from shared.errors import BadInput, NotImplemented_, TooLarge
from shared.package import processing
from shared.serving import tasks
from shared.serving.inputs import texts
from shared.serving.loaded import Loaded
from tests.serving import packages
from tests.serving.packages import loaded

FILES = {"tokenizer.json": packages.tokenizer().to_str().encode()}
PLAN = processing.Text(tokenizer="tokenizer.json")
# contradiction, neutral, entailment
NLI = processing.Entailment(entailment=2, contradiction=0)
LABELS = ["cat", "paris", "mat"]
TEXT = "the cat and anna sat on a mat with a cat"


def model(weights: list[float] | None = None, **described: Any) -> Loaded:
    plan = {"task": "zero-shot-classification", "preprocess": PLAN, "postprocess": NLI, "labels": LABELS}
    return loaded(packages.overlap(weights or [-1.0, 0.0, 1.0]), files=FILES, **plan | described)


def ask(served: Loaded, body: Any, content_type: str = "application/json", **query: str) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return tasks.predict(served, raw, content_type, query)


def told(predictions: list[dict[str, Any]]) -> dict[str, float]:
    assert [one["score"] for one in predictions] == sorted((one["score"] for one in predictions), reverse=True)
    return {one["label"]: one["score"] for one in predictions}


def softmax(logits: list[float]) -> list[float]:
    powers = np.exp(logits)
    return list(powers / powers.sum())


def test_one_label_is_right() -> None:
    """`This example is cat.` shares cat, twice, with the text; the logits of entailment alone are compared."""
    answer = ask(model(), {"input": TEXT})
    cat, paris, mat = softmax([2.0, 0.0, 1.0])
    assert told(answer["predictions"]) == pytest.approx({"cat": cat, "mat": mat, "paris": paris}, abs=1e-6)
    assert list(told(answer["predictions"])) == ["cat", "mat", "paris"]
    assert (answer["model"], answer["version"]) == ("m", 7)


def test_several_labels_may_be_right() -> None:
    answer = ask(model(), {"input": TEXT, "parameters": {"multi_label": True}})["predictions"]
    expected = {"cat": softmax([-2, 2])[1], "mat": softmax([-1, 1])[1], "paris": 0.5}
    assert told(answer) == pytest.approx(expected, abs=1e-6)
    declared = processing.Entailment(entailment=2, contradiction=0, multi_label=True)
    assert ask(model(postprocess=declared), {"input": TEXT})["predictions"] == answer
    single = ask(model(postprocess=declared), {"input": TEXT, "parameters": {"multi_label": False}})
    assert single == ask(model(), {"input": TEXT})


@pytest.mark.parametrize(
    ("weights", "plan"),
    [
        ([1.0, -1.0], processing.Entailment(entailment=0)),
        ([-1.0, 1.0], processing.Entailment(entailment=1)),
        ([1.0, 0.0, -1.0], processing.Entailment(entailment=0, contradiction=2)),
        ([2.0], processing.Entailment(entailment=0)),
    ],
)
def test_classes_in_any_order(weights: list[float], plan: processing.Entailment) -> None:
    answer = ask(model(weights, postprocess=plan), {"input": TEXT, "parameters": {"multi_label": True}})
    assert told(answer["predictions"])["mat"] == pytest.approx(softmax([-1, 1])[1], abs=1e-6)


def test_labels_and_template_of_a_call() -> None:
    body = {"input": TEXT, "parameters": {"labels": ["bob", "anna", "york"]}}
    answer = ask(model(), body)
    assert next(iter(told(answer["predictions"]))) == "anna"
    assert ask(model(labels=[]), body) == answer
    assert ask(model(labels=[]), TEXT.encode(), "text/plain", labels="bob, anna,york") == answer
    # the template's own words count for each label alike, but where there is one label only
    with_words = {"labels": ["bob"], "template": "a mat with {} and {}"}
    alone = ask(model(), {"input": TEXT, "parameters": with_words})["predictions"]
    assert told(alone) == pytest.approx({"bob": softmax([-5, 5])[1]}, abs=1e-6)
    braces = ask(model(), {"input": TEXT, "parameters": {"labels": ["{0.__class__}", "{}"]}})
    assert len(braces["predictions"]) == 2


def test_many_texts_with_many_labels_are_what_each_is_alone() -> None:
    labels = [*packages.WORDS, *(f"{word} paris" for word in packages.WORDS)]
    inputs = [TEXT, "bob", "anna went to new york", *["the mat"] * 40]
    together = ask(model(), {"inputs": inputs, "parameters": {"labels": labels}})["results"]
    assert len(together) == 43
    for text, found in zip(inputs[:4], together, strict=False):
        alone = ask(model(), {"input": text, "parameters": {"labels": labels}})["predictions"]
        assert told(found["predictions"]) == pytest.approx(told(alone), abs=1e-6)


def test_best_labels_only() -> None:
    assert len(ask(model(), {"input": TEXT}, top_k="1")["predictions"]) == 1
    assert list(told(ask(model(), {"input": TEXT}, threshold="0.2")["predictions"])) == ["cat", "mat"]


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"labels": []}, "labels"),
        ({"labels": [str(number) for number in range(101)]}, "labels"),
        ({"labels": ["a", ""]}, "labels"),
        ({"labels": ["a" * 201]}, "labels"),
        ({"labels": "a,,b"}, "empty or too long"),
        ({"labels": ",".join(map(str, range(101)))}, "there are 101 labels, and 100 at most"),
        ({"labels": ["a", "b", "a"]}, "'a' is there twice"),
        ({"template": "no place"}, "template"),
        ({"template": "{}" * 501}, "template"),
        ({"multi_label": "perhaps"}, "multi_label"),
    ],
)
def test_options_that_do_not_fit(parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        ask(model(), {"input": TEXT, "parameters": parameters})


def test_what_is_refused() -> None:
    for served, body, why in (
        (model(labels=[]), {"input": TEXT}, 'has no labels of its own: send those .* "parameters": {"labels"'),
        (model(), {"input": {"text": "a", "pair": "b"}}, "no pairs"),
        (model(postprocess=None), {"input": TEXT}, "which of its classes is entailment"),
        (model(postprocess=processing.Entailment(entailment=2)), {"input": TEXT}, "which is contradiction"),
        (model(postprocess=processing.Entailment(entailment=3)), {"input": TEXT}, "is 3, the model has classes 0 to 2"),
        (
            model(postprocess=processing.Entailment(entailment=2, contradiction=2)),
            {"input": TEXT},
            "one place for both",
        ),
        (model(preprocess=None), {"input": TEXT}, "names no tokenizer"),
        (model(labels=[str(number) for number in range(101)]), {"input": TEXT}, "101 labels, and 100 at most"),
    ):
        with pytest.raises(BadInput, match=why):
            ask(served, body)
    with pytest.raises(NotImplemented_, match="no method to explain"):
        tasks.explain(model(), json.dumps({"input": TEXT}).encode(), "application/json", {})


def test_what_is_too_large_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from shared import budget

    monkeypatch.setattr(budget, "_limits", [texts.CHARACTER * 1000])
    with pytest.raises(TooLarge, match="bytes of memory"):
        ask(model(), {"input": "a" * 2000})
