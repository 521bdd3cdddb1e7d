"""tokenizer.json is used as it is: Hugging Face's own library, on the same file, is the reference."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from tokenizers import Encoding, Tokenizer

from shared.errors import BadInput
from shared.runtime import tokens
from shared.runtime.zygotes import Cutting
from tests.runtime.test_tokens import feeds
from tests.serving import packages

WORDS = ["the", "cat", "sat", "on", "a", "mat", "anna", "bob", "new", "york", "☃"]
ITEMS = 4


def strange(seed: int) -> tuple[Tokenizer, list[Any]]:
    """A tokenizer that cuts and pads in some way, and texts for it, of which a strategy may not bear some."""
    choose = random.Random(seed)
    made = packages.tokenizer()
    if choose.random() < 0.8:
        longest = choose.randint(4, 12)
        made.enable_truncation(
            longest,
            stride=choose.choice([0, 0, 1, longest // 4]),
            strategy=choose.choice(["longest_first", "only_first", "only_second"]),
            direction=choose.choice(["left", "right"]),
        )
    if choose.random() < 0.8:
        made.enable_padding(
            direction=choose.choice(["left", "right"]),
            pad_id=choose.choice([0, 3]),
            pad_type_id=choose.choice([0, 1]),
            pad_token=choose.choice(["[PAD]", "[MASK]"]),
            length=choose.choice([None, None, 8, 16]),
            pad_to_multiple_of=choose.choice([None, None, 4, 8]),
        )
    text = lambda: " ".join(choose.choices(WORDS, k=choose.randint(0, 14)))  # noqa: E731 - used below alone
    return made, [(text(), text()) if choose.random() < 0.6 else text() for _ in range(ITEMS)]


def members(encodings: list[Encoding]) -> dict[str, list[Any]]:
    return {name: [list(read(e)) for e in encodings] for name, read in tokens.MEMBERS.items()}


def ours(library: Tokenizer, cutting: Cutting, items: list[Any]) -> dict[str, list[Any]]:
    arrays = tokens.load(library.to_str().encode(), cutting).run(None, feeds(*items))
    found = {name: array.tolist() for name, array in zip(tokens.MEMBERS, arrays, strict=True)}
    found["offsets"] = [[tuple(place) for place in row] for row in found["offsets"]]
    return found


def test_a_byte_order_mark_is_none_of_its_characters() -> None:
    file = packages.tokenizer().to_str().encode()
    marked, plain = (tokens.load(body, Cutting()) for body in (b"\xef\xbb\xbf" + file, file))
    for one, other in zip(*(session.run(None, feeds("the cat", "sat")) for session in (marked, plain)), strict=True):
        assert (one == other).all()


def encoded(reference: Tokenizer, items: list[Any]) -> list[Encoding]:
    """Without the stride, where it is longer than a part and the library panics: the first parts are the same."""
    try:
        return reference.encode_batch(items)
    except Exception:
        raise
    except BaseException:
        own = reference.truncation
        assert own and own["stride"]
        reference.enable_truncation(own["max_length"], strategy=own["strategy"], direction=own["direction"])
        return reference.encode_batch(items)


def compare(reference: Tokenizer, library: Tokenizer, cutting: Cutting, items: list[Any]) -> bool:
    """Whether the reference takes them; it has to be so with ours."""
    if not reference.padding:
        reference.enable_padding(pad_id=0, pad_token="[PAD]")
    try:
        expected = members(encoded(reference, items))
    except Exception:  # the library has no other one
        with pytest.raises(BadInput, match="cannot take this text"):
            ours(library, cutting, items)
        return False
    if len({len(row) for row in expected["ids"]}) == 1:
        assert ours(library, cutting, items) == expected
    else:  # a length that is padded to, and not cut to: each by itself is the reference's, side by side they are longer
        for item in items:
            assert ours(library, cutting, [item]) == members(encoded(reference, [item]))
        found = ours(library, cutting, items)
        assert len({len(row) for row in found["ids"]}) == 1
        assert [sum(row) for row in found["mask"]] == [sum(row) for row in expected["mask"]]
    return True


@pytest.mark.parametrize("seed", range(200))
def test_a_file_is_used_as_it_is(seed: int) -> None:
    library, items = strange(seed)
    reference = Tokenizer.from_str(library.to_str())
    compare(reference, library, Cutting(), items)


def test_most_of_these_are_taken() -> None:
    made = [strange(seed) for seed in range(200)]
    taken = [compare(Tokenizer.from_str(library.to_str()), library, Cutting(), items) for library, items in made]
    assert sum(taken) > 80


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("cutting", [Cutting(7), Cutting(9, whole=False), Cutting(9, whole=True), Cutting(whole=False)])
def test_what_a_package_says_changes_that_alone(seed: int, cutting: Cutting) -> None:
    library, items = strange(seed)
    reference = Tokenizer.from_str(library.to_str())
    own = reference.truncation or {}
    if cutting.longest:
        kept = {name: own[name] for name in ("strategy", "direction") if name in own}
        reference.enable_truncation(cutting.longest, **kept)
    padding = reference.padding or {"pad_id": 0, "pad_token": "[PAD]"}
    if cutting.whole is not None:
        reference.enable_padding(**padding | {"length": cutting.longest if cutting.whole else None})
    compare(reference, library, cutting, items)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("longest", [None, 7, 20])
def test_a_length_that_the_model_fixes_wins(seed: int, longest: int | None) -> None:
    library, items = strange(seed)
    try:
        found = ours(library, Cutting(longest, fixed=10, whole=True), items)
    except BadInput:  # of a strategy that cannot cut one of them
        return
    own = Tokenizer.from_str(library.to_str()).truncation
    most = min(longest or (own["max_length"] if own else 10), 10)
    assert {len(row) for row in found["ids"]} == {10}
    assert max(sum(row) for row in found["mask"]) <= most


def test_a_stride_beyond_the_length_that_a_package_says_is_none() -> None:
    library = packages.tokenizer()
    library.enable_truncation(12, stride=9)
    assert len(ours(library, Cutting(5), ["the cat sat on a mat with anna"])["ids"][0]) == 5


def test_rows_side_by_side_are_padded_on_the_side_of_the_file() -> None:
    library = packages.tokenizer()
    library.enable_padding(direction="left", length=4, pad_id=3, pad_token="[MASK]", pad_type_id=1)
    short, long = ours(library, Cutting(), ["a", "the cat sat on a mat"])["ids"]
    assert len(short) == len(long) > 4
    assert np.array_equal(short[: len(long) - 3], [3] * (len(long) - 3))
