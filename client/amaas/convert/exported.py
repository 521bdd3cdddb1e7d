"""A golden set of an exported graph: what it answers here is what it has to answer where it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from amaas.convert import golden
from amaas.convert.errors import NotConverted

SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "Nobody knows why the train to Berlin was late again on Monday, 3 March.",
    "¿Qué tal? 42!",
)
IMAGES = 4
LARGEST = 1024  # pixels of a side
MEMBERS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


def golden_set(model: Path, plan: dict[str, Any], output: str | None, tokenizer: Path, folder: Path) -> Path:
    """golden.npz of some texts or images. plan: preprocess. output: the one that is served, else the first with floats.

    Raises NotConverted where the graph cannot be run on these.
    """
    session = golden.opened(model)
    inputs = {one.name: one for one in session.get_inputs()}
    fed = _texts(inputs, plan, tokenizer) if plan["kind"] == "text" else _images(inputs, plan)
    floats = [one.name for one in session.get_outputs() if "float" in one.type]
    if not floats:
        raise NotConverted("the graph has no output of floats")
    name = output or floats[0]
    try:
        [answered] = session.run([name], fed)
    except Exception as error:
        raise NotConverted(f"the graph fails on examples: {golden.first_line(error)}") from error
    arrays = {f"input.{one}": values for one, values in fed.items()} | {f"output.{name}": answered}
    return golden.write(folder, arrays)


def _texts(inputs: dict[str, Any], plan: dict[str, Any], path: Path) -> dict[str, np.ndarray]:
    from tokenizers import Tokenizer

    strange = [name for name in inputs if name not in MEMBERS]
    if strange:
        raise NotConverted(f"the graph takes {strange[0]!r}, which is none of {', '.join(MEMBERS)}")
    tokenizer = Tokenizer.from_file(str(path))
    texts, length = list(SENTENCES), None
    shape = next(iter(inputs.values())).shape
    if isinstance(shape[0], int):
        texts = (texts * shape[0])[: shape[0]]
    if isinstance(shape[1], int):
        length = shape[1]
    if length or plan.get("max_length"):
        tokenizer.enable_truncation(length or plan["max_length"])
    if length or tokenizer.padding is None:
        tokenizer.enable_padding(**{**_padding(tokenizer), "length": length})
    encoded = tokenizer.encode_batch([plan.get("prefix", "") + text for text in texts])
    datatypes = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
    return {
        name: np.array([getattr(one, MEMBERS[name]) for one in encoded], datatypes.get(inputs[name].type, np.int64))
        for name in inputs
    }


def _padding(tokenizer: Any) -> dict[str, Any]:
    said = tokenizer.padding
    if said:
        return {name: said[name] for name in ("direction", "pad_id", "pad_type_id", "pad_token")}
    token = next((one for one in ("[PAD]", "<pad>") if tokenizer.token_to_id(one) is not None), None)
    return {"pad_id": tokenizer.token_to_id(token), "pad_token": token} if token else {}


def _images(inputs: dict[str, Any], plan: dict[str, Any]) -> dict[str, np.ndarray]:
    [(name, tensor)] = inputs.items() if len(inputs) == 1 else [(None, None)]
    if tensor is None or len(tensor.shape) != 4:
        raise NotConverted("the graph takes more than a batch of images")
    batch, channels, *open_sides = tensor.shape
    asked = plan.get("crop") or plan.get("size") or [plan.get("shorter")] * 2
    sides = [known if isinstance(known, int) else side for known, side in zip(open_sides, asked, strict=True)]
    shape = [batch if isinstance(batch, int) else IMAGES, channels if isinstance(channels, int) else 3, *sides]
    if not all(isinstance(side, int) and side <= LARGEST for side in shape):
        raise NotConverted("neither the graph nor the settings say how large an image is")
    mean, std = (np.array(plan.get(name, [default]))[:, None, None] for name, default in (("mean", 0.0), ("std", 1.0)))
    pixels = np.random.default_rng(20).integers(0, 256, shape)
    values = (pixels * plan.get("scale", 1 / 255) - mean) / std
    return {str(name): values.astype(np.float16 if tensor.type == "tensor(float16)" else np.float32)}
