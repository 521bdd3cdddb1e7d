"""The command: see bench.portability."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from bench.portability import bundled, running
from bench.portability.report import Report
from bench.portability.serving import served
from shared.runtime import processor
from tests.portability import corpus
from tests.portability.corpus.graphs import Case
from tools import processors

RESULTS = processors.ROOT / "bench" / "results"


def measured(cases: Sequence[Case], names: Sequence[str], rewriting: Sequence[bool] = (True,)) -> list[Report]:
    """Each case as it is served, on each processor. Raises processors.Missing.

    rewriting: with and without the gate's, a report for each; all of them in one process per processor. Where inference
    would take the form with signed weights, both have to be right.
    """
    forms = [[served(case.model, rewritten) for case in cases] for rewritten in rewriting]
    expected = [running.expectation(case) for case in cases]
    reports = [Report(done={case.name: form.done for case, form in zip(cases, row, strict=True)}) for row in forms]
    for name in names:
        wide = name == processors.NATIVE and processor.sums_widely()
        jobs, places = [], []
        for report, row in zip(reports, forms, strict=True):
            for one, form in zip(expected, row, strict=True):
                for model in [form.model, form.wide] if wide and form.wide else [form.model]:
                    jobs.append(running.Job(model, one[0].feeds))
                    places.append((report, one))
        answers, features = running.answers(name, jobs)
        for (report, (case, outputs)), answer in zip(places, answers, strict=True):
            row_of = report.verdicts.setdefault(case.name, {})
            row_of[name] = running.worse(row_of.get(name), running.judged(case, outputs, answer))
            report.features[name] = features
    return reports


def control(report: Report) -> int:
    """Without rewriting, a processor that saturates has to be seen doing it."""
    saturating = [name for name in report.features if "AVX2" in report.features[name] and name != processors.NATIVE]
    for name in saturating:
        print(f"control on {name}, without the rewriting: {len(report.wrong(name))} of {len(report.verdicts)} wrong")
        print("\n".join(f"  {report.reason(case, name)}" for case in report.wrong(name)))
    return 0 if saturating and all(report.wrong(name) for name in saturating) else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.portability", description="quantized graphs on several processors")
    parser.add_argument("--processors", nargs="+", choices=processors.PROCESSORS, default=processors.USUAL)
    parser.add_argument("--short", action="store_true", help=f"{len(corpus.SHORT)} cases, and no whole models")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument(
        "--control", action="store_true", help="without the gate's rewriting: has to find wrong answers"
    )
    parser.add_argument("--write", action="store_true", help="keep the page and the record in bench/results")
    arguments = parser.parse_args()
    cases = corpus.short() if arguments.short else [*corpus.cases(), *bundled.bundled(), *bundled.zoo()]
    try:
        cases = [case for case in cases if arguments.case in case.name]
        (report,) = measured(cases, arguments.processors, [not arguments.control])
    except processors.Missing as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.control:
        return control(report)
    print("\n".join([*report.table(), "", *report.summary()]))
    if arguments.write:
        (RESULTS / "portability.md").write_text(report.page())
        (RESULTS / "portability.json").write_text(json.dumps(report.record(), indent=1) + "\n")
    return 1 if any(report.wrong(name) for name in report.features) else 0


if __name__ == "__main__":
    sys.exit(main())
