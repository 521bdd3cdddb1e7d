"""Forms with files: what HTTP libraries make is read byte by byte, and what is no form is refused."""

from __future__ import annotations

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AmaasError, BadInput, Unsupported
from shared.serving.speech import multipart

KIND = "multipart/form-data; boundary=b"


@given(file=st.binary(max_size=200), text=st.text(st.characters(codec="utf-8"), max_size=50), name=st.text(max_size=20))
def test_what_httpx_sends_is_what_comes(file: bytes, text: str, name: str) -> None:
    request = httpx.Request("POST", "http://x", data={"model": text}, files={"file": (name or "a.wav", file)})
    found = multipart.parse(request.read(), request.headers["content-type"])
    assert [(part.name, part.content) for part in found] == [("model", text.encode()), ("file", file)]


@given(st.binary(max_size=300))
def test_whatever_comes_is_an_error_of_ours_at_most(body: bytes) -> None:
    for raw in (
        body,
        b"--b\r\n" + body + b"\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="' + body + b"--b--",
    ):
        with contextlib.suppress(AmaasError):
            multipart.parse(raw, KIND)


def test_names_of_other_forms_and_cases() -> None:
    head = b'content-DISPOSITION: form-data; filename="a;b.wav"; name="file"\r\nX: y'
    body = b"--b \r\n" + head + b"\r\n\r\n\r\n--c\r\n\r\n--b--\r\nmore"
    [part] = multipart.parse(body, 'Multipart/Form-Data; charset=utf-8; boundary="b"')
    assert (part.name, part.file, part.content) == ("file", "a;b.wav", b"\r\n--c\r\n")
    assert multipart.parse(b"--b--", KIND) == []


@pytest.mark.parametrize(
    ("body", "kind", "error", "words"),
    [
        (b"", KIND, BadInput, "no end"),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny', KIND, BadInput, "no end"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\ny\r\n--b--", KIND, BadInput, "no name"),
        (b"--b\r\ny\r\n--b--", KIND, BadInput, "no headers"),
        (b"--b\r\n" * 100 + b"--b--", KIND, BadInput, "more than 64"),
        (b"--b\r\n" + b"x" * 5000 + b"\r\n\r\n\r\n--b--", KIND, BadInput, "too long"),
        (b"--b--", "multipart/form-data", BadInput, "boundary"),
        (b"--b--", f"multipart/form-data; boundary={'b' * 71}", BadInput, "boundary"),
        (b"{}", "application/json", Unsupported, "multipart/form-data"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, kind: str, error: type[AmaasError], words: str) -> None:
    with pytest.raises(error, match=words):
        multipart.parse(body, kind)
