"""Texts: a tokenizer that is trained on them, and the tokens that the service makes with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from shared.package import processing
from shared.runtime import tokens
from shared.serving import features, scripts
from shared.serving.inputs import texts
from training.errors import TrainingError
from training.kinds.kind import Inputs
from training.options import Augmentation, KindName, Preparation

PAD, UNKNOWN, START = "[PAD]", "[UNK]", "[CLS]"
FILE = "tokenizer.json"
ENDS, BLANKS, CHARACTER = Regex(r"\A\s*|\s*\z"), Regex(r"\s+"), Regex(r"[\s\S]")


class Texts:
    """Byte-pair encoding (Sennrich et al. 2016) of what NFKC and lower case leave; [CLS] in front, so none is empty."""

    name: KindName = "text"
    task = "text-classification"
    description = "texts"
    fitted_features: tuple[str, ...] = (features.UNKNOWN_TOKENS,)

    def __init__(self, preprocess: dict[str, Any], tokenizer: bytes) -> None:
        self.preprocess, self.files = preprocess, {FILE: tokenizer}
        names = {field: value for field, value in preprocess.items() if field != "kind"}
        self.text = processing.Text(**names)
        self.tokenizer = tokens.parse(tokenizer, texts.cutting(self.text, None))
        self.shape: tuple[int, ...] = (self.tokenizer.get_vocab_size(), int(preprocess["max_length"]))
        self.unknown = self.tokenizer.token_to_id(UNKNOWN)

    @classmethod
    def fit(cls, values: np.ndarray, details: dict[str, Any], preparation: Preparation) -> Texts:
        del details
        preprocess = {"kind": "text", "tokenizer": FILE, "max_length": preparation.max_length, "padding": "longest"}
        return cls(preprocess, _trained(values, preparation).to_str().encode())

    @classmethod
    def declared(cls, manifest: dict[str, Any], folder: Path | None) -> Texts:
        """Raises TrainingError for a package without a tokenizer, or with one that pads on the left."""
        if folder is None:
            raise TrainingError("a teacher of texts must be a package folder: the service does not give its tokenizer")
        preprocess = manifest["preprocess"]
        names = [preprocess.get("ids", "input_ids"), preprocess.get("mask", "attention_mask")]
        if [put["name"] for put in manifest["inputs"]] != names or not preprocess.get("tokenizer"):
            raise TrainingError(f"this package does not take {' and '.join(names)} of a tokenizer of its own")
        if not preprocess.get("max_length"):
            raise TrainingError("this package does not say how many tokens it takes at most (preprocess.max_length)")
        # whatever its file is called there, a package that is made with it has it as FILE
        kind = cls(preprocess | {"tokenizer": FILE}, (folder / preprocess["tokenizer"]).read_bytes())
        if (kind.tokenizer.padding or {}).get("direction") == "left":
            raise TrainingError(
                f"the tokenizer of this package pads on the left (padding.direction in {preprocess['tokenizer']}), and "
                "texts are cut to the longest on the right here: give a package whose tokenizer pads on the right"
            )
        return kind

    @property
    def tensors(self) -> list[dict[str, Any]]:
        return [{"name": name, "datatype": "INT64", "shape": [-1, -1]} for name in (self.text.ids, self.text.mask)]

    @property
    def axes(self) -> list[dict[int, str]]:
        return [{1: "T"}, {1: "T"}]

    @property
    def reading(self) -> dict[str, Any]:
        return {}

    def mismatch(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        return None

    def disclosed(self, values: np.ndarray) -> np.ndarray:
        return values

    def encode(self, values: np.ndarray) -> Inputs:
        encodings = self.tokenizer.encode_batch([self.text.prefix + str(text) for text in values])
        ids, mask = ([getattr(e, member) for e in encodings] for member in ("ids", "attention_mask"))
        return {
            self.text.ids: torch.tensor(ids, dtype=torch.int32).reshape(len(values), -1),
            self.text.mask: torch.tensor(mask, dtype=torch.uint8).reshape(len(values), -1),
        }

    def inputs(self, encoded: Inputs, indices: torch.Tensor | slice) -> Inputs:
        """Cut to the longest of them, as a call with these texts would have it."""
        ids, mask = encoded[self.text.ids][indices], encoded[self.text.mask][indices]
        longest = max(1, int(mask.sum(1, dtype=torch.int64).max()))
        return {self.text.ids: ids[:, :longest].long(), self.text.mask: mask[:, :longest].long()}

    def augmented(
        self, encoded: Inputs, indices: torch.Tensor, generator: torch.Generator, augmentation: Augmentation
    ) -> Inputs:
        """With a share of the tokens made unknown; never the first, which every text has."""
        inputs = self.inputs(encoded, indices)
        if augmentation.token_dropout:
            if self.unknown is None:
                raise TrainingError(
                    f"--token-dropout needs a tokenizer with {UNKNOWN}, the teacher's has none: omit it"
                )
            ids = inputs[self.text.ids]
            lost = torch.rand(ids.shape, generator=generator) < augmentation.token_dropout
            lost[:, 0] = False
            inputs[self.text.ids] = ids.masked_fill(lost & (inputs[self.text.mask] != 0), self.unknown)
        return inputs

    def example(self, count: int) -> tuple[torch.Tensor, ...]:
        length = min(4, self.shape[1])
        return torch.zeros(count, length, dtype=torch.int64), torch.ones(count, length, dtype=torch.int64)

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        lengths = features.of_texts(list(values))
        if self.unknown is None or not len(values):
            return lengths
        encoded = self.encode(values)
        ids, mask = (encoded[name].numpy() for name in (self.text.ids, self.text.mask))
        return lengths | features.of_tokens(ids, mask, self.unknown)

    def file_features(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        return {}

    def categories(self, values: np.ndarray) -> dict[str, tuple[list[str], list[str | None]]]:
        return {name: (scripts.SCRIPTS, of) for name, of in features.of_scripts(list(values)).items()}

    def feature_details(self) -> dict[str, dict[str, Any]]:
        return {} if self.unknown is None else {features.UNKNOWN_TOKENS: {"token": self.unknown}}


def _trained(values: Iterable[Any], preparation: Preparation) -> Tokenizer:
    special = [PAD, UNKNOWN, START]
    case = [] if preparation.cased else [normalizers.Lowercase()]
    common: dict[str, Any] = {"vocab_size": preparation.vocabulary, "special_tokens": special, "min_frequency": 2}
    trainer: trainers.WordLevelTrainer | trainers.BpeTrainer
    if preparation.characters:
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        # a blank at either end: a word is the same one wherever it stands, and no text is only half seen
        blanks = [normalizers.Replace(ENDS, " "), normalizers.Replace(BLANKS, " ")]
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), *case, *blanks])
        tokenizer.pre_tokenizer = pre_tokenizers.Split(CHARACTER, "isolated")
        trainer = trainers.WordLevelTrainer(**common, show_progress=False)
    else:
        tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), *case])
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.BpeTrainer(**common, show_progress=False)
    tokenizer.train_from_iterator((str(value) for value in values), trainer)
    start = (START, tokenizer.token_to_id(START))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A {START} $B", special_tokens=[start]
    )
    return tokenizer
