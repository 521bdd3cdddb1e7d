"""Bytes are the text that their sender declares: marks fall away, charsets count, and nothing is guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AmaasError, BadInput, Unsupported
from shared.values import texts

WRITTEN = {
    "utf-8": "Grüße, мир, 世界 😀",
    "utf-16": "Grüße, мир, 世界 😀",
    "utf-16le": "Grüße, мир, 世界 😀",
    "utf-16be": "Grüße, мир, 世界 😀",
    "utf-32": "Grüße, мир, 世界 😀",
    "utf-32le": "Grüße 😀",
    "utf-32be": "Grüße 😀",
    "us-ascii": "Hello",
    "iso-8859-1": "Grüße, façade",
    "latin1": "Grüße",
    "iso-8859-2": "Zażółć gęślą jaźń",
    "iso-8859-5": "Добрый день",
    "iso-8859-15": "Grüße für 5 €",
    "windows-1250": "Zażółć gęślą jaźń",
    "windows-1251": "Добрый день",
    "windows-1252": "“Grüße” – 5 €",
    "koi8-r": "Добрый день",
    "shift_jis": "こんにちは",
    "windows-31j": "①こんにちは",
    "euc-jp": "こんにちは",
    "euc-kr": "안녕하세요",
    "gb18030": "世界 😀",
    "gbk": "世界",
    "big5": "世界",
}
PYTHONS = {"windows-31j": "cp932"}


@pytest.mark.parametrize("charset", WRITTEN)
@pytest.mark.parametrize("form", ["{}", '"{}"', " {} ", "{}; format=flowed"])
def test_a_declared_charset_counts(charset: str, form: str) -> None:
    text = WRITTEN[charset]
    body = text.encode(PYTHONS.get(charset, charset))
    for name in (charset, charset.upper()):
        assert texts.decoded(body, name) == text
        header = f"Text/Plain;Charset={form.format(name)}"
        assert texts.in_utf8(body, header) == (text.encode(), "text/plain")
        assert texts.in_utf8(body, f"application/json; x=1; charset={form.format(name)}")[0] == text.encode()
        assert texts.in_utf8(body, f"image/png; charset={name}") == (body, "image/png")


@pytest.mark.parametrize("charset", [name for name in WRITTEN if name.startswith("utf-")])
def test_a_byte_order_mark_is_no_character(charset: str) -> None:
    text = WRITTEN[charset]
    plain = charset if charset[-1] == "e" or charset == "utf-8" else f"{charset}le"
    for marked in [("\ufeff" + text).encode(plain)] + (
        [("\ufeff" + text).encode(f"{charset}be")] if plain != charset else []
    ):
        assert texts.decoded(marked, charset) == text
    assert texts.decoded(b"\xef\xbb\xbf" + text.encode()) == text
    assert texts.decoded("a\ufeffb".encode()) == "a\ufeffb", "within a text it is one"


def test_what_curl_says_of_json_that_nobody_named() -> None:
    for header in ("", "application/x-www-form-urlencoded", "application/json", "application/vnd.api+json"):
        assert texts.in_utf8(b"\xef\xbb\xbf{}", header)[0] == b"{}"


@pytest.mark.parametrize(
    "charset", ["utf-7", "zip", "rot13", "punycode", "idna", "x-mac-roman", "ebcdic-cp-us", "utf-9", "", " "]
)
def test_a_charset_that_is_not_in_the_list_is_told_with_the_list(charset: str) -> None:
    if charset.strip():
        with pytest.raises(Unsupported, match=r"utf-16le.*windows-1250.*euc-kr"):
            texts.in_utf8(b"text", f"text/plain; charset={charset}")
    else:
        assert texts.in_utf8(b"text", f"text/plain; charset={charset}") == (b"text", "text/plain")


@pytest.mark.parametrize(
    ("charset", "body", "said"),
    [
        (None, b"caf\xe9", r"not UTF-8: byte 3 \(0xe9\).*charset=utf-16le"),
        ("utf-8", b"caf\xe9 x", r"not UTF-8: byte 3 \(0xe9\)"),
        ("us-ascii", "café".encode(), r"not US-ASCII: byte 3 \(0xc3\)"),
        ("utf-16le", b"a\0b", r"not UTF-16-LE: byte 2 \(0x62\)"),
        ("utf-16le", b"a\0\x00\xd8b\0", r"byte 2 \(0x00\)"),
        ("windows-1252", b"ab\x81", r"not WINDOWS-1252: byte 2 \(0x81\)"),
        ("shift_jis", b"\x82", r"not SHIFT_JIS: byte 0"),
    ],
)
def test_a_byte_that_is_no_character_is_told_with_its_place(charset: str | None, body: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        texts.decoded(body, charset)


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("kind", ["text/plain", "text/csv", "application/json"])
def test_utf_16_that_nobody_declared_is_refused_with_a_word(charset: str, kind: str) -> None:
    with pytest.raises(BadInput, match=r"declare what it is.*charset=utf-16le"):
        texts.in_utf8('{"input": 1}'.encode(charset), kind)


def test_a_json_that_escapes_nul_is_no_utf_16() -> None:
    body = b'{"input": "a\\u0000b"}'
    assert texts.in_utf8(body, "application/json") == (body, "application/json")


@given(st.text(), st.sampled_from(sorted(texts.CHARSETS)))
def test_all_that_a_charset_has_comes_back(text: str, charset: str) -> None:
    try:
        body = text.removeprefix("\ufeff").encode(texts.CHARSETS[charset])
    except UnicodeEncodeError:
        return
    if charset in ("shift_jis", "windows-31j", "euc-jp", "euc-kr", "gb2312", "gbk", "big5"):
        text = body.decode(texts.CHARSETS[charset])  # of two ways to write a character, they read one
    assert texts.decoded(body, charset) == text.removeprefix("\ufeff")


@given(st.binary(max_size=60), st.text(max_size=60))
def test_any_bytes_and_any_header_are_read_or_refused(body: bytes, header: str) -> None:
    for kind in (header, f"text/plain;{header}", f"application/json; charset={header}"):
        try:
            assert isinstance(texts.in_utf8(body, kind)[0], bytes)
        except AmaasError:
            continue


def test_a_long_header_takes_no_time() -> None:
    assert texts.content_type("text/plain" + ";" * 200_000).kind == "text/plain"
    assert texts.content_type("text/plain;" + 'a="' * 20_000).kind == "text/plain"
    assert texts.content_type("text/plain;" + "a" * 200_000).kind == "text/plain"
