"""Sequences in rows give what each gives alone, whatever stands beside them; graphs in which they do not take none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx as format_
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadInput, TooLarge
from shared.runtime import onnx, rows
from shared.runtime.decoder import Decoder
from shared.runtime.rows import Rows
from tests.decoders.test_decoder import GEOMETRY, MODELS, NAMES, TOLERANCE, decoder, reference

CLOSE = 1e-5  # of logits of some units
FP16 = {"llama-genai-fp16": 0.05}


@pytest.mark.parametrize("name", NAMES)
def test_all_kinds_of_exports_take_rows(name: str) -> None:
    tokens, longest = Rows(decoder(name, 100)).packing()
    assert longest == 100
    width = {"gpt2": 4, "llama": 2, "mistral": 2}[name.partition("-")[0]] * 16
    each = 2 * 2 * width * (2 if "fp16" in name else 4)  # layers; keys and values
    twice = 1 if decoder(name).in_place else 2
    assert tokens == (256 << 20) // (each * twice)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_stands_beside_it_a_row_has_its_own_logits(name: str, data: st.DataObject) -> None:
    """Rows that begin, grow and end in any order, each at another place of the reference's tokens."""
    tokens, logits = reference(name)
    subject = decoder(name)
    several = Rows(subject)
    held: list[list[int]] = []  # of each row, what it has read
    for _ in range(data.draw(st.integers(2, 14))):
        what = data.draw(st.sampled_from(["hold", "step", "step", "drop"]))
        if what == "hold" and len(held) < 5:
            length = data.draw(st.integers(1, 40))
            subject.rewind(0)
            subject.extend(tokens[:length])
            row = data.draw(st.integers(0, len(held)))
            several.hold(row)
            held[row : row + 1] = [length]
        elif what == "drop" and held:
            row = data.draw(st.integers(0, len(held) - 1))
            several.drop(row)
            last = held.pop()
            if row < len(held):
                held[row] = last
        elif what == "step" and held and max(held) < len(tokens):
            given_ = several.step([tokens[length] for length in held])
            assert given_.shape == (len(held), 96)
            for row, length in enumerate(held):
                assert np.abs(given_[row] - logits[length]).max() < TOLERANCE.get(name, 2e-4)
            held = [length + 1 for length in held]
        assert several.count == len(held)


@pytest.mark.parametrize("name", NAMES)
def test_rows_have_the_logits_of_the_decoder_alone(name: str) -> None:
    tokens, _ = reference(name)
    alone, subject = decoder(name), decoder(name)
    several, lengths = Rows(subject), (3, 50, 17)
    for row, length in enumerate(lengths):
        subject.rewind(0)
        subject.extend(tokens[:length])
        several.hold(row)
    for step in range(8):
        given_ = several.step([tokens[length + step] for length in lengths])
        for row, length in enumerate(lengths):
            alone.rewind(0)
            expected = alone.extend(tokens[: length + step + 1])
            assert np.abs(given_[row] - expected).max() < FP16.get(name, CLOSE)


def changed(name: str, change: Callable[[Any], None]) -> Decoder:
    model = format_.load(MODELS / f"{name}.onnx")
    change(model.graph)
    return Decoder(onnx.open_session(model.SerializeToString()), GEOMETRY, 100)


def with_one_batch(graph: Any) -> None:
    """As of an export for one sequence, which says so of its tokens."""
    for value in graph.input:
        if not value.name.startswith("past"):
            value.type.tensor_type.shape.dim[0].dim_value = 1


def without_positions(graph: Any) -> None:
    """As of an export that counts what the caches have: padding is counted, too."""
    helper = format_.helper
    graph.input.remove(next(value for value in graph.input if value.name == "position_ids"))
    nodes = [
        helper.make_node("Shape", ["past_key_values.0.key"], ["at.before"], start=2, end=3),
        helper.make_node("Shape", ["input_ids"], ["at.tokens"], start=1, end=2),
        helper.make_node("Add", ["at.before", "at.tokens"], ["at.after"]),
        helper.make_node("Squeeze", ["at.before"], ["at.first"]),
        helper.make_node("Squeeze", ["at.after"], ["at.end"]),
        helper.make_node("Range", ["at.first", "at.end", "at.one"], ["at.places"]),
        helper.make_node("Unsqueeze", ["at.places", "at.axis"], ["at.row"]),
        helper.make_node("Expand", ["at.row", "at.shape"], ["position_ids"]),
        helper.make_node("Shape", ["input_ids"], ["at.shape"]),
    ]
    nodes.insert(0, nodes.pop())
    graph.initializer.append(helper.make_tensor("at.one", format_.TensorProto.INT64, [], [1]))
    graph.initializer.append(helper.make_tensor("at.axis", format_.TensorProto.INT64, [1], [0]))
    _put_first(graph, nodes)


def with_positions_of_the_mask(graph: Any) -> None:
    """As of an export that counts what the mask lets through."""
    helper = format_.helper
    graph.input.remove(next(value for value in graph.input if value.name == "position_ids"))
    nodes = [
        helper.make_node("CumSum", ["attention_mask", "at.axis"], ["at.counted"]),
        helper.make_node("Sub", ["at.counted", "at.one"], ["at.places"]),
        helper.make_node("Max", ["at.places", "at.zero"], ["at.all"]),
        helper.make_node("Shape", ["past_key_values.0.key"], ["at.before"], start=2, end=3),
        helper.make_node("Slice", ["at.all", "at.before", "at.end", "at.axes"], ["position_ids"]),
    ]
    for name, shape, value in (
        ("axis", [], 1), ("one", [], 1), ("zero", [], 0), ("end", [1], 10**6), ("axes", [1], 1),
    ):  # fmt: skip
        graph.initializer.append(helper.make_tensor(f"at.{name}", format_.TensorProto.INT64, shape, [value]))
    _put_first(graph, nodes)


def mixing(graph: Any) -> None:
    """Logits are rounded by what is the largest of all rows, as by DynamicQuantizeLinear."""
    helper = format_.helper
    producer = next(node for node in graph.node if "logits" in node.output)
    producer.output[list(producer.output).index("logits")] = "exact"
    graph.node.append(helper.make_node("DynamicQuantizeLinear", ["exact"], ["q", "scale", "zero"]))
    graph.node.append(helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["logits"]))


def _put_first(graph: Any, nodes: list[Any]) -> None:
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


@pytest.mark.parametrize("change", [with_one_batch, without_positions, mixing])
def test_a_graph_whose_rows_are_not_themselves_takes_none(change: Callable[[Any], None]) -> None:
    subject = changed("llama-optimum", change)
    tokens, logits = reference("llama")
    assert np.abs(subject.extend(tokens[:20]) - logits[19]).max() < 0.1, "it can be read alone"
    assert Rows(subject).packing() == (0, 0)
    assert subject.length == 0


def test_a_graph_that_counts_what_the_mask_lets_through_takes_rows() -> None:
    assert Rows(changed("llama-optimum", with_positions_of_the_mask)).packing()[1] == 100


def test_what_is_known_to_mix_rows_takes_none() -> None:
    assert Rows(decoder("llama-optimum", 100), mixes=True).packing() == (0, 0)


def test_no_rows_where_there_is_memory_for_few_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    each = 2 * 2 * 2 * 2 * 16 * 4
    monkeypatch.setattr(rows, "CACHE_BYTES", 80 * each)
    assert Rows(decoder("llama-optimum", 100)).packing() == (80, 40), "two of the longest ones fit"
    monkeypatch.setattr(rows, "CACHE_BYTES", 15 * each)
    assert Rows(decoder("llama-optimum", 100)).packing() == (0, 0)


@pytest.mark.parametrize("name", ["llama-optimum", "llama-genai"])
def test_what_no_row_takes_leaves_the_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, logits = reference(name)
    subject = decoder(name)
    several = Rows(subject)
    several.longest = 12
    with pytest.raises(BadInput, match="nothing was read"):
        several.hold(0)
    for row, length in enumerate((10, 5)):
        subject.rewind(0)
        subject.extend(tokens[:length])
        several.hold(row)
    for bad in [1], [1, 96], [1, -1], [1, 2, 3]:
        with pytest.raises(BadInput, match="one token for each of 2 rows"):
            several.step(bad)
    with pytest.raises(BadInput, match="3 is not the next one"):
        several.hold(3)
    with pytest.raises(BadInput, match="no row 2 of 2"):
        several.drop(2)
    subject.extend(tokens[5:13])
    with pytest.raises(TooLarge, match="13 tokens are more than the 12"):
        several.hold(2)
    for step in range(2):
        given_ = several.step([tokens[10 + step], tokens[5 + step]])
        assert np.abs(given_ - logits[[10 + step, 5 + step]]).max() < 2e-4
    with pytest.raises(TooLarge, match="13 tokens are more than the 12"):
        several.step([1, 1])
    several.drop(0)
    assert np.abs(several.step([tokens[7]]) - logits[7]).max() < 2e-4
