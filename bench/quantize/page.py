"""The page of bench.quantize, results/<kind>/quantize.md: a table per model."""

from __future__ import annotations

from typing import Any

from bench.page import table

COMMON = ("name", "by", "bytes", "noise", "us")
INTRODUCTION = """\
# Quantizing: our steps beside ONNX Runtime's own calls

{measured}`python -m bench.quantize`, in the environment `training`. Noise is the error's root mean square as a share \
of the signal's, of what the model is asked for: embeddings, logits. All are calibrated with the same rows, and judged \
by others. Noise weighs the rows with the largest outputs most: see the accuracy beside it. Times: one thread, batch \
1, medians of interleaved runs, on a machine that did other work.

![size and noise](quantize.svg)
"""


def markdown(run: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    lines = [INTRODUCTION.format(measured=f"{run['date']}, commit {run['commit']}. ")]
    for model in run["models"].values():
        about = f"{model['about'][0].upper()}{model['about'][1:]}."
        missing = [f"- `{name}` made nothing: {reason}" for name, reason in model["missing"].items()]
        lines += [f"## {model['title']}", "", about, "", _rows(model), "", *missing, ""]
    machine = next(iter(run["models"].values()))["machine"]
    dots = ", ".join(machine["integer_dot_products"]) or "no integer dot products"
    return "\n".join([*lines, f"{machine['cpu']} ({dots}); {versions}.", ""])


def _rows(model: dict[str, Any]) -> str:
    more = [name for name in model["rows"][0] if name not in COMMON]
    cells = []
    for row in model["rows"]:
        figures = [f"{row[name]:.4f}" if "cosine" in name else f"{row[name]:.2%}" for name in more]
        name = f"`{row['name']}`" if row["by"] else row["name"]
        cells.append([name, row["by"], f"{row['bytes']:,}", f"{row['noise']:.1%}", *figures, f"{row['us']:,.0f}"])
    return table(["", "by", "bytes", "noise", *(name.replace("_", " ") for name in more), "µs"], cells)
