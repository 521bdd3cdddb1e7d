"""Small packages of each task, loaded as the service loads them: what the tests of tasks ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from shared.package.manifest import Manifest, Tensor
from shared.registry.state import Version
from shared.runtime import onnx
from shared.serving.loaded import Loaded
from shared.serving.wall import Wall

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "anna", "went", "to", "paris", "new", "york", "with", "bob"]
VOCABULARY = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}


def loaded(model: bytes, *, files: dict[str, bytes] | None = None, confined: bool = False, **described: Any) -> Loaded:
    """A version as models.Models gives it. described: the manifest; inputs and outputs are the model's own.

    confined: its tokenizer runs behind the wall.
    """
    session = onnx.load(model)
    signature = {
        "inputs": [Tensor(s.name, s.datatype, s.shape) for s in session.inputs],
        "outputs": [Tensor(s.name, s.datatype, s.shape) for s in session.outputs],
    }
    blobs = files or {}
    version = Version(
        version=7, task="", manifest="", source="", model="", size=0, upload="", files={name: name for name in blobs}
    )
    opener = lambda _, raw, cutting: Wall().open_tokenizer(raw, cutting, direct=not confined)  # noqa: E731 - used once
    manifest = Manifest(**(signature | described))
    return Loaded("m", version, 1, manifest, session, read=blobs.__getitem__, open_tokenizer=opener)


def tokenizer() -> Tokenizer:
    """Words, lower case, with [CLS] and [SEP] around them."""
    word_tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    word_tokenizer.normalizer = normalizers.Lowercase()
    word_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    word_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", VOCABULARY["[CLS]"]), ("[SEP]", VOCABULARY["[SEP]"])],
    )
    return word_tokenizer


def lookup(width: int, seed: int = 0, mask: bool = True, batch: int | str = "N", length: int | str = "T") -> bytes:
    """Token ids [N, T] → one row of numbers per token [N, T, width]; the mask is an input that changes nothing."""
    table = np.random.default_rng(seed).normal(size=(len(VOCABULARY), width)).astype(np.float32)
    shape = [batch, length]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape)]
    inputs += [helper.make_tensor_value_info("attention_mask", TensorProto.INT64, shape)] if mask else []
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["hidden"])]
    outputs = [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [*shape, width])]
    return proto(nodes, inputs, outputs, {"table": table})


def table(seed: int, width: int) -> np.ndarray:
    """The rows that `lookup` answers with."""
    return np.random.default_rng(seed).normal(size=(len(VOCABULARY), width)).astype(np.float32)


def proto(nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]) -> bytes:
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def constant(outputs: dict[str, np.ndarray], image: tuple[int, int] = (32, 32)) -> bytes:
    """A detector that sees the same in every image [1, 3, H, W]."""
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *image])]
    nodes = [helper.make_node("Identity", [f"{name}_"], [name]) for name in outputs]
    kinds: Callable[[np.ndarray], int] = lambda a: helper.np_dtype_to_tensor_dtype(a.dtype)  # noqa: E731 - typed
    infos = [helper.make_tensor_value_info(name, kinds(a), list(a.shape)) for name, a in outputs.items()]
    return proto(nodes, inputs, infos, {f"{name}_": array for name, array in outputs.items()})


def loudness(length: int) -> bytes:
    """Waveforms [N, 1, length] → the mean square, and 0.01."""
    inputs = [helper.make_tensor_value_info("wave", TensorProto.FLOAT, ["N", 1, length])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2])]
    nodes = [
        helper.make_node("ReduceSumSquare", ["wave"], ["sum"], axes=[2], keepdims=0),
        helper.make_node("Mul", ["sum", "each"], ["loud"]),
        helper.make_node("Mul", ["loud", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "least"], ["quiet"]),
        helper.make_node("Concat", ["loud", "quiet"], ["scores"], axis=1),
    ]
    numbers = {"each": 1 / length, "zero": 0, "least": 0.01}
    return proto(nodes, inputs, outputs, {name: np.array([[n]], np.float32) for name, n in numbers.items()})


def overlap(weights: list[float]) -> bytes:
    """Pairs of texts, as tokens [N, T] → logits [N, classes]: how many words they share, times each class' weight."""
    words = np.eye(len(VOCABULARY), dtype=np.float32)
    words[: len(VOCABULARY) - len(WORDS)] = 0  # what is no word is in both
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "T"]) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(weights)])]
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["seen"]),
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["types", "last"], ["second"]),
        helper.make_node("Mul", ["seen", "second"], ["of_second"]),
        helper.make_node("Sub", ["seen", "of_second"], ["of_first"]),
        helper.make_node("ReduceSum", ["of_first", "tokens"], ["one"], keepdims=0),
        helper.make_node("ReduceSum", ["of_second", "tokens"], ["other"], keepdims=0),
        helper.make_node("Mul", ["one", "other"], ["shared"]),
        helper.make_node("MatMul", ["shared", "weights"], ["logits"]),
    ]
    repeated = np.repeat(np.array([weights], np.float32), len(VOCABULARY), 0)
    constants = {"words": words, "last": np.array([2]), "tokens": np.array([1]), "weights": repeated}
    return proto(nodes, inputs, outputs, constants)


def towers(scale: float = 4.0, images: int | str = "I") -> bytes:
    """Images [I, 3, 4, 4] and tokens [T, L] → logits [I, T]: the mean red of an image goes with `cat`, green with
    `mat`, blue with `bob`; and an output of text vectors before it.
    """
    colors = np.zeros((len(VOCABULARY), 3), np.float32)
    for channel, word in enumerate(("cat", "mat", "bob")):
        colors[VOCABULARY[word], channel] = scale
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["T", "L"])]
    inputs += [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [images, 3, 4, 4])]
    inputs += [helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["T", "L"])]
    outputs = [helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["T", 3])]
    outputs += [helper.make_tensor_value_info("logits_per_image", TensorProto.FLOAT, [images, "T"])]
    nodes = [
        helper.make_node("Gather", ["colors", "input_ids"], ["tokens"]),
        helper.make_node("ReduceSum", ["tokens", "second"], ["text_embeds"], keepdims=0),
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["image_embeds"]),
        helper.make_node("Transpose", ["text_embeds"], ["columns"]),
        helper.make_node("MatMul", ["image_embeds", "columns"], ["logits_per_image"]),
    ]
    return proto(nodes, inputs, outputs, {"colors": colors, "second": np.array([1])})
