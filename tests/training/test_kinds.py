"""Texts, sound and tables: from files to packages that classify; what training feeds is what the service makes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
import soundfile
import torch

from shared.package import processing
from training import train
from training.data import dataset as data
from training.errors import TrainingError
from training.kinds import choose as kinds
from training.kinds.sounds import Sounds
from training.kinds.texts import Texts
from training.settings import settings

BUNDLED = Path(__file__).resolve().parents[2] / "layers" / "models"
QUICK = ["--device", "cpu", "--quiet", "--batch", "16", "--optimizer", "adamw"]


def chosen(*more: str) -> Any:
    return settings(["--data", "x", "--out", "y", *more])


def texts(folder: Path) -> Path:
    """Two made-up languages, with other syllables; some words are in both."""
    random = np.random.default_rng(0)
    path = folder / "sayings.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for n in range(160):
            parts = (["ba", "lo", "mi"], ["ku", "zer", "ti"])[n % 2] + ["the"]
            words = ["".join(random.choice(parts, 3)) for _ in range(random.integers(2, 9))]
            writer.writerow([" ".join(words), ("south", "north")[n % 2]])
    return path


def sounds(folder: Path) -> Path:
    """A low tone and a high one, of different lengths, in noise."""
    random = np.random.default_rng(0)
    for label, hertz in (("low", 300), ("high", 1500)):
        (folder / "tones" / label).mkdir(parents=True)
        for n in range(40):
            length = int(random.integers(2000, 4000))
            wave = 0.3 * np.sin(2 * np.pi * hertz * random.uniform(0.9, 1.1) * np.arange(length) / 8000)
            samples = (wave + 0.05 * random.standard_normal(length)).astype(np.float32)
            soundfile.write(folder / "tones" / label / f"{n:02d}.wav", samples, 8000)
    return folder / "tones"


def table(folder: Path) -> Path:
    """A class that follows from a number or a category; some of both are absent."""
    random = np.random.default_rng(0)
    path = folder / "loans.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["income", "job", "age", "repaid"])
        for _ in range(300):
            income, job = random.uniform(0, 100), str(random.choice(["none", "part", "full"]))
            repaid = "yes" if income + 40 * (job == "full") - 40 * (job == "none") > 50 else "no"
            age = "" if random.random() < 0.2 else int(random.integers(18, 80))
            writer.writerow([round(income, 2), job, age, repaid])
    return path


@pytest.mark.parametrize(
    ("make", "more", "task", "inputs"),
    [
        (
            texts,
            ["--epochs", "8", "--lr", "0.01", "--embedding", "16", "--hidden", "16", "--layers", "1"],
            "text-classification",
            ["input_ids", "attention_mask"],
        ),
        (
            texts,
            [
                "--epochs",
                "4",
                "--lr",
                "0.02",
                "--model",
                "lstm",
                "--embedding",
                "16",
                "--hidden",
                "16",
                "--token-dropout",
                "0.1",
            ],
            "text-classification",
            ["input_ids", "attention_mask"],
        ),
        (
            sounds,
            [
                "--epochs",
                "8",
                "--lr",
                "0.02",
                "--widths",
                "4",
                "8",
                "8",
                "8",
                "--mixup",
                "0.2",
                "--time-shift",
                "0.02",
                "--frequency-mask",
                "4",
                "--time-mask",
                "4",
            ],
            "audio-classification",
            ["sound"],
        ),
        (table, ["--epochs", "8", "--lr", "0.02", "--hidden", "16", "--noise", "0.05"], "tabular", ["features"]),
        (
            texts,
            ["--model", "ngrams", "--characters", "--epochs", "8", "--lr", "0.02", "--buckets", "512"],
            "text-classification",
            ["input_ids", "attention_mask"],
        ),
    ],
    ids=["transformer", "lstm", "sound", "table", "ngrams"],
)
def test_from_files_to_a_package(tmp_path: Path, make: Any, more: list[str], task: str, inputs: list[str]) -> None:
    out = tmp_path / "out"
    source = make(tmp_path)
    assert train.main(["--data", str(source), "--out", str(out), *QUICK, *more]) == 0
    described = json.loads((out / "amaas.json").read_text())
    assert described["task"] == task
    assert [put["name"] for put in described["inputs"]] == inputs
    assert described["metrics"]["test_accuracy"] > 0.85
    assert msgspec.convert(processing.fill_kinds(described)["preprocess"], processing.Before)
    replayed(out, described)
    for picture in ("curves", "confusion", "calibration"):
        assert (out / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    again = data.load(str(source), tmp_path, seed=0).validation[0][:5]
    as_packaged(out, described, again)


def replayed(out: Path, described: dict[str, Any]) -> None:
    golden = np.load(out / "golden.npz", allow_pickle=False)
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    feeds = {put["name"]: golden[f"input.{put['name']}"] for put in described["inputs"]}
    got = session.run(["logits"], feeds)[0]
    np.testing.assert_allclose(got, golden["output.logits"], rtol=1e-3, atol=1e-4)


def as_packaged(out: Path, described: dict[str, Any], values: np.ndarray) -> None:
    """The kind that a package declares makes the tensors that the kind it was trained with made."""
    kind = kinds.declared(described, out)
    made = kind.inputs(kind.encode(values), slice(None))
    assert [tuple(value.shape[1:]) for value in made.values()] == [
        tuple(value.shape[1:]) if -1 in put["shape"][1:] else tuple(put["shape"][1:])
        for value, put in zip(made.values(), described["inputs"], strict=True)
    ]
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {put: value.numpy() for put, value in made.items()})[0].shape == (len(values), 2)


def test_a_text_has_the_same_logits_beside_a_longer_one() -> None:
    values = np.array(["one", "one two three four five six", "", "seven"] * 10, object)
    kind = kinds.fit(values, "text", {}, chosen("--vocabulary", "300", "--max-length", "16").preparation)
    stored = kind.encode(values)
    assert kind.inputs(stored, slice(2, 3))["input_ids"].tolist() == [[2]]  # [CLS]: no text has no token
    from training.networks import find as networks

    for name in ("gru", "lstm", "transformer", "ngrams"):
        torch.manual_seed(1)
        network = networks.build(networks.find(name)[0], kind, 3).eval()
        with torch.no_grad():
            together = network(*kind.inputs(stored, slice(4)).values())
            alone = torch.cat([network(*kind.inputs(stored, slice(n, n + 1)).values()) for n in range(4)])
        assert torch.allclose(together, alone, atol=1e-6), name
        assert not torch.allclose(together[0], together[3], atol=1e-3)


def test_characters_are_tokens_where_they_are_asked_for() -> None:
    values = np.array(["Eine  Katze\n", "eine Karte", "é"] * 3, object)
    kind = kinds.fit(values, "text", {}, chosen("--characters", "--vocabulary", "300").preparation)
    assert isinstance(kind, Texts)

    def read(text: str) -> list[str]:
        return [str(token) for token in kind.tokenizer.encode(text).tokens]

    assert read("Eine\tKatze") == read(" eine katze ") == ["[CLS]", " ", *"eine", " ", *"katze", " "]
    assert read("") == ["[CLS]"] and read(" \n") == ["[CLS]", " "]
    assert read("日") == ["[CLS]", " ", "[UNK]", " "]
    many = np.array([chr(n) * 2 for n in range(0x4E00, 0x5000)], object)
    assert kinds.fit(many, "text", {}, chosen("--characters", "--vocabulary", "300").preparation).shape[0] == 300


def test_runs_of_tokens_are_told_apart_by_their_order_and_none_is_out_of_the_table() -> None:
    from training.networks.texts import NGrams

    torch.manual_seed(0)
    network = NGrams((50, 16), 3, embedding=8, buckets=64, longest=3).eval()
    mask = torch.ones(3, 4, dtype=torch.int64)
    ids = torch.tensor([[2, 5, 6, 7], [2, 7, 6, 5], [2, 2**40, 2**31, 7]])  # beyond any vocabulary: a row all the same
    with torch.no_grad():
        logits = network(ids, mask)
        alone = NGrams((50, 16), 3, embedding=8, buckets=64, longest=1).eval()
        alone.load_state_dict(network.state_dict())
        bags = alone(ids, mask)
    assert torch.allclose(bags[0], bags[1]) and not torch.allclose(logits[0], logits[1], atol=1e-3)
    assert torch.isfinite(logits).all()


def test_token_dropout_keeps_the_first_and_the_padding() -> None:
    values = np.array(["a b c d e f g h", "a b"] * 50, object)
    kind = kinds.fit(values, "text", {}, chosen("--vocabulary", "300").preparation)
    assert isinstance(kind, Texts)
    stored, random = kind.encode(values), torch.Generator().manual_seed(0)
    plain = kind.inputs(stored, torch.arange(100))
    made = kind.augmented(stored, torch.arange(100), random, chosen("--token-dropout", "0.5").augmentation)
    changed = made["input_ids"] != plain["input_ids"]
    assert not changed[:, 0].any()
    assert not changed[plain["attention_mask"] == 0].any()
    assert (made["input_ids"][changed] == kind.unknown).all()
    assert 0.4 < changed.sum() / (plain["attention_mask"].sum() - 100) < 0.6


def test_masks_and_shifts_of_sound_are_as_wide_as_asked() -> None:
    values = np.empty(8, object)
    for n in range(8):
        values[n] = np.random.default_rng(n).standard_normal(8000).astype(np.float32) * 0.1
    kind = kinds.fit(values, "audio", {"sample_rate": 8000}, chosen().preparation)
    assert isinstance(kind, Sounds)
    stored, picked = kind.encode(values), torch.arange(8)
    assert abs(float(stored["sound"].mean())) < 0.01 and abs(float(stored["sound"].std()) - 1) < 0.01
    random = torch.Generator().manual_seed(0)
    masked = kind.augmented(stored, picked, random, chosen("--frequency-mask", "6", "--time-mask", "9").augmentation)[
        "sound"
    ]
    whole = (masked == 0).all(3).sum(2), (masked == 0).all(2).sum(2)
    assert 0 < whole[0].max() <= 6 and 0 < whole[1].max() <= 9
    shifted = kind.augmented(stored, picked, random, chosen("--time-shift", "0.05").augmentation)["sound"]
    moves = []
    for before, after in zip(stored["sound"], shifted, strict=True):
        found = [by for by in range(-5, 6) if torch.equal(before.roll(by, 2)[..., 5:-5], after[..., 5:-5])]
        assert len(found) == 1
        moves += found
    assert len(set(moves)) > 2


@pytest.mark.parametrize(
    ("make", "more", "message"),
    [
        (texts, ["--shift", "1"], "--shift is for data of the kind image, not text"),
        (texts, ["--mixup", "0.2"], "--mixup mixes numbers, and text has none"),
        (
            texts,
            ["--model", "cnn"],
            "cnn is for data of the kind image, not text: give another --model, as transformer",
        ),
        (texts, ["--embedding", "30"], "--embedding 30 cannot be shared by 4 --heads"),
        (sounds, ["--seconds", "0.05"], "are too few: give longer --seconds"),
        (table, ["--token-dropout", "0.1"], "--token-dropout is for data of the kind text, not table"),
        (table, ["--pretrained"], "--pretrained is for data of the kind image"),
        (table, ["--model", "gru"], "gru is for data of the kind text, not table"),
    ],
)
def test_what_does_not_fit_the_data_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, more: list[str], message: str
) -> None:
    assert train.main(["--data", str(make(tmp_path)), "--out", str(tmp_path / "out"), *QUICK, *more]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "model.onnx").exists()


def test_a_package_that_prepares_otherwise_is_refused(tmp_path: Path) -> None:
    for described, message in (
        ({"task": "tensor"}, "this package's task is tensor"),
        (
            {"task": "image-classification", "preprocess": {"resize": "crop", "size": [8, 8], "mode": "L"}},
            "another way",
        ),
        ({"task": "text-classification", "preprocess": {}, "inputs": [{"name": "words"}]}, "does not take input_ids"),
    ):
        with pytest.raises(TrainingError, match=message):
            kinds.declared(described, tmp_path)
