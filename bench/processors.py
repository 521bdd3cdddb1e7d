"""Forms of quantised models on three processors: what each answers, natively and as QEMU's Haswell and Nehalem.

`python -m bench.processors TRAINED`, in the environment `training`. TRAINED: folder of the bundled models' packages
before compression, by name, as `python -m training.bundled.make --trained TRAINED` leaves them there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from training import measure, package
from training.bundled.make import RECIPES
from training.compress import blocks, data, int8, latency, steps
from training.compress.data import Material
from training.emulated import PROCESSORS, Question, answers
from training.package import Arrays, Package
from training.settings import CACHE

RESULTS = Path(__file__).resolve().parent / "results"
ROWS = 2000  # of a test set that are asked of an emulated processor
METHOD = "percentile"  # one for all forms, so that they differ in nothing else
BYTES = 4  # accuracy_level of MatMulNBits that rounds activations to int8
Form = Callable[[onnx.ModelProto, Material], bytes]


def _unsigned_static(model: onnx.ModelProto, material: Material) -> bytes:
    """As int8.int8, with unsigned weights around a zero point of 128."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    ready, _ = steps.prepared(model)
    reader = int8.Reader(material.calibration or {}, int8.BATCH, int8.STRIDE)
    kinds, without = int8._chosen(ready)
    with steps.scratch(ready) as folder, steps.quiet():
        target = Path(folder) / "made.onnx"
        quantize_static(
            steps.saved(ready, folder), target, reader, quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8, calibrate_method=int8.METHODS[METHOD],
            extra_options={"WeightSymmetric": True, "CalibStridedMinMax": int8.STRIDE}, op_types_to_quantize=kinds,
            nodes_to_exclude=without,
        )  # fmt: skip
        return target.read_bytes()


def _unsigned_dynamic(model: onnx.ModelProto, _: Material) -> bytes:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    ready, _symbolic = steps.prepared(model)
    with steps.scratch(ready) as folder, steps.quiet():
        target = Path(folder) / "made.onnx"
        quantize_dynamic(
            steps.saved(ready, folder), target, op_types_to_quantize=steps.DYNAMIC, per_channel=True,
            weight_type=QuantType.QUInt8, extra_options={"WeightSymmetric": True},
        )  # fmt: skip
        return target.read_bytes()


def _rounded(body: bytes) -> bytes:
    """The same with activations that MatMulNBits rounds to int8."""
    model = onnx.load_from_string(body)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = BYTES
    return package.serialised(model)


def _static(reduce_range: bool) -> Form:
    return lambda model, material: int8.int8(model, material, methods=[METHOD], reduce_range=reduce_range)[0]


FORMS: dict[str, Form] = {
    "FP32": lambda model, _: package.serialised(model),
    "int8, 8-bit weights": _static(False),
    "int8, 7-bit weights": _static(True),
    "int8, u8·u8": _unsigned_static,
    "dynamic, 8-bit weights": lambda model, _: steps.dynamic(model, reduce_range=False)[0],
    "dynamic, 7-bit weights": lambda model, _: steps.dynamic(model, reduce_range=True)[0],
    "dynamic, u8·u8": _unsigned_dynamic,
    "weight8, int8 activations": lambda model, _: _rounded(blocks.weight8(model)[0]),
    "weight8, FP32 activations": lambda model, _: blocks.weight8(model)[0],
    "int4, int8 activations": lambda model, _: _rounded(blocks.int4(model)[0]),
    "int4, FP32 activations": lambda model, _: blocks.int4(model)[0],
}


def measured(parent: Package, name: str, forms: tuple[str, ...], most: int) -> dict[str, Any]:
    """forms: how the names of those begin that are made, beside FP32. most: rows that emulated processors are asked."""
    material = data.gather(parent, data=RECIPES[name].data, root=CACHE, seed=None, calibration=None, rows=512)
    assert material.test is not None
    bodies: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    for form, make in FORMS.items():
        if not form.startswith(("FP32", *forms)):
            continue
        try:
            bodies[form] = make(parent.model, material)
        except Exception as error:  # ONNX Runtime's calls raise anything
            missing[form] = str(error).splitlines()[0][:200]
    times = latency.timings(bodies, material.golden)
    here = _answered(bodies, material.test.inputs, None)
    part = {put: values[:most] for put, values in material.test.inputs.items()}
    elsewhere = {processor: _answered(bodies, part, processor) for processor in PROCESSORS}
    rows = []
    for form, body in bodies.items():
        row = _row(here[form], here["FP32"], material.test.labels)
        row |= {"form": form, "bytes": len(body), "us": times.medians[form]}
        others = {processor: _apart(here[form], answered[form]) for processor, answered in elsewhere.items()}
        rows.append(row | {"processors": others})
        print(name, rows[-1], flush=True)
    count = {"test": len(material.test.labels), "emulated": min(most, len(material.test.labels))}
    return {"rows": rows, "missing": missing, "machine": times.machine, "count": count}


def _answered(bodies: dict[str, bytes], inputs: Arrays, processor: str | None) -> dict[str, np.ndarray]:
    """Logits; of dynamic forms one by one, as their scales are taken over what is asked at once."""
    questions = {
        form: Question(body, inputs, 1 if form.startswith("dynamic") else measure.BATCH)
        for form, body in bodies.items()
    }
    return {form: next(iter(arrays.values())) for form, arrays in answers(questions, processor).items()}


def _row(got: np.ndarray, want: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    noise = np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2))
    accuracy = float((got.argmax(1) == labels).mean())
    return {"accuracy": round(accuracy, 4), "noise": round(float(noise), 4), "spread": round(float(got.std()), 3)}


def _apart(here: np.ndarray, there: np.ndarray) -> dict[str, float]:
    here = here[: len(there)]
    changed = int((here.argmax(1) != there.argmax(1)).sum())
    return {"changed": changed, "largest": float(f"{np.abs(here - there).max():.3g}")}


def text(report: dict[str, Any]) -> str:
    first = next(iter(report["models"].values()))["machine"]
    dots = ", ".join(first["integer_dot_products"]) or "no integer dot products"
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    others = ", ".join(f"{name} ({what})" for name, what in PROCESSORS.items())
    lines = [
        "# Quantised models on other processors", "",
        f"`python -m bench.processors TRAINED`. Here: {first['cpu']} ({dots}); emulated by QEMU: {others}. Accuracy "
        "and noise (the error's root mean square as a share of the FP32 model's logits) are of the whole test set "
        "here; for the other processors: on how many rows the answer is another than here, and the largest difference "
        "of a logit. Times: here, one thread, batch 1, medians of interleaved runs, on a machine that did other work; "
        f"an emulated processor's time says nothing. {versions}.", "",
    ]  # fmt: skip
    for name, model in report["models"].items():
        lines += [
            f"## {name}",
            "",
            f"{model['count']['test']:,} rows here, {model['count']['emulated']:,} elsewhere.",
            "",
        ]
        lines += ["| form | bytes | µs | accuracy | noise | " + " | ".join(PROCESSORS) + " |", "|---" * 7 + "|"]
        for row in model["rows"]:
            cells = [f"{one['changed']:,} changed, {one['largest']:.3g}" for one in row["processors"].values()]
            figures = [f"{row['bytes']:,}", f"{row['us']:,.1f}", f"{row['accuracy']:.2%}", f"{row['noise']:.2%}"]
            lines.append("| " + " | ".join([row["form"], *figures, *cells]) + " |")
        lines += ["", *(f"- {form} made nothing: {reason}" for form, reason in model["missing"].items()), ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.processors", description="forms of quantised models on processors")
    parser.add_argument("trained", type=Path, metavar="TRAINED")
    parser.add_argument("names", nargs="*", metavar="MODEL", help="only these anew; the others' figures stay")
    parser.add_argument("--forms", nargs="+", default=[""], help="only those that begin so, as int8, and FP32")
    parser.add_argument("--rows", type=int, default=ROWS, help="that emulated processors are asked (%(default)s)")
    arguments = parser.parse_args()
    path = RESULTS / "processors.json"
    models = json.loads(path.read_text())["models"] if path.is_file() and arguments.names else {}
    for name in arguments.names or RECIPES:
        parent = package.read(arguments.trained / name)
        models[name] = measured(parent, name, tuple(arguments.forms), arguments.rows)
        versions = {one: importlib.metadata.version(one) for one in ("onnxruntime", "onnx", "numpy")}
        report = {"models": models, "versions": versions}
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        (RESULTS / "processors.md").write_text(text(report))


if __name__ == "__main__":
    main()
