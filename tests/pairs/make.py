"""Tiny models with random weights, as PyTorch exports them, and what Hugging Face's own code makes of some texts.

    python -m tests.pairs.make     in an environment with requirements/language.txt

writes tests/pairs/models: nli.onnx and relevance.onnx (BERT over pairs), clip.onnx (two towers), tokenizer.json, and
references.json: scores of transformers' zero-shot pipeline, of a cross-encoder, and of CLIP.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tests.pairs.settings import FOLDER, LABELS, MEAN, SIDE, STD, TEMPLATES, TEXTS

WORDS = "this example is a photo of the cat dog sat on mat and ran in park paris new york news sport politics"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
VOCABULARY = len(SPECIAL) + len(WORDS.split())
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
CLASSES = {0: "entailment", 1: "neutral", 2: "contradiction"}


def tokenizer() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS.split()])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    return made


def in_transformers() -> Any:
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    names = ["input_ids", "token_type_ids", "attention_mask"]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer(), model_input_names=names, **named)


def bert(labels: dict[int, str]) -> Any:
    """With weights large enough to tell texts apart."""
    settings = transformers.BertConfig(
        vocab_size=VOCABULARY, max_position_embeddings=64, initializer_range=0.4, **SMALL
    )
    settings.id2label, settings.label2id = labels, {name: number for number, name in labels.items()}
    return transformers.BertForSequenceClassification(settings).eval()


def clip() -> Any:
    text = {
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 64,
        "initializer_range": 0.4,
        **SMALL,
    }
    text |= {"eos_token_id": SPECIAL.index("[SEP]"), "bos_token_id": SPECIAL.index("[CLS]"), "pad_token_id": 0}
    vision = {"image_size": SIDE, "patch_size": 8, "initializer_range": 0.4, **SMALL}
    settings = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    return transformers.CLIPModel(settings).eval()


class Flat(torch.nn.Module):
    """A model that takes its inputs in this order, and gives one output."""

    def __init__(self, model: Any, names: list[str], output: str) -> None:
        super().__init__()
        self.model, self.names, self.output = model, names, output

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = getattr(self.model(**dict(zip(self.names, values, strict=True))), self.output)
        return found


def export(
    model: Any, name: str, inputs: dict[str, torch.Tensor], output: str, axes: dict[str, dict[int, str]]
) -> None:
    flat = Flat(model, list(inputs), output).eval()  # the exporter leaves the mode that it found, dropout included
    torch.onnx.export(
        flat, tuple(inputs.values()), str(FOLDER / name), dynamo=False, opset_version=17,
        input_names=list(inputs), output_names=[output], dynamic_axes=axes,
    )  # fmt: skip


def pairs(model: Any, name: str) -> None:
    example = in_transformers()(["cat", "dog ran"], ["mat", "news"], padding=True, return_tensors="pt")
    inputs = {key: example[key] for key in ("input_ids", "attention_mask", "token_type_ids")}
    export(model, name, inputs, "logits", {key: {0: "pairs", 1: "tokens"} for key in inputs} | {"logits": {0: "pairs"}})


def zero_shot(model: Any) -> list[dict[str, Any]]:
    ask = transformers.pipeline("zero-shot-classification", model=model, tokenizer=in_transformers())
    found = []
    for template in TEMPLATES:
        for labels, several in ((LABELS, False), (LABELS, True), (LABELS[:1], False)):
            for answer in ask(TEXTS, labels, hypothesis_template=template, multi_label=several):
                scores = dict(zip(answer["labels"], answer["scores"], strict=True))
                asked = {"text": answer["sequence"], "template": template, "multi_label": several, "labels": labels}
                found.append(asked | {"scores": scores})
    return found


def relevance(model: Any) -> dict[str, list[float]]:
    """Of TEXTS to each label as a query: as sentence-transformers' CrossEncoder, the sigmoid of one logit."""
    scores = {}
    for query in LABELS:
        tokens = in_transformers()([query] * len(TEXTS), TEXTS, padding=True, return_tensors="pt")
        scores[query] = torch.sigmoid(model(**tokens).logits[:, 0]).tolist()
    return scores


def near(model: Any) -> dict[str, Any]:
    """Pixels [images, SIDE, SIDE, 3] of 0 to 255, and for each image its probabilities of LABELS."""
    pixels = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3))
    values = (torch.tensor(pixels / 255) - torch.tensor(MEAN)) / torch.tensor(STD)
    sentences = [TEMPLATES[0].format(label) for label in LABELS]
    tokens = in_transformers()(sentences, padding=True, return_tensors="pt")
    inputs = {key: tokens[key] for key in ("input_ids", "attention_mask")}
    inputs["pixel_values"] = values.permute(0, 3, 1, 2).float()
    axes = {key: {0: "texts", 1: "tokens"} for key in ("input_ids", "attention_mask")}
    axes |= {"pixel_values": {0: "images"}, "logits_per_image": {0: "images", 1: "texts"}}
    export(model, "clip.onnx", inputs, "logits_per_image", axes)
    return {"pixels": pixels.tolist(), "scores": model(**inputs).logits_per_image.softmax(1).tolist()}


@torch.no_grad()
def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    torch.manual_seed(0)
    nli, one, towers = bert(CLASSES), bert({0: "relevance"}), clip()
    (FOLDER / "tokenizer.json").write_text(tokenizer().to_str())
    pairs(nli, "nli.onnx")
    pairs(one, "relevance.onnx")
    found = {"zero_shot": zero_shot(nli), "relevance": relevance(one), "clip": near(towers)}
    (FOLDER / "references.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
