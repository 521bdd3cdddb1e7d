"""What was converted, as the files of a package: model.onnx, amaas.json, golden.npz, reference.csv."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from amaas.convert import golden, graph, model_files, proof, reference, rows
from amaas.convert.columns import Json
from amaas.convert.errors import NotConverted
from amaas.convert.original import Original

MODEL, MANIFEST = "model.onnx", "amaas.json"


def of_a_model(path: Path, folder: Path, examples: Path | None) -> tuple[dict[str, str], list[str]]:
    """Files by their names in the package, written to the folder, and what is to be said. Raises NotConverted."""
    original, notes = model_files.opened(path)
    converted = _converted(original)
    (folder / MODEL).write_bytes(converted.SerializeToString())
    session = golden.opened(folder / MODEL)
    table = rows.of_file(examples, original) if examples else rows.derived(original)
    proven = proof.prove(original, session, table, given=examples is not None)
    proof.find_gaps(original, session, table)
    files = {MODEL: str(folder / MODEL), MANIFEST: str(folder / MANIFEST)}
    described = _described(original)
    if not original.of_a_text:
        typical = reference.write(folder, original, session)
        if typical:
            files[typical.name] = str(typical)
            described["preprocess"]["reference"] = typical.name
        else:
            notes.append("it goes without reference rows, which `amaas explain` takes: name some, preprocess.reference")
    (folder / MANIFEST).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    if proven.golden:
        files |= {golden.FILE: str(golden.write(folder, proven.golden))}
    else:
        notes.append("it goes without a golden set: all answers are near 0, which would settle nothing")
    return files, [*notes, *proven.notes, f"{proven.compared} rows are answered as by {original.name} itself"]


def _converted(original: Original) -> Any:
    try:
        return original.graph()
    except NotConverted:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise NotConverted(
            f"{original.name} has no conversion to ONNX ({said}): train a model that skl2onnx converts, or export ONNX "
            "yourself and push that file"
        ) from error


def _described(original: Original) -> Json:
    """amaas.json."""
    after = {"postprocess": {"activation": "none", "output": graph.OUTPUT}}
    if original.of_a_text:
        return {"task": "text-classification", "preprocess": {"kind": "text"}, **after, "labels": original.labels}
    before: Json = {"columns": original.columns.described()}
    before |= {"ignored": list(original.columns.ignored)} if original.columns.ignored else {}
    described: Json = {"task": "tabular" if original.labels else "tabular-regression", "preprocess": before}
    return described | ({**after, "labels": original.labels} if original.labels else {})
