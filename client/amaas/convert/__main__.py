"""One request on standard input, one answer on standard output, both JSON.

Requests, each with "folder", where files are written:
{"kind": "golden", "model": the graph, "plan": preprocess, "output": its name or null, "tokenizer": a path};
{"kind": "model", "path": its file, "examples": a CSV file or null}; {"kind": "mlflow", "path": a folder}.
Answer: {"files": {name in the package: path}, "notes": [what is to be said]}, or {"error": why not}.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from amaas.convert.errors import NotConverted
from amaas.errors import AmaasError


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"golden": golden, "model": model, "mlflow": mlflow}[request["kind"]](request)
    except (NotConverted, AmaasError) as error:
        return {"error": str(error)}
    except ModuleNotFoundError as error:
        install = "pip install './client[sklearn,boost,mlflow]'"
        return {"error": f"this takes {error.name}, which is not installed: {install}"}


def golden(request: dict[str, Any]) -> dict[str, Any]:
    from amaas.convert import exported

    paths = {name: Path(request[name]) for name in ("model", "tokenizer", "folder")}
    made = exported.golden_set(plan=request["plan"], output=request["output"], **paths)
    return {"files": {made.name: str(made)}, "notes": []}


def model(request: dict[str, Any]) -> dict[str, Any]:
    from amaas.convert import packages

    examples = Path(request["examples"]) if request["examples"] else None
    files, notes = packages.of_a_model(Path(request["path"]), Path(request["folder"]), examples)
    return {"files": files, "notes": notes}


def mlflow(request: dict[str, Any]) -> dict[str, Any]:
    from amaas.convert import mlflow_folder

    files, notes = mlflow_folder.package(Path(request["path"]), Path(request["folder"]))
    return {"files": files, "notes": notes}


def main() -> None:
    request = json.loads(sys.stdin.buffer.read())
    # libraries print as they like: the answer goes where they cannot
    answers = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(answers, "wb") as out:
        out.write(json.dumps(answer(request)).encode())


if __name__ == "__main__":
    main()
