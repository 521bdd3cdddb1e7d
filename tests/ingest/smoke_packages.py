"""Models and files of packages for the smoke test, for one task or another."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers

from shared.package import processing
from shared.package.table import Column, Table
from tests.serving import packages
from tests.serving.packages import proto

TOKENS = {"preprocess": processing.Text(tokenizer="tokenizer.json")}
ENTAILS = {"postprocess": processing.Entailment(entailment=1)}
NEAR = {
    "preprocess": processing.Image(size=[4, 4]),
    "postprocess": processing.Similarity(text=processing.Text(tokenizer="tokenizer.json")),
}
TOKENIZER = packages.tokenizer().to_str().encode()
LISTENS = {
    "preprocess": processing.Audio(sample_rate=8000, seconds=0.5),
    "postprocess": processing.Scores(activation="none"),
}
AB = Table(columns=[Column(name="a"), Column(name="b")])
BOXES = {"rows": np.zeros((1, 6, 4 + 3), np.float32)}


def tokenizer_file(content: bytes = TOKENIZER) -> dict[str, bytes]:
    return {"tokenizer.json": content}


def without_unknown() -> bytes:
    """A tokenizer of DNA, which takes no other letter."""
    tokenizer = Tokenizer(models.WordLevel({letter: n for n, letter in enumerate("ACGT")}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return tokenizer.to_str().encode()


def any_size(channels: int = 3, datatype: int = TensorProto.FLOAT) -> bytes:
    """Images [N, C, H, W] of any size → the mean of each channel."""
    inputs = [helper.make_tensor_value_info("image", datatype, ["N", channels, "H", "W"])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", channels])]
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["scores"]),
    ]
    return proto(nodes, inputs, outputs, {})


def words() -> bytes:
    """Texts [N] → their code in a list, which has to have them, and a number that is always the same."""
    inputs = [helper.make_tensor_value_info("word", TensorProto.STRING, ["N"])]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])]
    node = helper.make_node(
        "LabelEncoder",
        ["word"],
        ["score"],
        domain="ai.onnx.ml",
        keys_strings=["yes", "no"],
        values_floats=[1.0, 0.0],
        default_float=-1.0,
    )
    graph = helper.make_graph([node], "words", inputs, outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
