"""A language model's folder as exporters leave it, on this side: which of its files are sent, and as what.

Of a folder in Hugging Face's form (Optimum, onnx-community: config.json) or ONNX Runtime GenAI's (genai_config.json),
with tokenizer.json and one decoder. What an amaas.json in the folder says goes before what is derived here.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from amaas.api import json_files
from amaas.api.graph import locations
from amaas.errors import AmaasError

TOKENIZER, TEMPLATE = "tokenizer.json", "chat_template.jinja"
CONFIGS = ("config.json", "genai_config.json")
FOLDERS = (".", "onnx")
# the first of them is taken where nobody says which
GRAPHS = ("model.onnx", "decoder_model_merged.onnx", "model_merged.onnx")
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
# what models that were trained on calls of tools write around one; their templates say so
TOOLS = ("<tool_call>", "</tool_call>")
# generation_config.json → postprocess
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
CONTEXTS = ("max_position_embeddings", "n_positions", "max_sequence_length", "context_length", "n_ctx")
BUILD = "python -m onnxruntime_genai.models.builder -i FOLDER -o OUT -p int8 -e cpu"
EXPORT = "optimum-cli export onnx --model FOLDER OUT"
CARD = 200_000  # characters
# what the names of models' classes end with, of models that are no decoders
TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForImageClassification": "image-classification",
}
DECODERS = ("LMHeadModel", "DoubleHeadsModel")  # other classes that end with Model give vectors
POOLING = "1_Pooling/config.json"  # sentence-transformers has it


def is_language_model(folder: Path) -> bool:
    """Whether a folder is a language model's, as exporters leave them."""
    is_one = (folder / TOKENIZER).is_file() and any((folder / name).is_file() for name in CONFIGS)
    return is_one and other_task(folder) is None


def other_task(folder: Path) -> str | None:
    """The task of a folder whose model is no decoder; None of decoders, and where nothing says what it is."""
    named: Any = None
    if (folder / POOLING).is_file():
        return "embedding"
    with suppress(AmaasError):  # who derives says what is wrong with it
        named = read(folder / CONFIGS[0]).get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else ""
    ending = next((task for ending, task in TASKS.items() if name.endswith(ending)), None)
    return ending or ("embedding" if name.endswith("Model") and not name.endswith(DECODERS) else None)


def graphs(folder: Path) -> list[Path]:
    return [path for inner in FOLDERS for path in sorted((folder / inner).glob("*.onnx"))]


def graph(folder: Path, chosen: str | None = None) -> Path:
    """The decoder's file: the chosen one, `model.onnx`, or the only one. Raises AmaasError that lists them."""
    found = graphs(folder)
    if chosen is not None:
        path = folder / chosen
        if path.is_file():
            return path
        raise AmaasError(f"{path} does not exist: there are {_listed(folder, found)}")
    for name in GRAPHS:
        for path in found:
            if path.name == name:
                return path
    if len(found) == 1:
        return found[0]
    if not found:
        export = EXPORT if other_task(folder) else BUILD
        kind = "model" if other_task(folder) else "language model"
        raise AmaasError(f"{folder} is a {kind} without ONNX: export it first, as by `{export}`, and push OUT")
    raise AmaasError(f"{folder} has several models: say which by --graph: {_listed(folder, found)}")


def _listed(folder: Path, paths: list[Path]) -> str:
    return ", ".join(str(path.relative_to(folder)) for path in paths) or "none"


def weights(model: Path) -> dict[str, Path]:
    """The files beside a graph that have its weights, by the names that the graph has for them.

    Raises AmaasError for one that is not there. Beside a file that cannot be read as ONNX, what exporters call them.
    """
    named = locations(model)
    if named is None:
        usual = (f"{model.name}_data", f"{model.name}.data", f"{model.stem}.data")
        beside = sorted(path for path in model.parent.iterdir() if path.name.startswith(usual))
        return {path.name: path for path in beside if path.is_file()}
    for name in named:
        if Path(name).name != name or name in ("", "..", "model.onnx"):
            raise AmaasError(
                f"{model} keeps weights in {name[:200]!r}: save the model again with its data in one file beside it, "
                f"such as {model.stem}.data"
            )
        if not (model.parent / name).is_file():
            near = next((one.name for one in model.parent.iterdir() if one.name.lower() == name.lower()), None)
            what = f"rename {near} to that" if near else "put that file beside it, or save the model as one file"
            raise AmaasError(f"{model} keeps weights in {name!r}, which is not there: {what}")
    return {name: model.parent / name for name in named}


def derive(folder: Path) -> tuple[dict[str, Any], str | None]:
    """The manifest of a folder, and its chat template, if it has one. Raises AmaasError."""
    tokens = read(folder / "tokenizer_config.json")
    template = _template(folder, tokens)
    config, sampling = read(folder / "config.json"), read(folder / "generation_config.json")
    genai = read(folder / "genai_config.json")
    after = _of_genai(genai) if genai and not config else _of_config(config, sampling)
    after["ends"] = sorted({*after.get("ends", []), *_end_of(folder, tokens)})
    before: dict[str, Any] = {"kind": "prompt", "tokenizer": TOKENIZER}
    special = {name: text for name in SPECIAL if (text := _content(tokens.get(name))) is not None}
    before |= {"special": special} if special else {}
    if template is not None:
        before["template"] = TEMPLATE
        before |= {"tools": [f"{TOOLS[0]}\n", f"\n{TOOLS[1]}"]} if TOOLS[0] in template else {}
    manifest: dict[str, Any] = {"task": "text-generation", "preprocess": before, "postprocess": after}
    return manifest | described(folder), template


def _of_config(config: dict[str, Any], sampling: dict[str, Any]) -> dict[str, Any]:
    text = config.get("text_config") or config
    after: dict[str, Any] = {"ends": numbers(sampling.get("eos_token_id", text.get("eos_token_id")))}
    queries = text.get("num_attention_heads", text.get("n_head"))
    heads = text.get("num_key_value_heads") or queries
    hidden = text.get("hidden_size", text.get("n_embd"))
    width = text.get("head_dim") or (hidden // queries if hidden and queries else None)
    after |= {"heads": heads, "width": width} if heads and width else {}
    context = next((text[name] for name in CONTEXTS if isinstance(text.get(name), int)), None)
    after |= {"context": context} if context else {}
    after |= {"window": window} if (window := _window(text)) else {}
    return after | _sampling(sampling)


def _window(text: dict[str, Any]) -> int | None:
    """Of all layers alike; where layers differ, the graph has to say it."""
    window, kinds = text.get("sliding_window"), set(text.get("layer_types") or ["sliding_attention"])
    alike = kinds == {"sliding_attention"} and text.get("use_sliding_window", True)
    return window if isinstance(window, int) and alike and text.get("model_type") != "gemma2" else None


def _of_genai(genai: dict[str, Any]) -> dict[str, Any]:
    model, search = genai.get("model") or {}, genai.get("search") or {}
    decoder = model.get("decoder") or {}
    after: dict[str, Any] = {"ends": numbers(model.get("eos_token_id"))}
    heads, width = decoder.get("num_key_value_heads"), decoder.get("head_size")
    after |= {"heads": heads, "width": width} if heads and width else {}
    after |= {"context": model["context_length"]} if isinstance(model.get("context_length"), int) else {}
    return after | _sampling(search)


def _sampling(values: dict[str, Any]) -> dict[str, Any]:
    """What calls get that do not say otherwise: the likeliest token, unless the folder says to sample."""
    if not values.get("do_sample"):
        return {"temperature": 0.0}
    numbers = {name: values[name] for name in SAMPLING if isinstance(values.get(name), int | float)}
    return {"temperature": 1.0} | numbers


def _end_of(folder: Path, tokens: dict[str, Any]) -> list[int]:
    """The number of the tokenizer's eos_token, which ends a chat's answer where generation_config.json is silent."""
    end = _content(tokens.get("eos_token"))
    added = read(folder / TOKENIZER).get("added_tokens") or []
    return [int(one["id"]) for one in added if end is not None and one.get("content") == end]


def numbers(value: Any) -> list[int]:
    return [number for number in (value if isinstance(value, list) else [value]) if isinstance(number, int)]


def _content(token: Any) -> str | None:
    """Of a token as tokenizer_config.json has it: a text, or an object with one."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _template(folder: Path, tokens: dict[str, Any]) -> str | None:
    for name in (TEMPLATE, "chat_template.json"):
        if (folder / name).is_file():
            if name.endswith(".json"):
                return str(read(folder / name).get("chat_template"))
            return (folder / name).read_text(encoding="utf-8-sig")
    template = tokens.get("chat_template")
    if isinstance(template, list):  # several, by name
        by_name = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = by_name.get("default")
    return template if isinstance(template, str) else None


def described(folder: Path) -> dict[str, Any]:
    """The model's card, and the licence in its head."""
    readme = folder / "README.md"
    if not readme.is_file():
        return {}
    card = readme.read_text(encoding="utf-8", errors="replace")[:CARD]
    head = card.split("---")[1] if card.startswith("---") and card.count("---") > 1 else ""
    licence = next((line.partition(":")[2].strip() for line in head.splitlines() if line.startswith("license:")), "")
    return {"card": card} | ({"licence": licence} if licence else {})


def read(path: Path) -> dict[str, Any]:
    """A JSON object of the folder; empty where there is none. Raises AmaasError."""
    content = _parsed(path)
    return content if isinstance(content, dict) else {}


def read_list(path: Path) -> list[Any]:
    """A JSON list of the folder; empty where there is none. Raises AmaasError."""
    content = _parsed(path)
    return content if isinstance(content, list) else []


def _parsed(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json_files.read(path)
    except ValueError as error:
        raise AmaasError(f"{path} is not valid JSON: {error}") from error
