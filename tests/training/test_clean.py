"""What is equal, what looks alike and what is labeled oddly, in data of each kind."""

from __future__ import annotations

import csv
import io
import time
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from training.data import clean, doubtful_labels, features, near_duplicates
from training.data import dataset as data
from training.data.named import sklearn_tables
from training.data.source import objects
from training.errors import TrainingError

RATE = {"sample_rate": 8000}


# ---- equal


def test_texts_are_equal_whatever_the_white_space_and_the_form_of_umlauts() -> None:
    texts = ["für  dich", unicodedata.normalize("NFD", "für dich\n"), "Für dich", " \t", "anderes"]
    dropped = clean.drops({"train": (objects(texts), np.zeros(5, np.int64))}, "text")
    assert dropped == {("train", 1): ("duplicate", ("train", 0)), ("train", 3): ("empty", None)}


def test_sounds_are_equal_by_their_samples_and_silence_is_empty() -> None:
    sounds = [np.arange(9, dtype=np.float32), np.zeros(9, np.float32), np.arange(8, dtype=np.float32)]
    parts = {"train": (objects(sounds), np.array([0, 0, 1])), "test": (objects(sounds[:1]), np.array([1]))}
    dropped = clean.drops(parts, "audio")
    assert dropped == {("train", 0): ("in the test set too", ("test", 0)), ("train", 1): ("empty", None)}


def test_rows_with_one_look_and_two_targets_are_two_cases() -> None:
    rows = objects([{"a": 1.0, "b": None}, {"b": None, "a": 1.0}, {"a": 1.0, "b": None}, {"a": None, "b": None}])
    dropped = clean.drops({"train": (rows, np.array([0, 1, 0, 0]))}, "table")
    assert dropped == {("train", 2): ("duplicate", ("train", 0)), ("train", 3): ("empty", None)}


# ---- alike


def noise(count: int, side: int = 32) -> np.ndarray:
    """Images with coarse content, as photographs have."""
    coarse = np.random.default_rng(0).integers(20, 230, (count, 8, 8), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in coarse]
    )[..., None]


def test_images_compressed_brightened_or_resized_are_look_alikes() -> None:
    images = noise(300)
    body = io.BytesIO()
    Image.fromarray(images[3, :, :, 0]).save(body, "JPEG", quality=70)
    small = Image.fromarray(images[5, :, :, 0]).resize((24, 24), Image.Resampling.BILINEAR)
    changed = [np.asarray(Image.open(body)), images[4, :, :, 0] // 2 + 60, np.asarray(small.resize((32, 32)))]
    swapped = images[6, :, ::-1, 0]  # a mirror image is another image
    every = np.concatenate([images, np.stack([*changed, swapped])[..., None]])
    assert near_duplicates.pairs(every, "image", {}) == {(3, 300), (4, 301), (5, 302)}


def test_every_close_pair_is_found_that_a_plain_comparison_finds() -> None:
    random = np.random.default_rng(0)
    vectors = features.unit(random.normal(0, 1, (1500, 6)).astype(np.float32))
    product = np.triu(vectors @ vectors.T, 1)
    assert set(map(tuple, near_duplicates.close(vectors, 0.99).tolist())) == set(
        zip(*np.nonzero(product >= 0.99), strict=True)
    )
    assert len(near_duplicates.close(vectors, 0.99)) > 50


def test_texts_with_a_word_changed_are_look_alikes() -> None:
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcdefghij"), 6)) for _ in range(500)]
    texts = [" ".join(random.choice(words, 40)) for _ in range(200)]
    texts += [texts[7].replace(texts[7].split()[20], "another", 1), texts[8].upper(), " ".join(texts[9].split()[:20])]
    assert near_duplicates.pairs(objects(texts), "text", {}) == {(7, 200), (8, 201)}


def test_sounds_that_are_louder_or_noisier_are_look_alikes() -> None:
    random = np.random.default_rng(0)
    sounds = [melody(random) for _ in range(40)]
    louder, noisier = sounds[3] * 0.5, sounds[4] + random.normal(0, 0.002, len(sounds[4])).astype(np.float32)
    longer = np.concatenate([sounds[5], sounds[5]])
    assert near_duplicates.pairs(objects([*sounds, louder, noisier, longer]), "audio", RATE) == {(3, 40), (4, 41)}
    assert near_duplicates.pairs(objects([np.ones(3, np.float32), np.zeros(9, np.float32)]), "audio", RATE) == set()


def test_look_alikes_of_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--near looks for images, texts or sounds that are all but equal"):
        data.load("wine", tmp_path, seed=0, near=True)


def melody(random: np.random.Generator) -> np.ndarray:
    """Six tones one after the other, with some noise."""
    times = np.arange(600) / 8000
    tones = [np.sin(2 * np.pi * hertz * times) for hertz in random.uniform(200, 3500, 6)]
    return (np.concatenate(tones) * 0.5 + random.normal(0, 0.01, 3600)).astype(np.float32)


def test_look_alikes_of_test_images_leave_the_training_set_and_others_are_told(tmp_path: Path) -> None:
    images = noise(60)
    for split, picked in (("train", range(40)), ("test", range(40, 60))):
        for n in picked:
            save(tmp_path / split / f"class {n % 2}" / f"{n:02d}.png", images[n])
    save(tmp_path / "train" / "class 0" / "leak.png", images[40] // 2)
    save(tmp_path / "train" / "class 1" / "odd.png", images[42] // 2)
    save(tmp_path / "train" / "class 0" / "pair.png", images[2] // 2)
    loaded = data.load(str(tmp_path), tmp_path, seed=0, near=True)
    told = {line["item"]: line for line in loaded.report}
    assert told["train/class 0/leak.png"] == {
        "item": "train/class 0/leak.png",
        "reason": "near duplicate in the test set",
        "same_as": "test/class 0/40.png",
    }
    assert told["train/class 1/odd.png"]["reason"] == "near duplicate with another label in the test set"
    pair = [line for line in loaded.report if "pair.png" in str(line)]
    assert [line["reason"] for line in pair] == ["near duplicate"]
    assert [line["kept"] for line in pair] == ["yes"]
    assert (len(loaded.report), sum(loaded.dropped().values()), len(loaded.test[1])) == (3, 2, 20)
    assert len(loaded.train[1]) + len(loaded.validation[1]) == 41
    assert len(data.load(str(tmp_path), tmp_path, seed=0).report) == 0


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[:, :, 0]).save(path)


def test_20_000_images_are_compared_in_a_second_or_two() -> None:
    random = np.random.default_rng(0)
    kinds = random.integers(0, 200, (10, 8, 8, 1))  # ten classes, within which images are alike
    fields = kinds[random.integers(0, 10, 20_000)] + random.integers(0, 55, (20_000, 8, 8, 1))
    images = fields.astype(np.uint8).repeat(2, 1).repeat(2, 2)
    images[19_000:] = images[:1000] // 2 + 40
    started = time.process_time()
    found = near_duplicates.pairs(images, "image", {})
    assert time.process_time() - started < 10  # a bound for a busy machine
    assert {(n, 19_000 + n) for n in range(1000)} <= found


# ---- oddly labeled


def digits() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    found = load_digits()
    return (found.images * 15).astype(np.uint8)[..., None], found.target, {}


def words() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    random = np.random.default_rng(0)
    letters = ["aaeeiiolnrst", "aeouuhklmnpw", "aiouubdgkrsz"]
    labels = np.arange(600) % 3
    texts = ["".join(random.choice([*letters[label], " "], 60)) for label in labels]
    return objects(texts), labels, {}


def tones() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    random = np.random.default_rng(0)
    labels = np.arange(300) % 3
    steps = [(400, 900, 1500), (1500, 900, 400), (900, 900, 900)]
    times = np.arange(1000) / 8000
    sounds = [
        np.concatenate([np.sin(2 * np.pi * hertz * random.uniform(0.9, 1.1) * times) for hertz in steps[label]])
        + random.normal(0, 0.1, 3000)
        for label in labels
    ]
    return objects(sound.astype(np.float32) for sound in sounds), labels, RATE


def cells() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    source = sklearn_tables.source("breast-cancer", Path(), [])
    return *source.splits["train"], source.details


@pytest.mark.parametrize(
    ("kind", "make", "precision", "recall"),
    [("image", digits, 0.9, 0.7), ("text", words, 0.9, 0.7), ("audio", tones, 0.9, 0.7), ("table", cells, 0.8, 0.6)],
)
def test_planted_wrong_labels_are_found(kind: data.Kind, make: Any, precision: float, recall: float) -> None:
    """5 % of the labels are wrong; most are found, and little else."""
    values, labels, details = make()
    random = np.random.default_rng(1)
    wrong = random.permutation(len(labels))[: len(labels) // 20]
    given = labels.copy()
    given[wrong] = (given[wrong] + random.integers(1, labels.max() + 1, len(wrong))) % (labels.max() + 1)
    found = doubtful_labels.suspects(values, given, kind, details, seed=0)
    right = [one for one in found if one.item in set(wrong.tolist())]
    assert len(right) / len(found) >= precision
    assert len(right) / len(wrong) >= recall
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)
    assert all(one.label == given[one.item] for one in found)
    assert np.mean([one.likely == labels[one.item] for one in right]) > 0.9
    assert found == doubtful_labels.suspects(values, given, kind, details, seed=0)


def test_doubtful_labels_are_those_of_the_confident_joint() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    of_zero = np.array([0.95, 0.9, 0.05, 0.1, 0.45, 0.96])
    found = doubtful_labels.doubtful(np.stack([of_zero, 1 - of_zero], 1), labels)
    assert [(one.item, one.label, one.likely, round(one.confidence, 2)) for one in found] == [
        (5, 1, 0, 0.96),
        (2, 0, 1, 0.95),
    ]


def test_doubtful_labels_are_told_or_dropped(tmp_path: Path) -> None:
    rows = [[n % 2 * 10 + n / 100, ("red", "blue")[n % 2], ("yes", "no")[n % 2]] for n in range(200)]
    for n in (20, 31, 52):
        rows[n][2] = ("no", "yes")[n % 2]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b", "class"], *rows])
    told = data.load(str(tmp_path / "t.csv"), tmp_path, seed=0, outliers="report")
    dropped = data.load(str(tmp_path / "t.csv"), tmp_path, seed=0, outliers="drop")
    assert len(data.load(str(tmp_path / "t.csv"), tmp_path, seed=0).report) == 0
    assert {line["item"] for line in told.report} <= {"t.csv:22", "t.csv:33", "t.csv:54"}
    assert told.report[0]["detail"] in ("given 'no', likely 'yes' (1.00)", "given 'yes', likely 'no' (1.00)")
    assert (told.dropped(), dropped.dropped()) == ({}, {"doubtful label": len(told.report)})
    assert len(told.train[1]) - len(dropped.train[1]) == len(told.report) > 0
    assert np.array_equal(told.test[1], dropped.test[1])


@pytest.mark.parametrize("kind", ["table", "text"])
def test_the_only_training_item_of_a_class_is_told_and_not_judged(tmp_path: Path, kind: data.Kind) -> None:
    """It was an error of scikit-learn's, another one for each kind."""
    random = np.random.default_rng(0)
    rows = [[*random.normal(3 * (n % 2), 1, 2).round(6), ("no", "yes")[n % 2]] for n in range(100)]
    if kind == "text":
        rows = [[f"{'ab'[n % 2] * 9} {n}" * 3, ("no", "yes")[n % 2]] for n in range(100)]
    rows = [row for row in rows if row[-1] == "yes"] + [[*row[:-1], "no"] for row in rows[:6:2]]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"] if kind == "text" else ["a", "b", "class"], *rows])
    loaded = data.load(str(tmp_path / "t.csv"), tmp_path, seed=0, outliers="drop")
    assert [line["reason"] for line in loaded.report] == ["not judged, alone in its class"]
    assert loaded.report[0]["item"] in {"t.csv:52", "t.csv:53", "t.csv:54"}
    assert loaded.dropped() == {} and len(loaded.train[1]) + len(loaded.validation[1]) + len(loaded.test[1]) == 53


def test_the_others_are_judged_beside_a_class_of_one() -> None:
    values, labels, details = words()
    labels[::20] = (labels[::20] + 1) % 3
    found = doubtful_labels.suspects(values, labels, "text", details)
    assert len(found) > 15
    beside = doubtful_labels.suspects(
        objects([*values[:9], "one", *values[9:]]), np.insert(labels, 9, 3), "text", details
    )
    assert [one._replace(item=one.item - (one.item > 9)) for one in beside] == found


def test_a_class_of_one_and_short_sounds_do_not_stop_the_search() -> None:
    rows = objects([{"a": float(n)} for n in range(20)])
    details = {"types": {"a": "number"}}
    doubtful_labels.suspects(rows, np.array([0] * 10 + [1] * 9 + [2]), "table", details)
    sounds = objects(np.linspace(0, 1, n + 1, dtype=np.float32) for n in range(12))
    doubtful_labels.suspects(sounds, np.arange(12) % 2, "audio", RATE)
    assert doubtful_labels.suspects(rows, np.zeros(20, np.int64), "table", details) == []
