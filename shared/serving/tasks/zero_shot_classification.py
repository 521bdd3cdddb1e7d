"""Texts in, and labels that nobody trained the model with; scores of these labels out.

The model tells whether one text entails another. Each label makes a sentence, and each pair of a text and a sentence is
a run: its score is how much the text entails the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.groups import in_groups
from shared.package.processing import Entailment
from shared.serving.inputs import examples, texts
from shared.serving.inputs.examples import Example
from shared.serving.inputs.request import MOST_LABELS, Label, Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification
from shared.serving.tasks.base import Task

TRIED = ["yes", "no"]  # by the smoke test, of a package without labels


class Asked(NamedTuple):
    """What the labels of a call are, and how they are scored."""

    labels: list[str]
    template: str
    multi_label: bool


class ZeroShotClassification(Task):
    def answer(self, loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
        """`{"predictions": [{"label", "score"}, …]}` for each text, best first."""
        plan = declared(loaded)
        asked = _asked(loaded, plan, options)
        premises = texts.items(items)
        if not all(isinstance(premise, str) for premise in premises):
            raise BadInput(f"model {loaded.name!r} classifies single texts, no pairs: send the text alone")
        hypotheses = [asked.template.replace("{}", label) for label in asked.labels]
        pairs = ((str(premise), hypothesis) for premise in premises for hypothesis in hypotheses)
        longest = max(len(str(premise)) for premise in premises) + max(map(len, hypotheses))
        size = batching.per_run(loaded, texts.CHARACTER * longest)
        what = f"{len(premises)} texts, each with {len(hypotheses)} labels,"

        def compute(group: list[tuple[str, str]]) -> np.ndarray:
            budget.take(texts.CHARACTER * sum(len(text) + len(pair) for text, pair in group), what)
            return _logits(loaded, plan, group)

        logits = batching.gathered(in_groups(pairs, size), compute, what)
        rows = score(loaded, plan, logits.reshape(len(premises), len(hypotheses), -1), asked.multi_label)
        return [{"predictions": classification.best_of(asked.labels, row, plan, options)} for row in rows]

    def examples(self, loaded: Loaded, shapes: Mapping[str, list[int]]) -> Iterator[Example]:
        """With the package's own labels, as callers get them who send none; else with any."""
        more = {} if loaded.manifest.labels else {"parameters": {"labels": TRIED}}
        for example in examples.of_kind(loaded, shapes):
            yield example._replace(body=msgspec.json.encode(msgspec.json.decode(example.body) | more))


def declared(loaded: Loaded) -> Entailment:
    """Raises BadInput for a package that does not say which of its model's classes is entailment."""
    plan = loaded.manifest.postprocess
    if isinstance(plan, Entailment):
        return plan
    raise BadInput(
        f'model {loaded.name!r} does not say which of its classes is entailment: add "postprocess": '
        '{"entailment": …} to amaas.json, with its place in id2label of the model\'s config.json'
    )


def _asked(loaded: Loaded, plan: Entailment, options: Options) -> Asked:
    labels = options.labels
    if isinstance(labels, str):
        labels = [label.strip() for label in labels.split(",")]
    labels = labels or loaded.manifest.labels
    if not labels:
        raise BadInput(
            f'model {loaded.name!r} has no labels of its own: send those to choose from, as in {{"input": "…", '
            '"parameters": {"labels": ["sports", "politics"]}}'
        )
    if len(labels) > MOST_LABELS:
        raise BadInput(f"there are {len(labels):,} labels, and {MOST_LABELS} at most: send fewer as parameters.labels")
    _check(labels)
    # one label has no others to be compared with
    multi_label = len(labels) == 1 or (plan.multi_label if options.multi_label is None else options.multi_label)
    return Asked(labels, options.template or plan.template, multi_label)


def _check(labels: list[str]) -> None:
    try:
        msgspec.convert(labels, list[Label])
    except msgspec.ValidationError as error:
        raise BadInput(f"a label is empty or too long: {error}") from error
    twice = next(iter(sorted({label for label in labels if labels.count(label) > 1})), None)
    if twice is not None:
        raise BadInput(f"the label {twice[:80]!r} is there twice: send each once")


def _logits(loaded: Loaded, plan: Entailment, pairs: list[tuple[str, str]]) -> np.ndarray:
    """[pairs, classes] in FP64."""
    feeds, _ = texts.feeds(loaded, [*pairs])
    name = plan.output or loaded.manifest.outputs[0].name
    values = np.asarray(batching.run(loaded, feeds, [name])[name])
    if values.dtype.kind != "f" or not values.size or values.size % len(pairs):
        raise BadInput(f"output {name!r} of shape {list(values.shape)} is no row of logits per pair of texts")
    return values.astype(np.float64).reshape(len(pairs), -1)


def score(loaded: Loaded, plan: Entailment, logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """[texts, labels, classes] → [texts, labels]: shares of 1, or each label by itself against its contradiction."""
    classes = logits.shape[2]
    other = _contradiction(loaded, plan, classes)
    entailed = logits[:, :, plan.entailment]
    if not multi_label:
        return classification.activate(entailed, "softmax")
    return classification.activate(entailed if other is None else entailed - logits[:, :, other], "sigmoid")


def _contradiction(loaded: Loaded, plan: Entailment, classes: int) -> int | None:
    """The place of contradiction; None of one class. Both are checked each time, so that the smoke test meets them."""
    other = plan.contradiction
    for member, place in (("entailment", plan.entailment), ("contradiction", other)):
        if place is not None and place >= classes:
            raise BadInput(f"amaas.json: postprocess.{member} is {place}, the model has classes 0 to {classes - 1}")
    if other is None and classes > 2:
        raise BadInput(
            f"model {loaded.name!r} has {classes} classes, and does not say which is contradiction: add it to "
            "postprocess in amaas.json"
        )
    if other == plan.entailment:
        raise BadInput("amaas.json: postprocess has one place for both entailment and contradiction")
    return 1 - plan.entailment if other is None and classes == 2 else other


TASK = ZeroShotClassification()
