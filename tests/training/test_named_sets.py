"""Data sets that are fetched by name: out of made-up packages and programs, and the real ones where they can be had."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from training.data import cache
from training.data import dataset as data
from training.data.named import debian, fashion_mnist, fortunes, spoken_digits
from training.errors import TrainingError
from training.options import CACHE

Fake = Callable[[str, str], None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a program in front of the PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")

    def write(name: str, source: str) -> None:
        (programs / f"{name}.py").write_text(f"import sys\n{source}\n")
        # by way of a shell: a path with a space is none for "#!"
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "{programs / name}.py" "$@"\n')
        (programs / name).chmod(0o755)

    return write


def built(folder: Path, package: str, content: dict[str, str]) -> None:
    """A real .deb with these files."""
    tree = folder / f"{package}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: a test\n"
    )
    for name, text in content.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    subprocess.run(
        ["dpkg-deb", "--build", str(tree), str(folder / f"{package}_1_all.deb")], check=True, capture_output=True
    )


DEB = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not here, which unpacks Debian's packages")


@DEB
def test_fortunes_are_cut_into_sentences_without_their_authors(tmp_path: Path, fake: Fake) -> None:
    mirror = tmp_path / "mirror"
    for code, language in fortunes.LANGUAGES.items():
        name = f"{fortunes.PLACE}/{language.files[0].replace('*', 'x')}"
        text = (
            f"Wer {code} sagt, muss auch Nein sagen. Ja.\nUnd   danach kommt ein Satz in {code}!\n\t\t-- Niemand\n%\n"
        )
        text += (
            f"Wer {code} sagt, muss auch Nein sagen.\n%\n" + "zu lang " * 40 + "\n%\n12 34 56 78 90 12 34 56 78 90\n"
        )
        built(mirror, language.package, {name: text, f"{name}.dat": "binary"})
    fake("apt-get", f"import shutil\nfor name in sys.argv[2:]: shutil.copy(f'{mirror}/{{name}}_1_all.deb', '.')")
    source = fortunes.source(tmp_path / "root", [])
    assert source.labels == [fortunes.LANGUAGES[code].name for code in sorted(fortunes.LANGUAGES)]
    german = source.splits["train"][0][source.splits["train"][1] == source.labels.index("German")].tolist()
    assert german == ["Wer de sagt, muss auch Nein sagen.", "Ja. Und danach kommt ein Satz in de!"]
    of = [group for group in source.groups["train"] if group.startswith("de/")]
    assert len(of) == 2 and len(set(of)) == 1  # both are of one fortune
    fake("apt-get", "sys.exit(100)")
    assert fortunes.source(tmp_path / "root", []).splits["train"][0].tolist() == source.splits["train"][0].tolist()
    with pytest.raises(TrainingError, match="could not be fetched: that needs apt-get"):
        fortunes.source(tmp_path / "other", [])
    assert not (tmp_path / "other").exists()


@DEB
def test_fortunes_that_cannot_be_unpacked_or_are_not_there_are_not_kept(tmp_path: Path, fake: Fake) -> None:
    """An empty file was kept, and each training from then on said that a class has no texts."""
    mirror, root = tmp_path / "mirror", tmp_path / "root"
    for code, language in fortunes.LANGUAGES.items():
        name = f"{fortunes.PLACE}/{'elsewhere' if code == 'ga' else language.files[0].replace('*', 'x')}"
        built(mirror, language.package, {name: "Ein Satz, der lang genug ist.\n"})
    fake("apt-get", f"import shutil\nfor name in sys.argv[2:]: shutil.copy(f'{mirror}/{{name}}_1_all.deb', '.')")
    fake("dpkg-deb", "sys.exit('dpkg-deb: error: No space left on device')")
    with pytest.raises(
        TrainingError, match=r"cannot be unpacked in .*No space left on device\): look whether that disk"
    ):
        data.load("fortunes", root, seed=0)
    (tmp_path / "programs" / "dpkg-deb").unlink()
    with pytest.raises(TrainingError, match=r"hold no sentences in Irish under .* so nothing was kept"):
        data.load("fortunes", root, seed=0)
    assert not root.exists()
    (root / "fortunes").mkdir(parents=True)
    (root / "fortunes" / fortunes.FILE).write_text("")  # as it was kept before
    with pytest.raises(TrainingError, match=r"has no sentences in Bulgarian, German.*: remove it"):
        data.load("fortunes", root, seed=0)


def test_what_is_in_place_first_stays_and_what_is_not_whole_gives_way(tmp_path: Path) -> None:
    target = tmp_path / "kept" / "set"
    for content in (b"first", b"second"):
        unpacked = tmp_path / content.decode()
        unpacked.mkdir()
        for name in "ab":
            (unpacked / name).write_bytes(content)
        assert debian.moved(unpacked, target) == target
        assert (target / "a").read_bytes() == b"first"
    (target / "b").unlink()
    debian.moved(tmp_path / "second", target)
    assert [(target / name).read_bytes() for name in "ab"] == [b"second"] * 2
    with cache.beside(target / "c") as one, cache.beside(target / "c") as other:
        for folder in (one, other):
            (folder / "c").write_text(folder.name)
            cache.publish(folder / "c", target / "c")
    assert (target / "c").read_text() == one.name
    assert list(target.parent.iterdir()) == [target]
    assert sorted(path.name for path in target.iterdir()) == ["a", "b", "c"]


@DEB
def test_fashion_mnist_that_cannot_be_unpacked_says_why(
    tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path / "mirror", fashion_mnist.PACKAGE, {"usr/share/a": "b"})
    fake("apt-get", f"import shutil\nshutil.copy('{tmp_path}/mirror/{fashion_mnist.PACKAGE}_1_all.deb', '.')")
    fake("dpkg-deb", "sys.exit(2)")
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "nowhere")
    monkeypatch.setattr(fashion_mnist, "_from_torchvision", lambda root, target: None)
    with pytest.raises(TrainingError, match=r"could not be fetched \(.*cannot be unpacked .*exit code 2.*put its four"):
        fashion_mnist.load(tmp_path / "root")


SPEAKER = """
import math, struct
text = sys.argv[-1]
words = text.split(' <break time="1s"/> ')[:{words}]
samples = []
for n, word in enumerate(words):
    samples += [int(9000 * math.sin((n + 1) * t / 9)) for t in range(6000)] + [0] * 20000
body = struct.pack(f"<{{len(samples)}}h", *samples)
sys.stdout.buffer.write(b"RIFF" + b"\\xff" * 4 + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 22050, 44100, 2, 16))
sys.stdout.buffer.write(b"data" + b"\\xff" * 4 + body)
"""


def test_ten_words_are_cut_out_of_what_the_program_says(
    tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("espeak-ng", SPEAKER.format(words=10))
    monkeypatch.setattr(spoken_digits, "VOICES", {"train": ("m1", "f1"), "test": ("m7",)})
    monkeypatch.setattr(spoken_digits, "EACH", {"train": 2, "test": 1})
    source = spoken_digits.source(tmp_path / "root", [])
    assert {split: part[1].tolist() for split, part in source.splits.items()} == {
        "train": list(range(10)) * 4,
        "test": list(range(10)),
    }
    lengths = [len(samples) / source.details["sample_rate"] for samples in source.splits["train"][0]]
    assert min(lengths) > 6000 / 22050 - 0.01
    assert max(lengths) < 6000 / 22050 + 2 * spoken_digits.SILENCE + 0.01
    again = spoken_digits.source(tmp_path / "elsewhere", [])
    assert all(np.array_equal(a, b) for a, b in zip(source.splits["train"][0], again.splits["train"][0], strict=True))
    fake("espeak-ng", SPEAKER.format(words=9))
    with pytest.raises(TrainingError, match="espeak-ng says 9 words of ten with the voice"):
        spoken_digits.source(tmp_path / "third", [])
    assert not list(tmp_path.glob("third/*"))


def test_what_apt_would_install_is_what_is_fetched(fake: Fake) -> None:
    fake(
        "apt-get",
        "print('Reading...\\nInst libsonic0 (1 Debian)\\nInst espeak-ng (1 Debian)\\nConf espeak-ng (1 Debian)')",
    )
    assert debian.missing_for("espeak-ng") == ["libsonic0", "espeak-ng"]
    fake("apt-get", "sys.exit('E: Unable to locate package')")
    assert debian.missing_for("espeak-ng") == ["espeak-ng"]


SLIM = """
import pathlib, shutil
words, options = sys.argv[1:], {}
while words[0] == "-o":
    name, _, value = words[1].partition("=")
    options[name] = value
    words = words[2:]
lists = pathlib.Path(options.get("Dir::State::lists", "/nowhere"))
if words == ["update"]:
    assert (lists / "partial").is_dir() and pathlib.Path(options["Dir::Cache"]).is_dir()
    (lists / "main").touch()
elif not (lists / "main").exists():
    sys.exit("E: Unable to locate package")
elif "--simulate" in words:
    print("Inst libsonic0 (1 Debian)\\nInst espeak-ng (1 Debian)")
else:
    for name in words[1:]: shutil.copy(f"{mirror}/{name}_1_all.deb", ".")
"""


@pytest.fixture
def no_lists_yet() -> Iterator[None]:
    debian.own_lists.cache_clear()
    yield
    debian.own_lists.cache_clear()


@DEB
@pytest.mark.usefixtures("no_lists_yet")
def test_where_there_are_no_package_lists_they_are_fetched_into_a_private_place(tmp_path: Path, fake: Fake) -> None:
    """A slim image, as the training container's, has none, and its user may not write where apt keeps them."""
    built(tmp_path / "mirror", "some-data", {"usr/share/some/file": "content"})
    fake("apt-get", SLIM.replace("{mirror}", str(tmp_path / "mirror")))
    with debian.unpacked(["some-data"]) as content:
        assert content is not None
        assert (content / "usr/share/some/file").read_text() == "content"
    assert debian.missing_for("espeak-ng") == ["libsonic0", "espeak-ng"]
    [lists] = [word.partition("=")[2] for word in debian.own_lists() if word.startswith("Dir::State::lists")]
    assert (Path(lists) / "main").exists()


@pytest.mark.usefixtures("no_lists_yet")
def test_without_a_network_there_are_no_lists_either(fake: Fake) -> None:
    fake("apt-get", "sys.exit(100)")
    with debian.unpacked(["some-data"]) as content:
        assert content is None
    assert debian.own_lists() == ()


# ---- the real ones: fetched once into the folder where data sets are kept


def real(name: str) -> data.Dataset:
    try:
        return data.load(name, CACHE, seed=0)
    except TrainingError as error:
        if "could not be fetched" in str(error):
            pytest.skip(str(error))
        raise


def test_the_real_fortunes() -> None:
    loaded = real("fortunes")
    counts = np.bincount(loaded.train[1])
    assert (loaded.kind, len(loaded.labels)) == ("text", 10)
    assert counts.sum() > 3500
    assert counts.min() > 100
    assert all(20 <= len(text) <= 200 for text in loaded.train[0])
    assert loaded.about["licences"]["de"] == "GPL-2+"


def test_the_real_digits_are_told_apart_in_voices_that_were_not_heard() -> None:
    from training.data import doubtful_labels

    loaded = real("spoken-digits")
    assert (len(loaded.train[1]) + len(loaded.validation[1]), len(loaded.test[1])) == (2500, 490)
    assert not set(spoken_digits.VOICES["train"]) & set(spoken_digits.VOICES["test"])
    assert loaded.about["synthetic"] is True
    assert max(len(samples) for samples in loaded.train[0]) < loaded.details["sample_rate"]
    values = np.concatenate([loaded.train[0][::3], loaded.test[0][::2]])  # a part of it, to be quick
    count = len(loaded.train[1][::3])
    matrix, model = doubtful_labels.PREPARED["audio"](values, loaded.details, 0)
    with threadpool_limits(1):
        fitted = model.fit(matrix[:count], loaded.train[1][::3])
    assert fitted.score(matrix[count:], loaded.test[1][::2]) > 0.85
