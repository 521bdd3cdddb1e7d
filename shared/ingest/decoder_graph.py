"""The graph of a decoder, read without its weights: they stay in files beside it, where each is held against its file.

Weights of gigabytes are never copied, never parsed and in no message of protobuf, which ends at 2 GiB. Where an export
has them inside of model.onnx, they are written, aligned, to a file of their own first.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct
from onnx import helper

from shared.ingest import descriptors, graph, guards, normalize, scan, weights
from shared.ingest.verdict import Limits, Refused
from shared.runtime import layout
from shared.runtime.products import PRODUCTS
from shared.runtime.zygotes import MOST_FILES
from shared.serving.forms import WEIGHTS

MODEL = "model.onnx"
MOST_INSIDE = 16 << 20  # bytes: a file that is larger has its weights inside
MOST_INSIDE_BESIDE = 1 << 20  # of another graph than model.onnx: changed, it is in the report
MOST_GRAPH = 64 << 20  # bytes of a graph without its weights
# inputs of these operators with a row for each position, of the standard's name and Microsoft's
POSITIONS = {"GroupQueryAttention": 7, "RotaryEmbedding": 2}


class DecoderGraph(Struct, frozen=True):
    """body: the graph as it is served. files: names of those with its weights. changes: in words; none: as uploaded.

    context: of how many positions the graph has tables; None where it says nothing. facts: members of the verdict.
    """

    body: bytes
    files: tuple[str, ...]
    changes: list[str]
    context: int | None
    facts: dict[str, Any]


def prepare(
    files: Mapping[str, int], spill: int, window: int | None, limits: Limits, name: str = MODEL
) -> DecoderGraph:
    """Read, check and complete the graph. Raises Refused.

    files: of the package, as open descriptors. spill: a file for weights that are inside of the graph's file.
    window: tokens that each layer looks back on, where the graph does not say. name: of the graph's file.
    """
    source, spilled = _without_weights(files[name], spill, name)
    model = graph.parse(source)
    beside = {**files, WEIGHTS: spill} if spilled else dict(files)
    opset = {graph.normal(entry.domain) or "ai.onnx": entry.version for entry in model.opset_import}
    nodes = scan.check(model, beside, limits)
    referred = weights.check_extents(model, beside)
    _refuse_cut_off_sums(model)
    changes = [f"weights: put into a file of their own, {spilled:,} bytes"] if spilled else []
    normalized, _ = normalize.normalize(model)
    # weight-only products stay as they are: with float activations, those of 8 bits take ten times as long, and what a
    # processor makes of them is judged by the tokens that agree
    changes += normalized + guards.guard(model) + _drop_unread(model)
    if window is not None and (count := _set_window(model, window)):
        changes.append(f"{count} attentions look back on {window:,} tokens, as config.json has it")
    operators, parameters = graph.census(model)
    facts = {"opset": opset, "nodes": nodes, "operators": operators, "parameters": parameters}
    body = model.SerializeToString(deterministic=True) if changes else source
    return DecoderGraph(body, referred, changes, _positions(model), facts)


def require_own_files(names: Collection[str], others: Collection[str | None]) -> None:
    """Raises Refused for files of weights that are something else, too, or are more than the serving process takes.

    others: the package's files that are served as what they are: graphs, whose bytes the gate may change, tokenizer,
    template.
    """
    for name in names:
        if name in others:
            raise Refused(
                "external_data",
                f"a graph has weights in {name}, which is something else in the package: rename the file",
            )
    if len(names) > MOST_FILES:
        raise Refused(
            "too_many_files",
            f"the weights are in {len(names):,} files, more than the {MOST_FILES} that are allowed: save the model "
            "with all its weights in one file",
        )


def _without_weights(file: int, spill: int, name: str) -> tuple[bytes, int]:
    """The graph's bytes, and how many of its weights were written to `spill`. Raises Refused."""
    before = descriptors.size(spill)
    if descriptors.size(file) <= (MOST_INSIDE if name == MODEL else MOST_INSIDE_BESIDE):
        return descriptors.read(file), 0
    with descriptors.mapped(file) as model:
        graph.require_onnx(model[:8])
        try:
            body = layout.externalized(model, WEIGHTS, lambda part: _write(spill, part), before)
        except (ValueError, IndexError) as error:
            raise Refused("not_onnx", f"{name} is not an ONNX model, or is truncated ({error})") from error
    if len(body) > MOST_GRAPH:
        raise Refused(
            "too_large",
            f"the graph has {len(body):,} bytes without its weights, more than the {MOST_GRAPH:,} that are allowed: "
            "export the model with its weights as initializers",
        )
    return body, descriptors.size(spill) - before


def _write(file: int, part: memoryview | bytes) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[os.write(file, rest) :]


def _refuse_cut_off_sums(model: Any) -> None:
    """Raises Refused for products of 8 bits whose sums some processors cut off; other models are rewritten for that.

    Of a decoder, weights alone are better quantized anyway: it is waited for memory, not for products.
    """
    for body in graph.bodies(model):
        for node in body.node:
            if (graph.normal(node.domain), node.op_type) in PRODUCTS:
                raise Refused(
                    "operator_not_allowed",
                    f"{node.op_type} {node.name[:80]!r} multiplies activations of 8 bits, which some processors cut "
                    "off: push an export whose weights alone are quantized (MatMulNBits), such as model_q4.onnx, "
                    "or one of FP16 or FP32",
                )


def _drop_unread(model: Any) -> list[str]:
    """Take off weights that nothing reads: ONNX Runtime has none of that name when it is given them."""
    read = {name for body in graph.bodies(model) for node in body.node for name in node.input}
    read |= {output.name for body in graph.bodies(model) for output in getattr(body, "output", ()) if _has_name(output)}
    unread = [tensor for tensor in model.graph.initializer if tensor.name not in read]
    for tensor in unread:
        model.graph.initializer.remove(tensor)
    return [f"{len(unread)} weights that nothing reads: taken off"] if unread else []


def _has_name(output: Any) -> bool:
    """Of a function, outputs are texts."""
    return hasattr(output, "name")


def _set_window(model: Any, window: int) -> int:
    """Have attention look back on so many tokens where nothing says how many. Returns in how many nodes."""
    changed = 0
    for body in graph.bodies(model):
        for node in body.node:
            if node.op_type != "GroupQueryAttention":
                continue
            present = next((one for one in node.attribute if one.name == "local_window_size"), None)
            if present is not None and present.i > 0:
                continue
            if present is not None:
                node.attribute.remove(present)
            node.attribute.append(helper.make_attribute("local_window_size", window))
            changed += 1
    return changed


def _positions(model: Any) -> int | None:
    """For how many positions all tables have a row; kernels would read beyond the end of a shorter one."""
    rows = {tensor.name: tensor.dims[0] for tensor in model.graph.initializer if len(tensor.dims) == 2}
    names = [
        node.input[place]
        for body in graph.bodies(model)
        for node in body.node
        if (place := POSITIONS.get(node.op_type, len(node.input))) < len(node.input)
    ]
    return min((rows[name] for name in names if name in rows), default=None)
