"""How much texts entail sentences, by a model of pairs that tells entailment from contradiction."""

from __future__ import annotations

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.groups import in_groups
from shared.package.processing import Entailment
from shared.serving.inputs import texts
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification


def scores(
    loaded: Loaded, plan: Entailment, premises: list[str], sentences: list[str], multi_label: bool
) -> np.ndarray:
    """[premises, sentences]: shares of 1, or each by itself, entailed against contradicted. Raises BadInput."""
    pairs = ((premise, sentence) for premise in premises for sentence in sentences)
    longest = max(map(len, premises)) + max(map(len, sentences))
    size = batching.per_run(loaded, texts.CHARACTER * longest)
    what = f"{len(premises):,} texts, each with {len(sentences)} labels,"

    def compute(group: list[tuple[str, str]]) -> np.ndarray:
        budget.take(texts.CHARACTER * sum(len(premise) + len(sentence) for premise, sentence in group), what)
        return _logits(loaded, plan, group)

    logits = batching.gathered(in_groups(pairs, size), compute, what).reshape(len(premises), len(sentences), -1)
    contradiction = _contradiction(loaded, plan, logits.shape[2])
    entailed = logits[:, :, plan.entailment]
    if not multi_label:
        return classification.activated(entailed, "softmax")
    apart = entailed if contradiction is None else entailed - logits[:, :, contradiction]
    return classification.activated(apart, "sigmoid")  # of a difference, it is the softmax of the two


def _logits(loaded: Loaded, plan: Entailment, pairs: list[tuple[str, str]]) -> np.ndarray:
    """[pairs, classes] in FP64."""
    feeds, _ = texts.feeds(loaded, [*pairs])
    name = plan.output or loaded.manifest.outputs[0].name
    values = np.asarray(batching.run(loaded, feeds, [name])[name])
    if values.dtype.kind != "f" or not values.size or values.size % len(pairs):
        raise BadInput(f"output {name!r} of shape {list(values.shape)} is no row of logits per pair of texts")
    return values.astype(np.float64).reshape(len(pairs), -1)


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
