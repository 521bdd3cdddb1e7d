"""A folder in Hugging Face's form with the ONNX of a model that is no decoder: classes, names or vectors.

What an amaas.json in the folder says goes before what is derived here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amaas.api import huggingface, image_settings
from amaas.api.graph import Tensor, signature
from amaas.errors import AmaasError

Json = dict[str, Any]
# sentence-transformers' names of a pooling, older ones as members that are true
POOLINGS = {
    "mean": "mean",
    "cls": "first",
    "max": "max",
    "lasttoken": "last",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "first",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
POOLED = ("sentence_embedding", "pooled", "embeddings")  # outputs that are a vector for each text already
SETTINGS_FOR_QUERIES = ("query", "search_query")
SETTINGS_FOR_TEXTS = ("document", "passage", "search_document")
SENTENCES = "optimum-cli export onnx --library sentence_transformers --model FOLDER OUT"
SIMILARITY = "logits_per_image"
# kinds of preprocess, of an amaas.json that says none
IMPLIED = {
    "text-classification": "text",
    "token-classification": "text",
    "embedding": "text",
    "image-classification": "image",
}
UNLIMITED = 1_000_000  # tokens: what transformers writes for "no bound" is far beyond
PADDED = 2  # positions that models of RoBERTa's kind leave out
OFFSET = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl", "xmod", "data2vec-text")


def is_encoder(folder: Path) -> bool:
    """Whether a folder is of such a model."""
    return (folder / "config.json").is_file() and huggingface.other_task(folder) is not None


def derive(folder: Path, graph: Path, own: Json | None = None) -> tuple[Json, list[str]]:
    """amaas.json of a folder, and what is to be said of it. own: what the folder's own says, which may be what cannot
    be derived. Raises AmaasError.
    """
    config = huggingface.read(folder / "config.json")
    inputs, outputs = signature(graph) or ([], [])
    if not inputs or not outputs:
        raise AmaasError(f"{graph} is no ONNX model: export the folder again")
    if {"input_ids", "pixel_values"} <= {tensor.name for tensor in inputs}:
        return _towers(folder, config, outputs), []
    meaning = str(huggingface.other_task(folder))
    of_images = not any(tensor.name == "input_ids" for tensor in inputs)
    before = (own or {}).get("preprocess")
    if before is None:
        before = image_settings.derive(folder, config) if of_images else _texts(folder, config)
    after, notes = _answers(folder, config, meaning, outputs, of_images)
    manifest: Json = {"task": meaning, "preprocess": before} | ({"postprocess": after} if after else {})
    if meaning != "embedding":
        manifest |= {"labels": names} if (names := _labels(config)) else {}
    return manifest | huggingface.described(folder), notes


def _towers(folder: Path, config: Json, outputs: list[Tensor]) -> Json:
    """Of CLIP and SigLIP: images, and labels that come with a call. Raises AmaasError."""
    if SIMILARITY not in [tensor.name for tensor in outputs]:
        raise AmaasError(
            f"{folder} takes texts and images, and its graph has no output {SIMILARITY}: export the whole model, or "
            "one tower of it, and push that"
        )
    text = _texts(folder, config | (config.get("text_config") or {}))
    after: Json = {"kind": "similarity", "text": {name: text[name] for name in text if name != "kind"}}
    if str(config.get("model_type")).startswith("siglip"):  # trained with sigmoid, and texts of one length
        after |= {"multi_label": True, "text": {**after["text"], "padding": "max_length"}}
    before = image_settings.derive(folder, config.get("vision_config") or {})
    described = {"task": "zero-shot-classification", "preprocess": before, "postprocess": after}
    return described | huggingface.described(folder)


def _labels(config: Json) -> list[str]:
    known = config.get("id2label")
    if not isinstance(known, dict) or not all(str(number).isdecimal() for number in known):
        return []
    numbered = sorted((int(number), str(name)) for number, name in known.items())
    return [name for _, name in numbered] if [number for number, _ in numbered] == list(range(len(numbered))) else []


def _texts(folder: Path, config: Json) -> Json:
    """tokenizer.json is used as it is; what it does not bound is cut to what the model has positions for."""
    if not (folder / huggingface.TOKENIZER).is_file():
        raise AmaasError(
            f"the model takes tokens, and there is no {huggingface.TOKENIZER} in {folder}: save it there, as "
            "`AutoTokenizer.from_pretrained(…).save_pretrained(FOLDER)` of transformers does"
        )
    plan: Json = {"kind": "text", "tokenizer": huggingface.TOKENIZER}
    cuts = (huggingface.read(folder / huggingface.TOKENIZER).get("truncation") or {}).get("max_length")
    bounds = [huggingface.read(folder / "tokenizer_config.json").get("model_max_length")]
    bounds += [huggingface.read(folder / "sentence_bert_config.json").get("max_seq_length"), cuts]
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int):
        bounds.append(positions - (PADDED if config.get("model_type") in OFFSET else 0))
    known = [int(one) for one in bounds if isinstance(one, int | float) and 0 < one < UNLIMITED]
    plan |= {"max_length": min(known)} if known and (cuts is None or min(known) < cuts) else {}
    return plan | _prefixes(folder)


def _prefixes(folder: Path) -> Json:
    """Of sentence-transformers' prompts: one for texts, one for queries."""
    prompts = huggingface.read(folder / "config_sentence_transformers.json").get("prompts") or {}
    found: Json = {}
    for member, names in (("prefix", SETTINGS_FOR_TEXTS), ("query_prefix", SETTINGS_FOR_QUERIES)):
        text = next((prompts[name] for name in names if prompts.get(name)), None)
        found |= {member: text} if isinstance(text, str) else {}
    return found


def _answers(
    folder: Path, config: Json, meaning: str, outputs: list[Tensor], of_images: bool
) -> tuple[Json, list[str]]:
    """postprocess, and notes. Raises AmaasError."""
    if meaning == "embedding":
        return _vectors(folder, outputs, of_images)
    names = [tensor.name for tensor in outputs]
    plan: Json = {"output": "logits"} if "logits" in names and names[0] != "logits" else {}
    if meaning == "token-classification":
        return plan, []
    kind = config.get("problem_type")
    if kind in ("multi_label_classification", "regression"):
        plan["activation"] = {"multi_label_classification": "sigmoid", "regression": "none"}[kind]
    return plan, []


def _vectors(folder: Path, outputs: list[Tensor], of_images: bool) -> tuple[Json, list[str]]:
    names = [tensor.name for tensor in outputs]
    pooled = next((name for name in POOLED if name in names), None)
    if pooled:
        return {"output": pooled}, []
    modules = _modules(folder)
    if "Dense" in modules:
        raise AmaasError(
            f"{folder} has a layer behind its pooling, which the graph lacks: export it with its sentence vectors, by "
            f"`{SENTENCES}`"
        )
    plan: Json = {"output": names[0]} if names[0] != "last_hidden_state" else {}
    plan |= {} if not modules or "Normalize" in modules else {"normalize": False}
    said = huggingface.read(folder / huggingface.POOLING)
    named = [POOLINGS[name] for name, value in said.items() if name in POOLINGS and value is True]
    mode = said.get("pooling_mode")
    named += [POOLINGS[mode]] if isinstance(mode, str) and mode in POOLINGS else []
    if len(named) == 1:
        return {"pooling": named[0], **plan}, []
    if said:
        raise AmaasError(
            f"{folder / huggingface.POOLING} has a pooling that is none of mean, cls, max and lasttoken: "
            f"export the model with its sentence vectors, by `{SENTENCES}`"
        )
    chosen = "first" if of_images else "mean"
    return {"pooling": chosen, **plan}, [
        f"nothing in {folder.name} says how vectors of tokens become one: {chosen} is taken; an amaas.json with "
        f'{{"postprocess": {{"pooling": …}}}} in the folder says otherwise'
    ]


def _modules(folder: Path) -> set[str]:
    """The kinds of sentence-transformers' modules; none of a model that is not one of its."""
    listed = huggingface.read_list(folder / "modules.json")
    return {str(one.get("type", "")).rpartition(".")[2] for one in listed if isinstance(one, dict)}
