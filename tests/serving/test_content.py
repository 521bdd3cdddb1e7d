"""Bodies as they were before compression: which codings are taken."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from shared.errors import Unsupported
from shared.serving import content

BODY = b'{"inputs": []}'


@pytest.mark.parametrize("coding", [None, "identity", "Identity", " identity "])
def test_what_is_not_compressed_is_left_as_it_is(coding: str | None) -> None:
    assert content.decompress(BODY, coding) is BODY


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_what_is_compressed_is_unpacked(coding: str, pack: Callable[[bytes], bytes]) -> None:
    assert content.decompress(pack(BODY), coding) == BODY


@pytest.mark.parametrize("coding", ["", " ", "br", "gzip, gzip", "x" * 100])
def test_other_codings_are_refused_as_the_description_has_them(coding: str) -> None:
    with pytest.raises(Unsupported, match="send gzip, deflate, or no encoding"):
        content.decompress(BODY, coding)
