"""Texts or images in, and labels that nobody trained the model with; scores of these labels out.

Each label makes a sentence. Of a text, the score is how much the text entails the sentence, for which the model runs
once for each label; of an image, how near it is to the sentence.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from shared.errors import BadInput
from shared.package.manifest import Manifest
from shared.package.processing import Entailment, Similarity
from shared.serving.inputs import examples, texts, towers
from shared.serving.inputs.examples import JSON, Example
from shared.serving.inputs.request import MOST_LABELS, Label, Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification, entailment
from shared.serving.tasks.base import Task

TRIED = ["yes", "no"]  # by the smoke test, of a package without labels


class Asked(NamedTuple):
    """What the labels of a call are, the sentence of each, and whether several may be right."""

    labels: list[str]
    sentences: list[str]
    multi_label: bool


class ZeroShotClassification(Task):
    def per_run(self, loaded: Loaded) -> int:
        if loaded.manifest.input_kind != "image":
            return batching.per_run(loaded)
        from shared.serving.outputs import similarity

        return similarity.per_run(loaded)

    def answer(self, loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
        """`{"predictions": [{"label", "score"}, …]}` for each text or image, best first."""
        plan = _declared(loaded)
        asked = _asked(loaded, plan, options)
        rows = _scores(loaded, plan, items, asked)
        return [{"predictions": classification.best_of(asked.labels, row, plan, options)} for row in rows]

    def examples(self, loaded: Loaded, shapes: Mapping[str, list[int]]) -> Iterator[Example]:
        """With the package's own labels, as callers get them who send none; else with any."""
        more = {} if loaded.manifest.labels else {"parameters": {"labels": TRIED}}
        seen = loaded if loaded.manifest.input_kind != "image" else towers.of_images(loaded)
        for example in examples.of_kind(seen, shapes):
            sent = {"input": base64.b64encode(example.body).decode()}  # of an image
            told = msgspec.json.decode(example.body) if example.content_type == JSON else sent
            yield Example(msgspec.json.encode(told | more), JSON, example.conclusive)

    def prepare(self, manifest: Manifest) -> None:
        super().prepare(manifest)
        if manifest.input_kind == "image":
            from shared.serving.outputs import similarity  # noqa: F401 - see base.py


def _declared(loaded: Loaded) -> Entailment | Similarity:
    """Raises BadInput for a package that does not say what its model's numbers are."""
    plan, kind = loaded.manifest.postprocess, loaded.manifest.input_kind
    if isinstance(plan, Entailment if kind == "text" else Similarity):
        return plan
    if kind == "text":
        raise BadInput(
            f'model {loaded.name!r} does not say which of its classes is entailment: add "postprocess": '
            '{"entailment": …} to amaas.json, with its place in id2label of the model\'s config.json'
        )
    raise BadInput(
        f'model {loaded.name!r} does not say how its labels become tokens: add "postprocess": {{"kind": "similarity", '
        '"text": {"tokenizer": "tokenizer.json"}} to amaas.json'
    )


def _asked(loaded: Loaded, plan: Entailment | Similarity, options: Options) -> Asked:
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
    template = options.template or plan.template
    # one label has no others to be compared with
    multi_label = len(labels) == 1 or (plan.multi_label if options.multi_label is None else options.multi_label)
    return Asked(labels, [template.replace("{}", label) for label in labels], multi_label)


def _check(labels: list[str]) -> None:
    try:
        msgspec.convert(labels, list[Label])
    except msgspec.ValidationError as error:
        raise BadInput(f"a label is empty or too long: {error}") from error
    twice = next(iter(sorted({label for label in labels if labels.count(label) > 1})), None)
    if twice is not None:
        raise BadInput(f"the label {twice[:80]!r} is there twice: send each once")


def _scores(loaded: Loaded, plan: Entailment | Similarity, items: list[Any], asked: Asked) -> np.ndarray:
    """[items, labels]"""
    if isinstance(plan, Similarity):
        from shared.serving.outputs import similarity  # with Pillow, which texts do without

        return similarity.scores(loaded, plan, items, asked.sentences, asked.multi_label)
    premises = [text for text in texts.items(items) if isinstance(text, str)]
    if len(premises) < len(items):
        raise BadInput(f"model {loaded.name!r} classifies single texts, no pairs: send the text alone")
    return entailment.scores(loaded, plan, premises, asked.sentences, asked.multi_label)


TASK = ZeroShotClassification()
