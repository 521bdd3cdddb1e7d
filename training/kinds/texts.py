"""Texts: a tokenizer that is trained on them, and the tokens that the service makes with it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from shared.package import processing
from shared.serving.inputs import texts
from training.errors import TrainingError
from training.kinds import Inputs

PAD, UNKNOWN, START = "[PAD]", "[UNK]", "[CLS]"
FILE = "tokenizer.json"


class Texts:
    """Byte-pair encoding (Sennrich et al. 2016) of what NFKC and lower case leave; [CLS] in front, so none is empty."""

    name, task, described = "text", "text-classification", "texts"

    def __init__(self, plan: dict[str, Any], tokenizer: bytes) -> None:
        self.plan, self.files = plan, {FILE: tokenizer}
        names = {field: value for field, value in plan.items() if field != "kind"}
        self.text = processing.Text(**names)
        self.tokenizer = texts.tokenizer(tokenizer, self.text, None)
        self.shape = (self.tokenizer.get_vocab_size(), int(plan["max_length"]))
        self.unknown = self.tokenizer.token_to_id(UNKNOWN)

    @classmethod
    def fit(cls, values: np.ndarray, details: dict[str, Any], s: argparse.Namespace) -> Texts:
        del details
        plan = {"kind": "text", "tokenizer": FILE, "max_length": s.max_length, "padding": "longest"}
        return cls(plan, _trained(values, s.vocabulary, s.cased).to_str().encode())

    @classmethod
    def declared(cls, manifest: dict[str, Any], folder: Path | None) -> Texts:
        """Raises TrainingError for a package without a tokenizer, or with one that pads on the left."""
        if folder is None:
            raise TrainingError("a teacher of texts must be a package folder: the service does not give its tokenizer")
        plan = manifest["preprocess"]
        wanted = [plan.get("ids", "input_ids"), plan.get("mask", "attention_mask")]
        if [put["name"] for put in manifest["inputs"]] != wanted or not plan.get("tokenizer"):
            raise TrainingError(f"this package does not take {' and '.join(wanted)} of a tokenizer of its own")
        if not plan.get("max_length"):
            raise TrainingError("this package does not say how many tokens it takes at most (preprocess.max_length)")
        # whatever its file is called there, a package that is made with it has it as FILE
        made = cls(plan | {"tokenizer": FILE}, (folder / plan["tokenizer"]).read_bytes())
        if (made.tokenizer.padding or {}).get("direction") == "left":
            raise TrainingError(
                f"the tokenizer of this package pads on the left (padding.direction in {plan['tokenizer']}), and texts "
                "are cut to the longest on the right here: give a package whose tokenizer pads on the right"
            )
        return made

    @property
    def puts(self) -> list[dict[str, Any]]:
        return [{"name": name, "datatype": "INT64", "shape": [-1, -1]} for name in (self.text.ids, self.text.mask)]

    @property
    def axes(self) -> list[dict[int, str]]:
        return [{1: "T"}, {1: "T"}]

    @property
    def reading(self) -> dict[str, Any]:
        return {}

    def unlike(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        return None

    def stored(self, values: np.ndarray) -> Inputs:
        encodings = self.tokenizer.encode_batch([self.text.prefix + str(text) for text in values])
        ids, mask = ([getattr(e, member) for e in encodings] for member in ("ids", "attention_mask"))
        return {
            self.text.ids: torch.tensor(ids, dtype=torch.int32).reshape(len(values), -1),
            self.text.mask: torch.tensor(mask, dtype=torch.uint8).reshape(len(values), -1),
        }

    def inputs(self, stored: Inputs, picked: torch.Tensor | slice) -> Inputs:
        """Cut to the longest of them, as a call with these texts would have it."""
        ids, mask = stored[self.text.ids][picked], stored[self.text.mask][picked]
        longest = max(1, int(mask.sum(1, dtype=torch.int64).max()))
        return {self.text.ids: ids[:, :longest].long(), self.text.mask: mask[:, :longest].long()}

    def augmented(self, stored: Inputs, picked: torch.Tensor, random: torch.Generator, s: argparse.Namespace) -> Inputs:
        """With a share of the tokens made unknown; never the first, which every text has."""
        made = self.inputs(stored, picked)
        if s.token_dropout:
            ids = made[self.text.ids]
            lost = torch.rand(ids.shape, generator=random) < s.token_dropout
            lost[:, 0] = False
            made[self.text.ids] = ids.masked_fill(lost & (made[self.text.mask] != 0), self.unknown)
        return made

    def example(self, count: int) -> tuple[torch.Tensor, ...]:
        length = min(4, self.shape[1])
        return torch.zeros(count, length, dtype=torch.int64), torch.ones(count, length, dtype=torch.int64)

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        return {"characters": np.array([len(str(text)) for text in values], np.float64)}


def _trained(values: Iterable[Any], vocabulary: int, cased: bool) -> Tokenizer:
    made = Tokenizer(models.BPE(unk_token=UNKNOWN))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), *([] if cased else [normalizers.Lowercase()])])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, UNKNOWN, START], min_frequency=2, show_progress=False
    )
    made.train_from_iterator((str(value) for value in values), trainer)
    start = (START, made.token_to_id(START))
    made.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A {START} $B", special_tokens=[start]
    )
    return made
