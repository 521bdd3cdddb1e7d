"""The targets hold on their seeds and on many changes of them; `make fuzz` searches further."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.targets import TARGETS

INTERESTING = (
    b"\x00",
    b"\xff",
    b'"',
    b"\n",
    b"\r",
    b",",
    b"{",
    b"]",
    b"-1",
    b"1e999",
    b"NaN",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
)


def changed(rng: random.Random, data: bytes) -> bytes:
    """One to four small changes: a byte, a cut, a repetition, something that parsers trip over."""
    for _ in range(rng.randrange(1, 5)):
        at, end = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
        piece = rng.choice((rng.randbytes(1), b"", data[min(at, end) : max(at, end)][:64], rng.choice(INTERESTING)))
        data = data[:at] + piece + data[at + rng.randrange(4) :]
    return data


@pytest.mark.parametrize("count", [1500, pytest.param(50_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", TARGETS)
def test_changed_bytes_are_answered_or_refused(name: str, count: int) -> None:
    target, seeds = TARGETS[name]
    rng = random.Random(name)
    for seed in seeds:
        target(seed)
        for _ in range(count // len(seeds)):
            target(changed(rng, seed))


def test_the_seeds_are_accepted() -> None:
    """Or the changes would be of something that is refused at once."""
    from shared.package import manifest
    from shared.serving import protocol
    from shared.serving.inputs import images, sounds, tables
    from tests.fuzz import targets

    request = targets.infer_request()
    head = {"inference-header-content-length": str(int.from_bytes(request[:2], "little"))}
    assert set(protocol.feeds(protocol.parse(request[2:], head), targets.SIGNATURE)) == {"x", "t", "n"}
    assert manifest.decode(targets.MANIFEST, check_names=True).labels == ["a", "b"]
    assert images.decode(targets.png(), "RGB").size == (3, 2)
    assert images.decode(targets.jpeg(), "L").size == (4, 5)
    assert len(sounds.decode(targets.wav(), 8000)) == 8
    assert len(tables.parse_csv(targets.CSV, targets.TABLE)) == 2
