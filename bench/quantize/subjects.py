"""The two models of quantize.md, with real inputs to calibrate with, and others to judge by."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import ROOT
from shared.runtime.onnx import Session
from training import measure, package, train
from training.compress.evaluation_data import EvaluationData, gather
from training.options import CACHE
from training.package import Arrays, Package

TOKENS = 64  # per sentence at most
CALIBRATION, JUDGED, IMAGES = 128, 200, 2000
RESNET = ["--data", "fashion-mnist", "--model", "torchvision:resnet18", "--epochs", "2", "--batch", "128", "--quiet"]


@dataclass(frozen=True)
class Subject:
    """calibration: rows for the calibrator. judge(session): what it answers, [rows, …]. figures(before, after): beside
    the noise.
    """

    title: str
    about: str
    parent: Package
    material: EvaluationData
    calibration: Arrays
    judge: Callable[[Session], np.ndarray]
    figures: Callable[[np.ndarray, np.ndarray], dict[str, float]]


def sentences() -> list[str]:
    """The prose of this repository's documents, a sentence each, in an order that does not change."""
    unique = set()
    for path in [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]:
        text = re.sub(r"```.*?```|\|[^\n]*\|\n", "", path.read_text(), flags=re.DOTALL)
        for paragraph in re.split(r"\n\s*\n|\n- ", text):
            unique |= {one for one in re.split(r"(?<=[.:;])\s+", " ".join(paragraph.split())) if 30 <= len(one) <= 250}
    ordered = sorted(unique)
    np.random.default_rng(0).shuffle(ordered)
    return ordered


def minilm(zoo: Path) -> Subject:
    from tokenizers import Tokenizer

    parent = package.read(zoo / "minilm")
    tokenizer = Tokenizer.from_file(str(zoo / "minilm" / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    every = sentences()
    judged, rest = every[:JUDGED], every[JUDGED : JUDGED + CALIBRATION]

    def encoded(texts: list[str], length: int | None = None) -> Arrays:
        tokenizer.no_padding() if length is None else tokenizer.enable_padding(length=length)
        rows = tokenizer.encode_batch(texts)
        parts = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        return {name: np.array([getattr(row, part) for row in rows], np.int64) for name, part in parts.items()}

    def judge(running: Session) -> np.ndarray:
        """Embeddings: the mean over the tokens, of length 1; sentence by sentence, as they are asked for."""
        means = [running.run(None, encoded([one]))[0][0].mean(0) for one in judged]
        return np.array([one / np.linalg.norm(one) for one in means])

    def figures(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
        cosine = (before * after).sum(1)
        return {"cosine": round(float(cosine.mean()), 5), "lowest_cosine": round(float(cosine.min()), 5)}

    feeds = encoded(rest, TOKENS)
    every_fifth = np.arange(len(rest)) % 5 == 0  # held out, as training.compress holds out
    held, calibrated = ({name: rows[mask] for name, rows in feeds.items()} for mask in (every_fifth, ~every_fifth))
    about = f"{len(judged)} sentences of this repository's documents, {len(rest)} others to calibrate with"
    material = EvaluationData(encoded(judged[:1]), calibrated, held)
    return Subject("all-MiniLM-L6-v2", about, parent, material, feeds, judge, figures)


def resnet(zoo: Path) -> Subject:
    folder = zoo / "resnet18-fashion"
    if not (folder / "amaas.json").is_file() and train.main([*RESNET, "--name", "resnet18", "--out", str(folder)]):
        raise SystemExit("the ResNet-18 could not be trained")
    parent = package.read(folder)
    material = gather(parent, data="fashion-mnist", root=CACHE, seed=None, calibration=None, rows=4 * CALIBRATION)
    assert material.test is not None and material.calibration is not None
    images = {name: values[:IMAGES] for name, values in material.test.inputs.items()}
    labels = material.test.labels[:IMAGES]

    def judge(running: Session) -> np.ndarray:
        return next(iter(measure.outputs(running, images, 50).values()))

    def figures(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
        same = float((before.argmax(1) == after.argmax(1)).mean())
        return {"accuracy": round(float((after.argmax(1) == labels).mean()), 4), "same_answer": round(same, 4)}

    about = f"trained for two epochs on Fashion-MNIST, {IMAGES:,} of its test images"
    return Subject("ResNet-18", about, parent, material, material.calibration, judge, figures)


SUBJECTS: dict[str, Callable[[Path], Any]] = {"minilm": minilm, "resnet18": resnet}
