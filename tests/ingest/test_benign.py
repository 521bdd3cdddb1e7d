"""Real models pass, and what will be served answers what ONNX Runtime answers for the uploaded file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.ingest.verdict import Verdict
from shared.runtime import layout
from shared.runtime.onnx import VERSION, load
from tests.ingest import corpus
from tests.ingest.conftest import Gate

RNG = np.random.default_rng(5)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def conv_net() -> bytes:
    """Two blocks of Conv, BatchNormalization, Relu; pooling; a dense head with Dropout and Identity left over."""
    nodes, tensors, before = [], [], "image"
    for block, (low, high) in enumerate([(1, 8), (8, 16)]):
        tensors.append(numpy_helper.from_array(floats(high, low, 3, 3) / 3, f"w{block}"))
        norm = [f"{name}{block}" for name in ("s", "b", "m", "v")]
        tensors += [numpy_helper.from_array(np.abs(floats(high)) + 0.5, name) for name in norm]
        nodes += [
            helper.make_node("Conv", [before, f"w{block}"], [f"c{block}"], pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", [f"c{block}", *norm], [f"n{block}"]),
            helper.make_node("Relu", [f"n{block}"], [f"r{block}"]),
        ]
        before = f"r{block}"
    nodes += [
        helper.make_node("GlobalAveragePool", [before], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Identity", ["f"], ["i"]),
        helper.make_node("MatMul", ["i", "w"], ["d"]),
        helper.make_node("Add", ["d", "bias"], ["logits"]),
    ]
    tensors += [numpy_helper.from_array(floats(16, 10), "w"), numpy_helper.from_array(floats(10), "bias")]
    shapes = [corpus.value("image", ["N", 1, 28, 28])], [corpus.value("logits", ["N", 10])]
    return corpus.model(nodes, *shapes, tensors, opset=17)


def same_answers(source: bytes, verdict: Verdict, feeds: dict[str, np.ndarray]) -> None:
    """The served model against the source without any optimization."""
    expected = load(source, optimize="off").run(None, feeds)
    actual = load(verdict.optimized or source).run(None, feeds)
    for old, new in zip(expected, actual, strict=True):
        if old.dtype.kind == "f":
            np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-5)
        else:
            assert old.tolist() == new.tolist()


def test_convolutions_are_fused_portably_and_agree(gate: Gate) -> None:
    source = conv_net()
    verdict = gate(source)
    assert verdict.accepted, verdict.reason
    assert verdict.optimized and verdict.optimization["kept"]
    assert verdict.optimization["nodes_after"] < verdict.optimization["nodes_before"]
    assert verdict.inputs == [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 28, 28]}]
    assert verdict.outputs == [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}]
    assert (verdict.nodes, verdict.size, verdict.probe) == (11, len(source), "ran")
    assert verdict.runtime["onnxruntime"] == VERSION and verdict.runtime["seccomp"] is True
    same_answers(source, verdict, {"image": floats(3, 1, 28, 28)})
    domains = {node.domain for node in onnx.load_from_string(verdict.optimized).graph.node}
    assert domains <= {"", "com.microsoft"}, "com.microsoft.nchwc would be the layout of this CPU"


def test_an_optimized_model_is_served_as_it_is(gate: Gate) -> None:
    source = conv_net()
    first, again = gate(source), gate(source)
    assert first.optimized == again.optimized
    assert first.optimized is not None
    second = gate(first.optimized)
    assert second.accepted, second.reason
    assert second.optimized is None


def dense(width: int) -> bytes:
    """One product with a square of weights, in which ONNX Runtime finds nothing to optimize."""
    weights = numpy_helper.from_array(floats(width, width), "weights")
    shapes = [corpus.value("x", ["N", width])], [corpus.value("y", ["N", width])]
    return corpus.model([helper.make_node("MatMul", ["x", "weights"], ["y"])], *shapes, [weights], opset=17)


def test_weights_are_moved_to_where_they_can_be_mapped(gate: Gate) -> None:
    source = dense(1100)
    assert layout.mapped(source, "m") is None
    verdict = gate(source)
    assert verdict.optimization["normalized"] == ["weights: put where they can be mapped into memory"]
    assert len(layout.mapped(verdict.optimized or b"", "m") or source) < 2000
    same_answers(source, verdict, {"x": floats(2, 1100)})
    again = gate(verdict.optimized)
    assert again.accepted, again.reason
    assert again.optimized is None


def test_small_models_are_stored_once(gate: Gate) -> None:
    assert gate(dense(100)).optimized is None


def test_a_model_that_a_package_ships(gate: Gate) -> None:
    import magika

    path = next(Path(magika.__file__).parent.glob("models/*/model.onnx"))
    verdict = gate(path.read_bytes())
    assert verdict.accepted, verdict.reason
    assert verdict.inputs == [{"name": "bytes", "datatype": "INT32", "shape": [-1, 2048]}]
    same_answers(path.read_bytes(), verdict, {"bytes": RNG.integers(0, 256, (2, 2048), np.int32)})


def test_weights_beside_the_model_are_put_into_it(gate: Gate) -> None:
    weights = floats(2, 4)
    beside = b"skip" * 4 + weights.tobytes()
    parts = [
        corpus.external("a", "model.onnx.data", offset="16", length="16"),
        corpus.external("b", "model.onnx.data", offset="32"),
    ]
    nodes = [helper.make_node("Add", ["x", "a"], ["s"]), helper.make_node("Mul", ["s", "b"], ["y"])]
    source = corpus.model(nodes, [corpus.value("x", ["N", 4])], [corpus.value("y", ["N", 4])], parts)
    verdict = gate(source, **{"model.onnx.data": beside})
    assert verdict.accepted, verdict.reason
    assert verdict.optimized is not None
    x = floats(3, 4)
    answer = load(verdict.optimized).run(None, {"x": x})[0]
    np.testing.assert_allclose(answer, (x + weights[0]) * weights[1], rtol=1e-6)


@pytest.mark.parametrize("entries", [{"offset": "8"}, {"offset": "-4"}, {"length": "4"}, {"offset": "x"}])
def test_weights_that_are_not_all_there(gate: Gate, entries: dict[str, str]) -> None:
    verdict = gate(corpus.with_weights("w.bin", **entries), **{"w.bin": bytes(16)})
    assert (verdict.accepted, verdict.code) == (False, "external_data")


def quantized() -> bytes:
    """A dense layer in the QDQ form: int8 weights, uint8 activations."""
    weight = RNG.integers(-127, 128, (64, 32)).astype(np.int8)
    tensors = [
        numpy_helper.from_array(weight, "w"),
        corpus.scalar("ws", 0.01, np.float32),
        corpus.scalar("wz", 0, np.int8),
        corpus.scalar("xs", 0.02, np.float32),
        corpus.scalar("xz", 128, np.uint8),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["y"]),
    ]
    return corpus.model(nodes, [corpus.value("x", ["N", 64])], [corpus.value("y", ["N", 32])], tensors)


def test_a_quantized_model_stays_small(gate: Gate) -> None:
    source = quantized()
    verdict = gate(source)
    assert verdict.accepted, verdict.reason
    assert len(verdict.optimized or source) <= len(source) * 1.1 + 4096
    same_answers(source, verdict, {"x": floats(4, 64)})


def test_a_bounded_loop_and_branches_are_served(gate: Gate) -> None:
    source = corpus.loop(corpus.scalar("m", 5))
    verdict = gate(source)
    assert verdict.accepted, verdict.reason
    answer = load(verdict.optimized or source).run(None, {"x": np.ones(3, np.float32)})[0]
    assert answer.tolist() == [32.0] * 3


def test_a_model_that_runs_on_no_generated_input(gate: Gate) -> None:
    """It needs a prime number of rows: no generated input has it, and that is no reason to refuse."""
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    source = corpus.model([node], [corpus.value("x")], [corpus.value("y", [13, 7])], [corpus.ints("s", [13, 7])])
    verdict = gate(source)
    assert (verdict.accepted, verdict.probe, verdict.optimized) == (True, "inconclusive", None), verdict.reason


def test_odd_but_valid_models(gate: Gate) -> None:
    """No inputs at all; a scalar input; an initializer listed as input; an empty output."""
    constant = corpus.model(
        [helper.make_node("Constant", [], ["y"], value_floats=[1.0, 2.0])], outputs=[corpus.value("y", [2])]
    )
    bare = onnx.load_from_string(constant)
    del bare.graph.input[:]
    scalar = corpus.model([helper.make_node("Neg", ["x"], ["y"])], [corpus.value("x", [])], [corpus.value("y", [])])
    weight = numpy_helper.from_array(np.ones(1, np.float32), "w")
    listed = corpus.model([corpus.add("x", "w")], [corpus.value("x"), corpus.value("w", [1])], initializers=[weight])
    indices = [corpus.value("y", None, TensorProto.INT64)]
    empty = corpus.model([helper.make_node("NonZero", ["x"], ["y"])], outputs=indices)
    for source in (bare.SerializeToString(), scalar, empty, listed):
        verdict = gate(source)
        assert verdict.accepted and verdict.probe == "ran", verdict.reason
    assert [tensor["name"] for tensor in verdict.inputs] == ["x"]


def listed(ir_version: int = 8, size: int = 1) -> bytes:
    """y = x * scale, with an initializer for scale among the inputs."""
    scale = numpy_helper.from_array(np.full(size, 2, np.float32), "scale")
    inputs = [corpus.value("x", ["N", size]), corpus.value("scale", [size])]
    onnx_model = corpus.proto(
        [helper.make_node("Mul", ["x", "scale"], ["y"])], inputs, [corpus.value("y", ["N", size])], [scale], opset=17
    )
    onnx_model.ir_version = ir_version
    return bytes(onnx_model.SerializeToString())


def test_an_input_with_a_default_is_optional(gate: Gate) -> None:
    source = listed()
    verdict = gate(source)
    assert verdict.accepted and verdict.probe == "ran", verdict.reason
    assert [tensor["name"] for tensor in verdict.inputs] == ["x"]
    assert verdict.optional == [{"name": "scale", "datatype": "FP32", "shape": [1]}]
    served, x = load(verdict.optimized or source), np.array([[3]], np.float32)
    assert served.run(None, {"x": x})[0] == 6
    assert served.run(None, {"x": x, "scale": np.array([5], np.float32)})[0] == 15


@pytest.mark.parametrize(("ir_version", "size", "changed"), [(8, 1025, True), (3, 1, False)])
def test_weights_listed_as_inputs_become_constants(gate: Gate, ir_version: int, size: int, changed: bool) -> None:
    source = listed(ir_version, size)
    verdict = gate(source)
    assert verdict.accepted, verdict.reason
    assert ([tensor["name"] for tensor in verdict.inputs], verdict.optional) == (["x"], [])
    assert any("made constants" in step for step in verdict.optimization["normalized"]) == changed
    same_answers(source, verdict, {"x": floats(2, size)})


def test_minus_one_declares_a_dimension_that_varies(gate: Gate) -> None:
    """As Paddle's exporter writes it."""
    node = helper.make_node("Neg", ["x"], ["y"])
    verdict = gate(corpus.model([node], [corpus.value("x", [-1, 2])], [corpus.value("y", [-1, 2])]))
    assert verdict.accepted and verdict.probe == "ran", verdict.reason
    assert [tensor["shape"] for tensor in (*verdict.inputs, *verdict.outputs)] == [[-1, 2], [-1, 2]]


def test_a_model_that_answers_in_bfloat16(gate: Gate) -> None:
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16)
    source = corpus.model([cast], outputs=[corpus.value("y", ["N"], TensorProto.BFLOAT16)])
    verdict = gate(source)
    assert verdict.accepted, verdict.reason
    assert [output["datatype"] for output in verdict.outputs] == ["BF16"]


def test_a_sequence_of_tensors_is_served_as_one(gate: Gate) -> None:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])]
    for shape in (["N", 2], None):
        outputs = [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, shape)]
        nodes = [helper.make_node("Neg", ["x"], ["n"]), helper.make_node("SequenceConstruct", ["x", "n"], ["y"])]
        onnx_model = helper.make_model(
            helper.make_graph(nodes, "s", inputs, outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        )
        verdict = gate(onnx_model.SerializeToString())
        assert verdict.accepted, verdict.reason
        assert any("sequences" in step for step in verdict.optimization["normalized"])
        assert verdict.optimized is not None
        values = np.array([[1.0, 2.0]], np.float32)
        [answer] = load(verdict.optimized).run(None, {"x": values})
        assert np.array_equal(answer, np.stack([values, -values]))
        assert verdict.outputs[0]["datatype"] == "FP32"
