"""The warm inference path, beside its peers: `python -m bench.inference [--quick] [--parts handler peers many]`.

What is compared with what is said in bench/results/inference.md, which this writes together with inference.json and
inference.svg. `make bench` makes what it needs: the models (bench.zoo) and the environments of the peers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import servers
from bench.inference import beside, chart, function, handler, many, models, page
from bench.machine import RESULTS, machine
from shared.signing.local import LocalKey

PARTS = ("handler", "peers", "many")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    parser.add_argument("--zoo", type=Path, default=models.ZOO, help="where bench.zoo has put mobilenet and resnet18")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only some; writes none without --out")
    parser.add_argument("--out", type=Path, help="folder for the results; a quick run writes none without it")
    options = parser.parse_args()
    result = measure(options.quick, options.parts, options.zoo)
    text = page.markdown(result)
    whole = not options.quick and set(options.parts) == set(PARTS)
    out = options.out or (RESULTS if whole else None)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "inference.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        (out / "inference.md").write_text(text)
        if "peers" in result:
            (out / "inference.svg").write_text(chart.svg(result["peers"]["figures"]))
    print(text)


def measure(quick: bool, parts: list[str], zoo: Path) -> dict[str, Any]:
    started = time.monotonic()
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "quick": quick,
        "machine": machine(),
        "versions": {name: version(name) for name in ("numpy", "onnxruntime", "msgspec", "orjson", "obstore")},
    }
    result["versions"]["python"] = platform.python_version()
    share = 0.05 if quick else 1.0
    with tempfile.TemporaryDirectory(prefix="amaas-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        files = models.files(home, zoo)
        if "handler" in parts:
            print("the handler, in process", file=sys.stderr)
            found = handler.measure(files, share)
            result["handler"] = {"figures": found, "targets": handler.verdicts(found)}
        if {"peers", "many"} & set(parts):
            result |= _served(quick, parts, files, home, share)
    result["machine"]["load_average_after"] = os.getloadavg()[0]
    return result | {"seconds": round(time.monotonic() - started)}


def _served(quick: bool, parts: list[str], files: dict[str, Path], home: Path, share: float) -> dict[str, Any]:
    """What needs a store: the function under the emulator, and the many models."""
    result: dict[str, Any] = {}
    server, endpoint = servers.seaweedfs(home / "s3")
    with server:
        servers.credentials(endpoint)
        world = function.world(endpoint, home, {name: files[name] for name in beside.MODELS})
        if "peers" in parts:
            plan = beside.Plan(1, 0.2) if quick else beside.Plan(7, 0.9)
            found = beside.measure(files, function.built(home / "build"), world.environment, home, plan)
            ratios = beside.ratios(found["figures"])
            result["peers"] = {"plan": {"rounds": plan.rounds, "seconds": plan.seconds}, **found, "ratios": ratios}
        if "many" in parts:
            print("a hundred models", file=sys.stderr)
            size = many.make(world.store, LocalKey.load(str(home / "key.pem")))
            found = many.measure(world.environment, home / "many.txt", share) | {"bytes": size}
            result["many"] = found | {"claims": many.claims(found)}
    return result


if __name__ == "__main__":
    main()
