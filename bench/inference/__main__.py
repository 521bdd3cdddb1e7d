"""The warm inference path, beside other servers: writes results/<kind>/inference.md.

    python -m bench.inference [--quick] [--write] [--parts handler peers many]

What is compared with what is said on the page. `make bench-inference` makes what it needs: the models (tests.zoo) and
the environments of the other servers.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import calls, page
from bench.deployed import Bucket, inference_function
from bench.inference import beside, inside
from bench.inference.page import MODELS, markdown
from bench.machine import RESULTS
from tests import servers

PARTS = ("handler", "peers", "many")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    parser.add_argument("--zoo", type=Path, default=calls.ZOO, help="where tests.zoo has put mobilenet and resnet18")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only some of it")
    parser.add_argument("--write", action="store_true", help="write the page of this kind of processor")
    options = parser.parse_args()
    if options.write and set(options.parts) != set(PARTS):
        parser.error("a page has all parts: leave out --parts, or --write")
    result = measure(options.quick, options.parts, options.zoo)
    print(markdown(result))
    if options.write:
        page.write(RESULTS, "inference", result, markdown(result))


def measure(quick: bool, parts: list[str], zoo: Path) -> dict[str, Any]:
    result = page.stamp(quick)
    result["versions"] = {name: version(name) for name in ("numpy", "onnxruntime", "msgspec", "orjson", "obstore")}
    result["versions"]["python"] = platform.python_version()
    share = 0.05 if quick else 1.0
    with tempfile.TemporaryDirectory(prefix="amaas-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "s3").mkdir()
        files = calls.files(home, zoo)
        with servers.seaweedfs(home / "s3") as endpoint:
            servers.credentials(endpoint)
            bucket = Bucket.create("warm", endpoint, home)
            bucket.register((name, path.read_bytes()) for name, path in files.items())
            if "handler" in parts:
                print("the handler, in process", file=sys.stderr)
                result["handler"] = inside.handler(bucket, files, home / "inside.txt", share)
            if "peers" in parts:
                plan = beside.Plan(1, 0.2) if quick else beside.Plan(7, 0.9)
                few = {name: files[name] for name in MODELS}
                result["peers"] = beside.measure(few, inference_function(home / "build"), bucket, home, plan)
            if "many" in parts:
                print("a hundred models", file=sys.stderr)
                result["many"] = inside.many(bucket, home / "inside.txt", share)
    return result


if __name__ == "__main__":
    main()
