"""The page and the record of a run, results/portability.md and .json."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.page import stamp
from bench.portability.running import Verdict
from tools import processors

INTRODUCTION = """\
# Quantized models on several processors

`make portability`. Each graph is what the gate hands on (rewritten, optimized), loaded as inference loads it, and held
against exact integer arithmetic (tests/portability/corpus/simulation.py). Inputs provoke saturation of 16-bit sums.
*ok*: within one quantization step at rare places, or within float32's own noise; a figure is ‖y − ŷ‖ / ‖ŷ‖.
The other processors are QEMU's, which translates their instructions. A processor with VNNI is asked both forms of a
model that has two (decision 24), and the worse one counts. What the same graphs answer without the
gate's rewriting is in [portability-before.md](portability-before.md).
"""


@dataclass
class Report:
    """verdicts: by case, then by processor. done: what the gate did to each case's model, in words."""

    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    done: dict[str, list[str]] = field(default_factory=dict)
    features: dict[str, list[str]] = field(default_factory=dict)

    def wrong(self, processor: str) -> list[str]:
        return [case for case, row in self.verdicts.items() if not row[processor].right]

    def table(self) -> Iterator[str]:
        """A line per case, for a terminal and for Markdown."""
        names = list(self.features)
        width = max(map(len, self.verdicts), default=4)
        yield f"| {'case':{width}} | " + " | ".join(f"{name:16}" for name in names) + " |"
        yield f"|{'-' * (width + 2)}|" + "|".join("-" * 18 for _ in names) + "|"
        for case, row in self.verdicts.items():
            yield f"| {case:{width}} | " + " | ".join(f"{row[name].text():16}" for name in names) + " |"

    def summary(self) -> Iterator[str]:
        for name in self.features:
            wrong = self.wrong(name)
            yield f"{name}: {len(self.verdicts) - len(wrong)} of {len(self.verdicts)} right" + (
                f"; wrong: {'; '.join(self.reason(case, name) for case in wrong)}" if wrong else ""
            )

    def reason(self, case: str, processor: str) -> str:
        return f"{case} ({self.verdicts[case][processor].reason})"

    def page(self) -> str:
        about = [
            f"- *{name}*: {processors.PROCESSORS[name]}; {_notable(self.features[name])}" for name in self.features
        ]
        versions = ", ".join(f"{name} {version}" for name, version in _versions().items())
        when = stamp()
        last = f"{when['date']}, commit {when['commit']}; {versions}."
        lines = [INTRODUCTION, *about, "", *self.summary(), "", *self.table(), "", last]
        return "\n".join(lines) + "\n"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        cases = {
            case: {
                name: {"right": verdict.right, "noise": verdict.noise, "reason": verdict.reason}
                for name, verdict in row.items()
            }
            | {"done": self.done.get(case, [])}
            for case, row in self.verdicts.items()
        }
        about = {key: value for key, value in stamp().items() if key in ("date", "commit")}
        return about | {"versions": _versions(), "processors": self.features, "cases": cases}


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("onnxruntime", "onnx", "numpy")}


def _notable(features: list[str]) -> str:
    """The features that choose a kernel for 8 bits, as the processor itself reports them."""
    notable = [name for name in ("SSE41", "AVX2", "AVX512_SKX", "AVX512VNNI", "ASIMD", "ASIMDDP") if name in features]
    return "it reports " + (", ".join(notable) or "none of SSE4.1, AVX2, AVX-512 and VNNI")
