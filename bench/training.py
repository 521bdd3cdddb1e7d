"""Training, beside the classic tutorial's script: writes results/<kind>/training.md.

    python -m bench.training [--only speed best student] [--quick] [--write]

speed: how long until ours has the accuracy that the tutorial's script ends with, seed by seed. best: the most accurate
network. student: what a small one learns from the best, and its size and time beside the tutorial's. A part that was
not run again keeps its figures of before. To be run in the environment `training`.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from bench import page
from bench.machine import RESULTS, ROOT
from bench.training_page import markdown
from training.data.named import fashion_mnist

CACHE = Path.home() / ".cache" / "amaas"
WORK = ROOT / ".local" / "bench-training"
PARTS = ("speed", "best", "student")
SEEDS = {"speed": 5, "best": 3}
FAST = ["--bf16", "--channels-last", "--quiet"]
RECIPES = {
    "speed": ["--model", "quick-cnn", "--epochs", "1", "--batch", "128", "--lr", "0.05",
              "--warmup", "0.2", "--shift", "0", "--no-flip", *FAST],
    "best": ["--model", "mirror-resnet", "--epochs", "36", "--batch", "256", "--lr", "0.1",
             "--warmup", "0.2", "--label-smoothing", "0.1", "--erase", "8", "--ema", "0.998", *FAST],
    "student": ["--model", "quick-cnn", "--epochs", "32", "--batch", "128", "--lr", "0.1",
                "--shift", "1", "--label-smoothing", "0.05", "--ema", "0.999", "--teacher-share", "0.7", *FAST],
}  # fmt: skip
# a try-out trains in the order of a second, on whatever is there
QUICK = {"speed": [], "best": ["--epochs", "1", "--model", "quick-cnn"], "student": ["--epochs", "1"]}
BATCHES, ROUNDS = (1, 64), 2000
FEW = 8  # passes of a student: with a teacher, each takes ten times as long as without


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="only some parts")
    parser.add_argument("--quick", action="store_true", help="few seeds and epochs, to see that it works")
    parser.add_argument("--root", type=Path, default=CACHE, help="where the data set is kept")
    parser.add_argument("--work", type=Path, default=WORK, help="the packages; a run that is finished there is kept")
    parser.add_argument("--write", action="store_true", help="write the page of this kind of processor")
    options = parser.parse_args()
    stored = RESULTS / "training.json"
    result = json.loads(stored.read_text()) if options.write and stored.is_file() else {}
    bench = Bench(options.work / ("quick" if options.quick else "whole"), options.root, options.quick)
    for part in options.only:
        result[part] = page.stamp(options.quick) | getattr(bench, part)()
        result["versions"] = {name: version(name) for name in ("torch", "onnxruntime")}
        result["versions"]["python"] = platform.python_version()
        if options.write:  # part by part: the next one takes long
            page.write(RESULTS, "training", result, markdown(result))
    print(markdown(result))


class Bench:
    """The parts, with their packages in a folder. A run that was interrupted goes on; one that was finished is kept."""

    def __init__(self, work: Path, root: Path, quick: bool) -> None:
        self.work, self.root, self.quick = work, root, quick
        self.test = fashion_mnist.load(root)["test"]

    def speed(self) -> dict[str, Any]:
        """The tutorial's script and ours in turn on the same machine, always anew: these are times."""
        plain = self._tutorial()
        seeds = range(2 if self.quick else SEEDS["speed"])
        ours = [self._run("speed", seed, again=True) for seed in seeds]
        goal = plain[-1]["accuracy"]
        middle = {key: statistics.median(run[key] for run in ours) for key in ("trained_s", "whole_s")}
        return {
            "tutorial": plain, "ours": ours, "options": RECIPES["speed"], "median": middle,
            "reached": all(run["accuracy"] >= goal for run in ours),
            "ratio": {key: round(plain[-1]["seconds"] / value, 1) for key, value in middle.items()},
        }  # fmt: skip

    def best(self) -> dict[str, Any]:
        runs = [self._run("best", seed) for seed in range(1 if self.quick else SEEDS["best"])]
        accuracies = [run["test_accuracy"] for run in runs]
        mean = round(statistics.mean(accuracies), 4)
        spread = {"min": min(accuracies), "mean": mean, "max": max(accuracies)}
        return {"runs": runs, "options": RECIPES["best"], "accuracy": spread}

    def student(self) -> dict[str, Any]:
        """A small network alone; for few passes alone, and taught by the first of the best. Each in int8, too."""
        tutorial, teacher = self.work / "tutorial" / "model.onnx", self.work / "best-0"
        if not tutorial.is_file():
            self._tutorial()
        if not (teacher / "run.json").is_file():
            self._run("best", 0)
        models, runs = {"tutorial": tutorial}, {}
        few = ["--epochs", str(FEW)]
        students = {
            "alone": [], f"alone, {FEW} passes": few, f"taught, {FEW} passes": [*few, "--teacher", str(teacher)],
        }  # fmt: skip
        for name, more in students.items():
            whole = self.work / f"student-{name.replace(', ', '-').replace(' ', '-')}"
            packed = whole.with_name(f"{whole.name}-int8")
            runs[name] = self._run("student", 0, *more, name=whole.name)
            if not (packed / "amaas.json").is_file():
                data = ["--data", "fashion-mnist", "--root", str(self.root)]
                self._python("training.compress", "int8", str(whole), *data, "--out", str(packed))
            models |= {f"{name}": whole / "model.onnx", f"{name}, int8": packed / "model.onnx"}
        figures = {
            name: {"bytes": path.stat().st_size, "accuracy": round(self._accuracy(path, path != tutorial), 4)}
            for name, path in models.items()
        }
        for name, taken in microseconds(models, 20 if self.quick else ROUNDS).items():
            figures[name] |= {"cpu_us": taken}
        return {"runs": runs, "options": RECIPES["student"], "models": figures}

    def _tutorial(self) -> list[dict[str, Any]]:
        few = ["--epochs", "1", "--images", "6400"] if self.quick else []
        out = self.work / "tutorial"
        self._python("bench.tutorial", "--out", str(out), "--root", str(self.root), *few)
        rows: list[dict[str, Any]] = json.loads((out / "epochs.json").read_text())
        return rows

    def _run(self, part: str, seed: int, *more: str, again: bool = False, name: str = "") -> dict[str, Any]:
        """Train, or read what a finished run noted. trained_s: data, cleaning, training, validation, from the start
        of the training on; whole_s: the process, from its start to its end, with imports, test, export and pictures."""
        out = self.work / (name or f"{part}-{seed}")
        noted = out / "run.json"
        if noted.is_file() and not again:
            earlier: dict[str, Any] = json.loads(noted.read_text())
            return earlier
        options = [*RECIPES[part], *(QUICK[part] if self.quick else []), *more, *(["--no-resume"] if again else [])]
        settled = ["--data", "fashion-mnist", "--root", str(self.root), "--out", str(out), "--seed", str(seed)]
        began = time.perf_counter()
        self._python("training.train", *settled, *options)
        whole = time.perf_counter() - began
        rows = [json.loads(row) for row in (out / "metrics.jsonl").read_text().splitlines()]
        metrics = json.loads((out / "amaas.json").read_text())["metrics"]
        figures = {
            "seed": seed, "trained_s": rows[-1]["seconds"], "whole_s": round(whole, 1),
            "cpu_s": metrics["footprint"]["cpu_seconds"], "accuracy": round(self._accuracy(out / "model.onnx"), 4),
            **{key: metrics[key] for key in ("test_accuracy", "validation_accuracy", "parameters")},
        }  # fmt: skip
        noted.write_text(json.dumps(figures) + "\n")
        return figures

    def _accuracy(self, path: Path, normalized: bool = True) -> float:
        """On all 10,000 test images; those of `test_accuracy` were cleaned of a few."""
        images, labels = self.test
        pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / 255
        if normalized:
            plan = json.loads((path.parent / "amaas.json").read_text())["preprocess"]
            pixels = (pixels - np.float32(plan["mean"][0])) / np.float32(plan["std"][0])
        running = session(path)
        parts = [running.run(None, {"image": part})[0].argmax(1) for part in np.array_split(pixels, 100)]
        return float((np.concatenate(parts) == labels).mean())

    def _python(self, *command: str) -> None:
        print("+", *command, file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", *command], cwd=ROOT, stdout=sys.stderr, check=False
        )
        if done.returncode:
            raise SystemExit(f"{command[0]} ended with {done.returncode}: see above; the same command goes on there")


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def microseconds(models: dict[str, Path], rounds: int) -> dict[str, dict[str, float]]:
    """Median CPU time of one image, by batch size: of the calling thread, which is ONNX Runtime's only one.

    The models take turns, run by run, so that whatever else the machine does meets them all alike.
    """
    running = {name: session(path) for name, path in models.items()}
    random = np.random.default_rng(0)
    medians: dict[str, dict[str, float]] = {name: {} for name in models}
    for batch in BATCHES:
        images = random.random((batch, 1, 28, 28), np.float32)
        taken: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(max(20, rounds // batch)):
            for name, one in running.items():
                started = time.thread_time_ns()
                one.run(None, {"image": images})
                taken[name].append((time.thread_time_ns() - started) / 1e3 / batch)
        for name, times in taken.items():
            medians[name][str(batch)] = round(statistics.median(times), 2)
    return medians


if __name__ == "__main__":
    main()
