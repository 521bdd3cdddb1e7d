"""The grammar of scopes: what it lets in means one thing, wherever it is carried."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.access import context as contexts
from shared.access import scopes
from shared.access.records import Token
from shared.errors import BadInput, Forbidden, Unavailable

NAMES = string.ascii_letters + string.digits + "._-"
NAME = st.text(NAMES, min_size=1, max_size=20).filter(lambda name: name[0].isalnum() and ".." not in name)
PATTERN = st.text(NAMES + "*", min_size=1, max_size=100).filter(
    lambda text: (text[0].isalnum() or text[0] == "*") and ".." not in text
)
SCOPE = st.builds(lambda name, pattern: f"{name}:{pattern}", st.sampled_from(scopes.SCOPES), PATTERN)
LIST = st.lists(SCOPE | st.sampled_from(scopes.SCOPES), min_size=1, max_size=10)
# whatever somebody may type, with what separates words and lists among it
TEXT = st.text(
    st.sampled_from("infer:admin* \t\n\r\x00\x1f\x7f,;[]?{}\"'\\a.b-_\u00a0\u2028\u202e\ufeffé"), max_size=30
)


@given(LIST)
def test_what_fits_is_carried_unchanged_and_normal_once(granted_scopes: list[str]) -> None:
    normal = scopes.normalize(granted_scopes)
    assert scopes.normalize(normal) == normal
    assert scopes.decode(scopes.encode(granted_scopes)) == tuple(normal)
    assert len(set(normal)) == len(normal)
    assert {scopes.parse(one) for one in normal} == {scopes.parse(one) for one in granted_scopes}


@given(LIST, st.sampled_from(scopes.SCOPES), NAME)
def test_the_normal_form_grants_the_same(granted_scopes: list[str], needed: str, name: str) -> None:
    normal = scopes.normalize(granted_scopes)
    assert scopes.allows(normal, needed, name) == scopes.allows(granted_scopes, needed, name)
    assert scopes.allows(normal, needed) >= scopes.allows(normal, needed, name)


@given(st.lists(TEXT, min_size=1, max_size=4) | LIST)
@example(["infer:wine admin"])
@example(["infer:wine\nadmin"])
@example(["infer:*", "infer:a\u2028admin"])
@example(["infer:[aw]*"])
@example(["infer:win?"])
def test_a_function_sees_what_the_token_lists_and_nothing_else(listed: list[str]) -> None:
    """Through the authorizer's context, as the gateway passes it on: texts, that JSON may carry again."""
    token = Token(id="0" * 12, name="x", scopes=listed, salt="", hash="", created_at="")
    try:
        context = json.loads(json.dumps(contexts.encode(token)))
    except BadInput:
        assert any(not _fits(scope) for scope in listed)
        return
    assert all(isinstance(value, str) for value in context.values())
    seen = contexts.granted(context)
    assert list(seen) == scopes.normalize(listed)
    # as release 0.1 takes them apart
    assert context["scopes"].split() == list(seen)


def _fits(scope: str) -> bool:
    try:
        scopes.parse(scope)
    except BadInput:
        return False
    return True


@given(TEXT)
def test_one_scope_never_becomes_two(text: str) -> None:
    if _fits(text):
        assert text.split() == [text]
        assert text.isascii() and text.isprintable()
        assert len(text) <= 110


@given(NAME, PATTERN)
def test_patterns_have_one_wildcard(name: str, pattern: str) -> None:
    """Against a matcher of its own: what is between the stars comes in this order, the ends at the ends."""
    first, *rest = pattern.split("*")
    matches = name == pattern
    if rest:
        position, matches = len(first), name.startswith(first)
        for part in rest[:-1]:
            place = name.find(part, position)
            matches, position = matches and place >= 0, place + len(part)
        matches = matches and name.endswith(rest[-1]) and len(name) - len(rest[-1]) >= position
    assert scopes.allows([f"infer:{pattern}"], "infer", name) == matches


@pytest.mark.parametrize(
    "scope",
    [
        *(
            "",
            "root",
            "infer:",
            "INFER",
            " infer",
            "infer ",
            "infer:a b",
            "infer:a\tadmin",
            "infer:a\x00",
            "infer:a\u00a0b",
        ),
        *(
            "infer:[a-z]",
            "infer:a?",
            "infer:a/b",
            "infer:a..b",
            "infer:.a",
            "infer:-a",
            "infer:" + "a" * 101,
            "infer:é",
        ),
        *("infer:a:b", "infer,admin", '["admin"]', "infer:a\nadmin", "infer:a\n"),
    ],
)
def test_what_does_not_fit(scope: str) -> None:
    with pytest.raises(BadInput, match="is not a scope"):
        scopes.parse(scope)
    with pytest.raises(BadInput):
        scopes.normalize(["infer", scope])


def test_lists_are_bounded() -> None:
    for listed in ([], ["infer:a" + str(n) for n in range(51)]):
        with pytest.raises(BadInput, match="1 to 50 scopes"):
            scopes.normalize(listed)


def test_stars_are_one() -> None:
    assert scopes.normalize(["infer:*", "infer:**", "infer", "read:a**b"]) == ["infer", "read:a*b"]


@pytest.mark.parametrize("text", ["admin", '"admin"', '{"a":1}', "[1]", '["infer:a b"]', "[", '["infer"] '[:-2]])
def test_a_context_of_another_form_grants_nothing(text: str) -> None:
    with pytest.raises(Unavailable):
        scopes.decode(text)


def test_words_are_not_taken_apart() -> None:
    with pytest.raises(Unavailable, match="try again"):
        contexts.granted({"scopes": "infer:wine admin", "principalId": "x"})
    assert contexts.granted({}) == ()


@pytest.mark.parametrize(
    ("listed", "name", "allowed"),
    [
        (["data"], "receipts", True),
        (["data:rec*"], "receipts", True),
        (["data:rec*"], "salaries", False),
        (["admin"], "salaries", True),
        (["admin:sal*"], "salaries", False),
        (["infer", "train", "write", "read", "promote"], "salaries", False),
        (["admin:sal*", "data:x"], "salaries", False),
    ],
)
def test_data_sets_are_not_models(listed: list[str], name: str, allowed: bool) -> None:
    assert scopes.allows(listed, "data", name) is allowed
    if not allowed:
        with pytest.raises(Forbidden, match=f"'data:{name}'"):
            scopes.require_data(listed, name)


def test_data_opens_no_model() -> None:
    for needed in ("infer", "read", "write", "promote", "train", "admin"):
        assert not scopes.allows(["data"], needed, "receipts")
        assert not scopes.allows(["data"], needed)
