"""Changed models through the gate: each gets a verdict with a reason, and nothing but its own process ever dies.

    python -m tests.fuzz.models [COUNT [SEED]]

A third are changed in their bytes, two thirds in their structure (another operator, attribute, input, shape, datatype,
value, an edge to somewhere else). Begun with: the models that the package `onnx` brings for its own tests, and those of
our corpus that are exported, quantized, of scikit-learn's kind, or with control flow. What is accepted has to answer
behind the wall; what ends there is told as a find.
"""

from __future__ import annotations

import collections
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from shared.errors import AmaasError
from shared.ingest.supervisor import check_model
from shared.ingest.verdict import Verdict
from shared.runtime import confined
from shared.runtime.arrays import DTYPES
from shared.runtime.runners import Crashed
from tests.ingest import quantized
from tests.support import identities, linear, tiny_classifier

VALUES = (0, 1, -1, 2**31 - 1, -(2**31), 2**62, 7)
MEMORY = 1 << 30


def seeds() -> list[bytes]:
    ours = [linear([[1.0], [0.5]]), tiny_classifier(), identities()]
    ours += [body for name in dir(quantized) if callable(body := getattr(quantized, name)) and name.endswith("_model")]
    shipped = Path(onnx.__file__).parent.rglob("*.onnx")
    return [body for body in ours if isinstance(body, bytes)] + [path.read_bytes() for path in sorted(shipped)]


def changed(rng: random.Random, body: bytes) -> bytes:
    if rng.random() < 1 / 3:
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(body))
            body = body[:at] + rng.randbytes(rng.randrange(3)) + body[at + rng.randrange(3) :]
        return body
    model = ModelProto.FromString(body)
    for _ in range(rng.randrange(1, 4)):
        rng.choice((_operator, _attribute, _edge, _shape, _datatype, _initializer, _node))(rng, model)
    return model.SerializeToString()


def _pick(rng: random.Random, items: Any) -> Any:
    return items[rng.randrange(len(items))] if len(items) else None


def _operator(rng: random.Random, model: ModelProto) -> None:
    if node := _pick(rng, model.graph.node):
        schemas = onnx.defs.get_all_schemas()
        schema = schemas[rng.randrange(len(schemas))]
        node.op_type, node.domain = schema.name, schema.domain


def _attribute(rng: random.Random, model: ModelProto) -> None:
    node: NodeProto | None = _pick(rng, model.graph.node)
    if node is None or not node.attribute:
        return
    attribute = _pick(rng, node.attribute)
    if rng.random() < 0.2:
        node.attribute.remove(attribute)
    elif attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(VALUES)
    elif attribute.floats:
        attribute.floats[rng.randrange(len(attribute.floats))] = rng.choice((0.0, -1.0, float("nan"), 1e38))
    else:
        attribute.i = rng.choice(VALUES)


def _edge(rng: random.Random, model: ModelProto) -> None:
    node = _pick(rng, model.graph.node)
    if node is None or not node.input:
        return
    names = [name for other in model.graph.node for name in (*other.input, *other.output)] + [""]
    node.input[rng.randrange(len(node.input))] = rng.choice(names)


def _shape(rng: random.Random, model: ModelProto) -> None:
    value = _pick(rng, [*model.graph.input, *model.graph.output])
    if value is not None and (dimension := _pick(rng, value.type.tensor_type.shape.dim)) is not None:
        dimension.dim_value = rng.choice(VALUES)


def _datatype(rng: random.Random, model: ModelProto) -> None:
    if (value := _pick(rng, model.graph.input)) is not None:
        value.type.tensor_type.elem_type = rng.randrange(0, 24)


def _initializer(rng: random.Random, model: ModelProto) -> None:
    tensor = _pick(rng, model.graph.initializer)
    if tensor is None:
        return
    if tensor.dims and rng.random() < 0.5:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(VALUES)
    elif tensor.raw_data:
        tensor.raw_data = rng.randbytes(len(tensor.raw_data))


def _node(rng: random.Random, model: ModelProto) -> None:
    """One node less, or twice."""
    if (node := _pick(rng, model.graph.node)) is None:
        return
    if rng.random() < 0.5:
        model.graph.node.remove(node)
    else:
        model.graph.node.add().CopyFrom(node)


def served(verdict: Verdict, path: Path) -> str:
    """What an accepted model does behind the wall, on inputs of the shapes that the gate ran it on."""
    if verdict.optimized:
        path.write_bytes(verdict.optimized)
    try:
        session = confined.load(str(path), threads=1, mapped=False, memory=MEMORY, filtered=True)
    except AmaasError as error:
        return f"not loaded: {error}"
    try:
        feeds = {
            spec.name: np.zeros(verdict.ran.get(spec.name, [1] * len(spec.shape)), DTYPES[spec.datatype])
            for spec in session.inputs
        }
        session.run(None, feeds)
        return "answered"
    except Crashed as error:
        return f"DIED: {error}"
    except (AmaasError, KeyError) as error:
        return "answered" if verdict.probe == "inconclusive" else f"refused: {error}"
    finally:
        session.close()


def main() -> None:
    count, seed = (int(sys.argv[1]) if len(sys.argv) > 1 else 200), (int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    rng, begun, longest = random.Random(seed), seeds(), 0.0
    outcomes: collections.Counter[str] = collections.Counter()
    finds: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for number in range(count):
            body = changed(rng, rng.choice(begun))
            path.write_bytes(body)
            started = time.monotonic()
            verdict = check_model({"model.onnx": path}, None)
            longest = max(longest, time.monotonic() - started)
            outcomes[verdict.code] += 1
            if not verdict.reason:
                finds.append(f"{number}: {verdict.code} without a reason")
            outcome = served(verdict, path) if verdict.accepted else ""
            if outcome not in ("", "answered"):
                finds.append(f"{number}: accepted, then {outcome[:300]}")
                kept = Path(".local") / "fuzz" / "models" / f"{seed}-{number}.onnx"
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(body)
    print(f"{count} models of seed {seed}: {dict(outcomes.most_common())}; the longest check {longest:.1f} s")
    print("\n".join(finds) or "every model has a verdict with a reason; what was accepted answers")
    sys.exit(bool(finds))


if __name__ == "__main__":
    main()
