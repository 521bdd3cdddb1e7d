"""Forms with files: what HTTP libraries make is read byte by byte, and what is no form is refused."""

from __future__ import annotations

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AmaasError, BadInput, Unsupported
from shared.serving.inputs import multipart

KIND = "multipart/form-data; boundary=b"


@given(file=st.binary(max_size=200), text=st.text(st.characters(codec="utf-8"), max_size=50), name=st.text(max_size=20))
def test_what_httpx_sends_is_what_comes(file: bytes, text: str, name: str) -> None:
    request = httpx.Request("POST", "http://x", data={"model": text}, files={"file": (name or "a.wav", file)})
    found = multipart.parse(request.read(), request.headers["content-type"])
    assert [(part.name, part.content) for part in found] == [("model", text.encode()), ("file", file)]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30))
def test_names_are_what_they_were(name: str) -> None:
    request = httpx.Request("POST", "http://x", data={name: "y"}, files={"f": (name, b"z")})
    told = multipart.parse(request.read(), request.headers["content-type"])
    assert [(part.name, part.file) for part in told] == [(name, None), ("f", name)]


def test_types_and_extended_names_of_files() -> None:
    head = "Content-Disposition: form-data; name=f; filename=\"r.csv\"; filename*=UTF-8''na%C3%AFve.csv"
    body = f"--b\r\n{head}\r\nContent-Type: text/csv; charset=latin1\r\n\r\nx\r\n--b--".encode()
    [part] = multipart.parse(body, KIND)
    assert (part.name, part.file, part.kind) == ("f", "naïve.csv", "text/csv; charset=latin1")


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
        (b"", KIND, BadInput, "no line with the boundary"),
        (b"--b\nContent-Disposition: form-data; name=x\n\ny\n--b--", KIND, BadInput, "no end"),
        (b"--c--", KIND, BadInput, "no line with the boundary"),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny', KIND, BadInput, "no end"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\ny\r\n--b--", KIND, BadInput, "no name"),
        (b"--b\r\ny\r\n--b--", KIND, BadInput, "no headers"),
        (b"--b\r\n" * 3000 + b"--b--", KIND, BadInput, "more than 2,048"),
        (b"--b\r\n" + b"x" * 5000 + b"\r\n\r\n\r\n--b--", KIND, BadInput, "too long"),
        (b"--b--", "multipart/form-data", BadInput, "boundary"),
        (b"--b--", f"multipart/form-data; boundary={'b' * 71}", BadInput, "boundary"),
        (
            b"--b\r\nContent-Disposition: form-data; name=x\r\nContent-Transfer-Encoding: base64\r\n\r\neQ==\r\n--b--",
            KIND,
            BadInput,
            "'x' is in the transfer encoding 'base64'",
        ),
        (b"{}", "application/json", Unsupported, "multipart/form-data"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, kind: str, error: type[AmaasError], words: str) -> None:
    with pytest.raises(error, match=words):
        multipart.parse(body, kind)
