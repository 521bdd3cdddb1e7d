"""Changed models through the gate: each gets a verdict with a reason, and nothing but its own process ever dies.

    python -m tests.fuzz.models [COUNT [SEED]]

A third are changed in their bytes, two thirds in their structure (another operator, attribute, input, shape, datatype,
value, an edge to somewhere else). Begun with: the models that the package `onnx` brings for its own tests, and those of
our corpus that are exported, quantized, of scikit-learn's kind (ai.onnx.ml), or with control flow. What is accepted has
to answer behind the wall; what ends there is told as a find.

Workers are forked (warm.py); one model in FRESH is checked by an executed one, too, which has to say the same.
"""

from __future__ import annotations

import collections
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from shared.errors import AmaasError, BadInput
from shared.ingest import supervisor
from shared.ingest.supervisor import check_model
from shared.ingest.verdict import Limits, Verdict
from shared.runtime import confined, samples
from shared.runtime.arrays import DTYPES
from shared.runtime.runners import Crashed
from tests.fuzz.warm import EXECUTED, forked
from tests.ingest import corpus, quantized, test_benign
from tests.support import identities, linear, tiny_classifier

VALUES = (0, 1, -1, 2**31 - 1, -(2**31), 2**62, 7)
MEMORY = 1 << 30
# a search has no time for models that only take long: they are cut short, and told by the clock's own codes
LIMITS = Limits(cpu=4, wall=12.0)
FRESH = 100
SLOW = ("cpu_limit", "wall_limit", "memory_limit")  # codes that depend on the machine


@dataclass
class Hunt:
    """What came of changed models. outcomes: verdicts by code. served: what accepted ones did. longest: seconds."""

    models: int = 0
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    served: collections.Counter[str] = field(default_factory=collections.Counter)
    fresh: int = 0
    longest: float = 0.0
    finds: list[str] = field(default_factory=list)


def seeds() -> list[bytes]:
    """Ours come twice for each that `onnx` brings: those are many, and small."""
    ours = [linear([[1.0], [0.5]]), tiny_classifier(), identities(), test_benign.conv_net(), test_benign.quantized()]
    ours += [_body(build().model) for build in quantized.FORMS.values()]
    ours += [corpus.loop(corpus.scalar("m", 5)), *scikit_learn()]
    shipped = [path.read_bytes() for path in sorted(Path(onnx.__file__).parent.rglob("*.onnx"))]
    return ours * max(1, 2 * len(shipped) // len(ours) // 3) + shipped


def _body(model: Any) -> bytes:
    return model if isinstance(model, bytes) else bytes(model.SerializeToString())


def scikit_learn() -> list[bytes]:
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    data = load_iris()
    made = [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        RandomForestRegressor(n_estimators=3, max_depth=3, random_state=0),
        GradientBoostingClassifier(n_estimators=3, random_state=0),
        KNeighborsClassifier(3),
        SVC(random_state=0),
    ]
    rows = data.data.astype(np.float32)
    return [_body(to_onnx(model.fit(rows, data.target), rows[:1])) for model in made]


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
    """What an accepted model does behind the wall: on the inputs that the gate ran it on, and on zeros of their shapes.

    Of zeros, it may refuse some, as 400 says; where the gate has found no inputs, of all.
    """
    if verdict.optimized:
        path.write_bytes(verdict.optimized)
    try:
        session = confined.load(str(path), threads=1, mapped=False, memory=MEMORY, filtered=True)
    except AmaasError as error:
        return f"not loaded: {error}"
    try:
        known = samples.decode(verdict.samples) if verdict.samples else []
        for sample in known:
            session.run(None, {name: samples.unpack(array) for name, array in sample.inputs.items()})
        zeros = {
            spec.name: np.zeros(verdict.ran.get(spec.name, [1] * len(spec.shape)), DTYPES[spec.datatype])
            for spec in session.inputs
        }
        try:
            session.run(None, zeros)
        except BadInput as error:
            if not known and verdict.probe != "inconclusive":
                return f"refused: {error}"
        return "answered"
    except Crashed as error:
        return f"DIED: {error}"
    except (AmaasError, KeyError) as error:
        return f"refused: {error}"
    finally:
        session.close()


def hunt(count: int, seed: int, gate: Any = check_model, over: Callable[[], bool] = lambda: False) -> Hunt:
    """gate: as check_model; a broken one is found out. over: whether to stop early."""
    rng, begun, seen = random.Random(seed), seeds(), Hunt()
    with tempfile.TemporaryDirectory() as folder, forked():
        path = Path(folder) / "model.onnx"
        for number in range(count):
            if over():
                break
            body = changed(rng, rng.choice(begun))
            finds = len(seen.finds)
            _one(seen, f"{seed}-{number}", body, path, gate)
            if len(seen.finds) > finds:
                kept = Path(".local") / "fuzz" / "models" / f"{seed}-{number}.onnx"
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(body)
    return seen


def _one(seen: Hunt, name: str, body: bytes, path: Path, gate: Any) -> None:
    path.write_bytes(body)
    started = time.monotonic()
    verdict = gate({"model.onnx": path}, None, LIMITS)
    seen.longest = max(seen.longest, time.monotonic() - started)
    seen.models += 1
    seen.outcomes[verdict.code] += 1
    if not verdict.accepted and not verdict.reason:
        seen.finds.append(f"{name}: {verdict.code} without a reason")
    if seen.models % FRESH == 0 and verdict.code not in SLOW:
        _compare(seen, name, verdict, path)
    if verdict.accepted:
        outcome = served(verdict, path)
        seen.served[outcome.partition(":")[0]] += 1
        if outcome != "answered":
            seen.finds.append(f"{name}: accepted, then {outcome[:300]}")


def _compare(seen: Hunt, name: str, verdict: Verdict, path: Path) -> None:
    """With what a worker says that was executed anew."""
    seen.fresh += 1
    start, supervisor._start = supervisor._start, EXECUTED
    try:
        again = check_model({"model.onnx": path}, None, LIMITS)
    finally:
        supervisor._start = start
    if again.code not in (verdict.code, *SLOW):
        seen.finds.append(f"{name}: {verdict.code}, and {again.code} by a worker that was executed anew")


def main() -> None:
    count, seed = (int(sys.argv[1]) if len(sys.argv) > 1 else 200), (int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    seen = hunt(count, seed)
    print(f"{seen.models} models of seed {seed}: {dict(seen.outcomes.most_common())}; accepted: {dict(seen.served)}")
    print(f"{seen.fresh} checked twice; the longest check {seen.longest:.1f} s")
    print("\n".join(seen.finds) or "every model has a verdict with a reason; what was accepted answers")
    sys.exit(bool(seen.finds))


if __name__ == "__main__":
    main()
