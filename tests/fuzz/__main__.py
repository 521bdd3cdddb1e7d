"""Search for bytes that a target does not bear, led by coverage (libFuzzer, by way of Atheris):

    make fuzz TARGET=csv SECONDS=600

A find is written to .local/fuzz/TARGET/. What was found becomes a test.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["shared", "csv", "msgspec", "PIL", "soundfile"]):
    from tests.fuzz.targets import CONTROL, TARGETS


def main() -> None:
    name, seconds = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0  # 0: another one each time
    target, seeds = (TARGETS | CONTROL)[name]
    folder = Path(".local") / "fuzz" / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for number, begun in enumerate(seeds):
        (folder / "corpus" / f"seed-{number}").write_bytes(begun)
    limits = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], str(folder / "corpus"), f"-artifact_prefix={folder}/", *limits], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
