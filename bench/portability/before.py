"""What ONNX Runtime answers without the gate's rewriting: by form, processor, optimisation level and session option.

`python -m bench.portability.before` writes bench/results/portability-before.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import onnxruntime as ort

from bench.portability import corpus, running
from bench.portability.graphs import FORMS, Case
from bench.portability.simulation import simulate
from tools import processors

RESULTS = processors.ROOT / "bench" / "results"
LEVELS = ("off", "basic", "extended", "all")
OPTIONS = {
    "x64quantprecision": (("session.x64quantprecision", "1"),),
    "nbits accuracy 1": (("session.qdq_matmulnbits_accuracy_level", "1"),),
}
INTRODUCTION = """\
# Quantised forms in ONNX Runtime {version}, as they are

`python -m bench.portability.before`: each graph of the corpus in a plain session, without the gate's rewriting, held
against exact integer arithmetic. Inputs provoke saturation: activations and weights near the ends of their ranges.
*ok*: within one step at rare places, or within float32's own noise; otherwise ‖y − ŷ‖ / ‖ŷ‖. *shifted*: signed 8-bit
weights stored unsigned, with 128 added to them and to their zero point; *7 bits*: halved; both at level `all`, and
empty where the form changes nothing. The last two are session options, at `all`.

`A×B`: types of activations and weights. Processors: {processors}.
"""


@dataclass(frozen=True)
class Column:
    """One way to run a case."""

    title: str
    level: str = "all"
    form: str = "as is"
    config: tuple[tuple[str, str], ...] = ()


COLUMNS = (
    *(Column(level, level) for level in LEVELS),
    *(Column(form, form=form) for form in FORMS[1:]),
    *(Column(title, config=config) for title, config in OPTIONS.items()),
)
Table = dict[tuple[str, str], dict[str, running.Verdict]]  # (case, column) → processor → verdict


def measured(names: list[str], wanted: str = "") -> Table:
    """Every case whose name contains `wanted`, in every column, on every processor."""
    forms = {form: [case for case in corpus.cases(form) if wanted in case.name] for form in FORMS}
    plain = {case.name: case.model for case in forms["as is"]}
    table: Table = {}
    places: list[tuple[Case, Column]] = []
    for column in COLUMNS:
        for case in forms[column.form]:
            if column.form == "as is" or case.model != plain[case.name]:
                places.append((case, column))
    expected = {case.model: simulate(case.model, case.feeds) for case, _ in places}
    jobs = [running.Job(case.model, case.feeds, column.level, column.config) for case, column in places]
    for processor in names:
        answers, _ = running.answers(processor, jobs)
        for (case, column), answer in zip(places, answers, strict=True):
            verdict = running.judged(case, expected[case.model], answer)
            table.setdefault((case.name, column.title), {})[processor] = verdict
    return table


def short(verdict: running.Verdict | None) -> str:
    if verdict is None:
        return ""
    if verdict.noise is None:
        return verdict.reason
    if verdict.right:
        return "ok"
    return f"{verdict.noise:.1%}" if verdict.noise >= 1e-3 else f"{verdict.noise:.0e}"


def page(table: Table, names: list[str]) -> Iterator[str]:
    """Markdown: for each processor the columns at each level, then the forms and options."""
    about = "; ".join(f"*{name}*: {processors.PROCESSORS[name]}" for name in names)
    yield INTRODUCTION.format(version=ort.__version__, processors=about)
    cases = list(dict.fromkeys(case for case, _ in table))
    wrong = {name: [case for case in cases if not table[case, "all"][name].right] for name in names}
    yield "## How many are wrong\n"
    yield "| | " + " | ".join(names) + " |\n|---" + "|---" * len(names) + "|"
    for column in COLUMNS:
        rows = [table[case, column.title] for case in cases if (case, column.title) in table]
        counts = [f"{sum(not row[name].right for row in rows)} of {len(rows)}" for name in names]
        yield f"| {column.title} | " + " | ".join(counts) + " |"
    yield "\n## Cases that some processor gets wrong in some column\n"
    yield f"The rest, {_always(table, cases)} cases, never.\n"
    titles = [column.title for column in COLUMNS]
    yield "| case | processor | " + " | ".join(titles) + " |\n|---|---" + "|---" * len(titles) + "|"
    for case in cases:
        if _right(table, case):
            continue
        for name in names:
            cells = [short(table.get((case, title), {}).get(name)) for title in titles]
            yield f"| {case} | {name} | " + " | ".join(cells) + " |"
    yield "\n## Cases that are right everywhere\n"
    yield from (f"- {case}" for case in cases if _right(table, case))
    yield f"\nAt `all`: {', '.join(f'{len(wrong[name])} wrong on {name}' for name in names)}."


def _right(table: Table, case: str) -> bool:
    rows = (table[case, column.title] for column in COLUMNS if (case, column.title) in table)
    return all(verdict.right for row in rows for verdict in row.values())


def _always(table: Table, cases: list[str]) -> int:
    return sum(_right(table, case) for case in cases)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.portability.before", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--processors", nargs="+", choices=processors.PROCESSORS, default=processors.USUAL)
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    arguments = parser.parse_args()
    table = measured(arguments.processors, arguments.case)
    (RESULTS / "portability-before.md").write_text("\n".join(page(table, arguments.processors)) + "\n")


if __name__ == "__main__":
    main()
