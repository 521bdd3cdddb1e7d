"""Texts in, the things that they name out: with label, score, and place in the text as [start, end) characters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.package.processing import Entities
from shared.serving.inputs import texts
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification
from shared.serving.tasks.base import Task
from shared.values import numbers


class TokenClassification(Task):
    def answer(self, loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
        """`{"entities": [{"entity", "score", "start", "end", "text"}, …]}` for each text, in the text's order."""
        return _answers(loaded, texts.items(items), options)

    def classes(self, loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
        count = int(outputs[_output(loaded)].shape[-1])
        return range(count, count + 1)


def _declared(loaded: Loaded) -> Entities:
    postprocess = loaded.manifest.postprocess
    return postprocess if isinstance(postprocess, Entities) else Entities()


def _output(loaded: Loaded) -> str:
    return _declared(loaded).output or loaded.manifest.outputs[0].name


def _answers(loaded: Loaded, items: list[texts.Item], options: Options) -> list[dict[str, Any]]:
    if not all(isinstance(item, str) for item in items):
        raise BadInput("entities are found in single texts, not in pairs")
    feeds, tokens = texts.feeds(loaded, items, ["mask", "special", "offsets"])
    if tokens is None:
        raise BadInput(f"model {loaded.name!r} has no tokenizer, so nothing is known of where its tokens are")
    plan, name = _declared(loaded), _output(loaded)
    raw = batching.run(loaded, feeds, [name])[name]
    room = raw.size * classification.WIDE + tokens["mask"].size * classification.ENTRY
    budget.take(room, f"the output {name!r} of {raw.size:,} numbers")
    logits = np.asarray(raw, np.float64)
    if logits.ndim != 3 or logits.shape[:2] != tokens["mask"].shape:
        raise BadInput(f"output {name!r} has shape {list(logits.shape)}, not [texts, tokens, labels]")
    answers = []
    of_text = (tokens["mask"] != 0) & (tokens["special"] == 0)
    for number, row in enumerate(classification.activate(logits, "softmax")):
        numbers.require_finite(row[of_text[number]], "score", number)
        labeled = _labeled(of_text[number], tokens["offsets"][number].tolist(), row, loaded.manifest.labels)
        shift = len(texts.plan_of(loaded).prefix)
        answers.append({"entities": _entities(str(items[number]), labeled, plan, options, shift)})
    return answers


def _labeled(
    of_text: np.ndarray, offsets: list[list[int]], scores: np.ndarray, labels: list[str]
) -> list[dict[str, Any]]:
    """Each token of the text itself, with its best label and its place."""
    best = scores.argmax(axis=1)
    return [
        {"label": classification.label(labels, int(best[i])), "score": float(scores[i, best[i]]), "at": offsets[i]}
        for i in np.flatnonzero(of_text)
    ]


def _entities(
    text: str, tokens: list[dict[str, Any]], plan: Entities, options: Options, shift: int
) -> list[dict[str, Any]]:
    groups: list[list[dict[str, Any]]] = []
    last = None  # the label of the token just before, where that is part of something
    for token in tokens:
        begins, kind = _split_label(token["label"])
        if kind in plan.ignore:
            last = None
            continue
        if plan.group and last == kind and not begins:
            groups[-1].append(token)
        else:
            groups.append([token])
        last = kind
    threshold = plan.threshold if options.threshold is None else options.threshold
    entities = [_entity(text, group, shift) for group in groups]
    return [entity for entity in entities if entity["score"] >= threshold]


def _split_label(label: str) -> tuple[bool, str]:
    """B-X begins a thing, I-X goes on with one, X may do either."""
    return (label[0] == "B", label[2:]) if label[:2] in ("B-", "I-") else (False, label)


def _entity(text: str, group: list[dict[str, Any]], shift: int) -> dict[str, Any]:
    start, end = max(group[0]["at"][0] - shift, 0), max(group[-1]["at"][1] - shift, 0)
    characters = len(range(len(text))[start:end])  # a tokenizer may say that each token is the whole text
    budget.keep(classification.ENTRY + 4 * characters, "an answer of many entities")
    score = round(sum(token["score"] for token in group) / len(group), 6)
    return {
        "entity": _split_label(group[0]["label"])[1],
        "score": score,
        "start": start,
        "end": end,
        "text": text[start:end],
    }


TASK = TokenClassification()
