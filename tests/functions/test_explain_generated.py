"""/explain of a model that generates text, beside log-probabilities that plain ONNX Runtime gives."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from functions.generate import app
from functions.inference import app as inference
from shared.errors import OutOfTime, TooLarge
from shared.serving import tasks
from shared.serving.explain import generated
from shared.serving.models import Models
from shared.serving.observe import Call
from shared.storage.memory import MemoryStore
from tests.decoders import folders
from tests.functions import generating
from tests.functions.generating import ask, counted, models, pushed
from tests.functions.test_forward import Lambda, remote
from tests.support import Answer, call, caller, load_event

__all__ = ["counted", "models", "pushed", "remote"]  # fixtures

PLAIN = {"content-type": "text/plain"}
QUESTION = "Is it so, my dear?"
WORDS = ["Is", "it", "so", ",", "my", "dear", "?"]
LEFT = ["it so, my dear?", "Is so, my dear?", "Is it, my dear?", "Is it so my dear?", "Is it so, dear?",
        "Is it so, my?", "Is it so, my dear"]  # fmt: skip


def explain(body: Any = None, path: str = "/models/tiny/explain", **more: Any) -> Answer:
    return call(inference.handler, "POST", path, body, **more)


def log_probability(prompt: list[int], answer: list[int]) -> float:
    """By the whole sequence at once, without caches, of the same weights in another exporter's graph."""
    session = onnxruntime.InferenceSession(folders.MODELS / "llama-optimum.onnx")
    ids = np.array([prompt + answer], np.int64)
    feeds: dict[str, np.ndarray] = {}
    for argument in session.get_inputs():
        if argument.name.startswith("past"):
            feeds[argument.name] = np.zeros((1, 2, 0, 16), np.float32)
    feeds |= {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": np.arange(ids.size)[None]}
    feeds = {name: feeds[name] for name in (one.name for one in session.get_inputs())}
    logits = session.run(["logits"], feeds)[0][0].astype(np.float64)
    exact = logits - logits.max(axis=1, keepdims=True)
    exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
    return float(sum(exact[len(prompt) - 1 + place, token] for place, token in enumerate(answer)))


def tokens(text: str) -> list[int]:
    return list(folders.tokenizer().encode(text).ids)


def chat(*messages: tuple[str, str]) -> list[int]:
    return tokens("".join(f"<|im_start|>{role[0]}\n{text}<|im_end|>\n" for role, text in messages) + "<|im_start|>a\n")


def parts(answer: Answer) -> list[tuple[str, float]]:
    return [(part["text"], part["attribution"]) for part in answer.json["attributions"]]


@pytest.mark.usefixtures("remote")
def test_what_each_word_adds_is_what_plain_arithmetic_gives() -> None:
    answer = explain({"input": QUESTION, "parameters": {"target": "Yes, it is."}})
    assert answer.status == 200, answer.body
    told, target = answer.json, tokens("Yes, it is.")
    whole = log_probability(chat(("user", QUESTION)), target)
    assert (told["model"], told["version"], told["method"]) == ("tiny", 1, "leave-one-out")
    assert (told["answer"], told["answer_tokens"]) == ("Yes, it is.", 11)
    assert told["score"] == pytest.approx(whole, abs=1e-3)
    assert [QUESTION[part["start"] : part["end"]] for part in told["attributions"]] == WORDS
    expected = [whole - log_probability(chat(("user", left)), target) for left in LEFT]
    assert max(map(abs, expected)) > 0.1, "the model does depend on it"
    for (word, adds), (wanted, fall) in zip(parts(answer), zip(WORDS, expected, strict=True), strict=True):
        assert word == wanted and adds == pytest.approx(fall, abs=1e-3)


@pytest.mark.usefixtures("remote")
def test_without_a_target_the_model_s_own_answer_is_explained() -> None:
    own = ask(messages=[{"role": "user", "content": QUESTION}], max_tokens=3, temperature=0)
    answer = explain({"input": QUESTION, "parameters": {"max_tokens": 3}})
    text = own.json["choices"][0]["message"]["content"]
    assert (answer.json["answer"], answer.json["answer_tokens"]) == (text, 3)
    assert answer.json["score"] == pytest.approx(log_probability(chat(("user", QUESTION)), tokens(text)), abs=1e-3)
    given = explain({"input": QUESTION, "parameters": {"target": text}})
    assert [adds for _, adds in parts(given)] == pytest.approx([adds for _, adds in parts(answer)], abs=1e-4)
    in_query = explain(QUESTION, query={"max_tokens": "3"}, headers=PLAIN)
    version = explain(QUESTION, "/models/tiny/versions/1/explain", query={"target": text}, headers=PLAIN)
    assert in_query.json["answer"] == version.json["answer"] == text
    longest = ask(messages=[{"role": "user", "content": QUESTION}], max_tokens=64, temperature=0)
    ended = longest.json["choices"][0]
    answer = explain(QUESTION, headers=PLAIN)
    assert answer.json["answer"] == ended["message"]["content"] and ended["finish_reason"] == "stop"
    assert answer.json["answer_tokens"] == longest.json["usage"]["completion_tokens"] - 1, "the token that ends is none"


@pytest.mark.usefixtures("remote")
def test_of_messages_each_part_says_where_it_is() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "why?"}]},
    ]
    answer = explain({"input": {"messages": messages}, "parameters": {"target": "no"}})
    told = answer.json["attributions"]
    assert [(part["message"], part["start"], part["text"]) for part in told] == [
        (0, 0, "Be"), (0, 3, "brief"), (0, 8, "."), (1, 0, "why"), (1, 3, "?"),
    ]  # fmt: skip
    whole = log_probability(chat(("system", "Be brief."), ("user", "why?")), tokens("no"))
    brief = log_probability(chat(("system", "Be."), ("user", "why?")), tokens("no"))
    mark = log_probability(chat(("system", "Be brief."), ("user", "why")), tokens("no"))
    assert told[1]["attribution"] == pytest.approx(whole - brief, abs=1e-3)
    assert told[4]["attribution"] == pytest.approx(whole - mark, abs=1e-3)


@pytest.mark.usefixtures("remote")
def test_of_a_model_without_chats_the_text_is_gone_on_with(store: MemoryStore, tmp_path: Path) -> None:
    generating.push(store, without_template(tmp_path / "plain"), "plain")
    answer = explain({"input": "One two", "parameters": {"target": " x"}}, "/models/plain/explain")
    whole = log_probability(tokens("One two"), tokens(" x"))
    assert answer.json["score"] == pytest.approx(whole, abs=1e-3)
    one, two = (log_probability(tokens(word), tokens(" x")) for word in ("One", "two"))
    assert dict(parts(answer)) == pytest.approx({"One": whole - two, "two": whole - one}, abs=1e-3)
    alone = explain({"input": "One", "parameters": {"target": " x"}}, "/models/plain/explain")
    assert alone.status == 400 and "nothing of the text is left" in alone.json["error"]


def without_template(folder: Path) -> Path:
    folders.write(folder)
    (folder / "chat_template.jinja").unlink()
    return folder


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"input": ""}, 400, "no words"),
        ({"input": " \n "}, 400, "no words"),
        ({"input": {"messages": []}}, 400, "no words"),
        ({"input": {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}}, 400, "image_url"),
        ({"input": {"messages": "x"}}, 400, "array"),
        ({"input": 7}, 400, "array"),
        ({"inputs": ["hi", "ho"]}, 400, "one input is explained at a time, the body has 2"),
        ({"input": "hi", "parameters": {"target": ""}}, 400, "`target` is empty"),
        ({"input": "hi", "parameters": {"target": "y" * 65}}, 413, "65 tokens, and answers of up to 64"),
        ({"input": "hi", "parameters": {"target": 7}}, 400, "target"),
        ({"input": "hi", "parameters": {"target": "\ud800"}}, 400, "JSON"),
        ({"input": "hi", "parameters": {"max_tokens": 0}}, 400, "max_tokens"),
        ({"input": "hi", "parameters": {"max_tokens": 65}}, 400, "64"),
        ({"input": "hi", "parameters": {"temperature": 1}}, 400, "target, max_tokens"),
        ({"input": "hi", "parameters": 3}, 400, "parameters"),
        ({"input": "a. " * 65}, 413, "130 words and 65 sentences, and up to 64"),
        ({"input": "x" * 1100}, 413, "and those of up to 1,024 are explained"),
        ({"input": "x" * 100, "parameters": {"target": "y" * 30}}, 413, "the answer 30, and the model can have 128"),
        ({"input": "x" * 127}, 413, "can have 128 with its answer"),
    ],
)
def test_what_cannot_be_explained_says_why(remote: Lambda, body: dict[str, Any], status: int, reason: str) -> None:
    refused = explain(json.dumps(body))
    assert refused.status == status and reason in refused.json["error"], refused.body
    assert explain({"input": "hi", "parameters": {"target": "ho"}}).status == 200, "and the next one is answered"


def test_what_is_no_text_is_refused(remote: Lambda) -> None:
    assert explain(b"\xff\xfe", headers=PLAIN).status == 400
    assert explain(b"x", headers={"content-type": "image/png"}).status == 415
    assert explain("[" * 5000).status == 400
    assert explain("hi", headers=PLAIN, query={"samples": "x"}).status == 400


def test_who_may_not_call_the_model_gets_no_explanation(remote: Lambda) -> None:
    assert explain({"input": "hi"}, scopes="infer:other").status == 403 and not remote.names


def test_it_ends_before_the_call_s_deadline() -> None:
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": "/models/tiny/explain", "headers": {}}
    event |= {"queryStringParameters": None}
    event |= {"body": json.dumps({"input": QUESTION, "parameters": {"target": "x"}}), "isBase64Encoded": False}
    event["requestContext"]["authorizer"] = caller("infer")
    late = app.handler({"forwarded": event, "seconds": 2.5}, None)
    assert late["statusCode"] == 504 and "could be read in the time" in late["body"]


def test_what_the_rest_takes_at_least_is_known_before_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[list[int]] = []

    def score(prompt: list[int], answer: list[int]) -> tuple[float, int]:
        scored.append(prompt)
        time.sleep(0.05)
        return -1.0, 3

    monkeypatch.setattr(generated.deadline, "remaining", lambda: 2.4)
    with pytest.raises(OutOfTime, match=r"1 of 60 parts are done, and the others take [23]"):
        generated._scores(score, [[number] for number in range(60)], [1])
    assert scored == [[59]], "the last part is left out first"
    monkeypatch.setattr(generated.deadline, "remaining", lambda: 60.0)
    assert generated._scores(score, [[1], [2]], [1]) == ([-1.0, -1.0], 6)


def test_what_variants_have_in_common_is_read_once(counted: list[Call], remote: Lambda) -> None:
    """Each letter is a token: with a text of 20 words, most of the prompt would be read 20 times."""
    text = " ".join("abcdefghijklmnopqrst")
    read: list[int] = []
    real = app.models().load("tiny", None).session
    before = real.run
    real.run = lambda names, feeds: (read.append(len(feeds["tokens"])), before(names, feeds))[1]
    try:
        assert explain({"input": text, "parameters": {"target": "x"}}).status == 200
    finally:
        del real.run
    prompt = len(chat(("user", text)))
    assert sum(read) < 0.65 * 21 * prompt
    assert [(done.route, done.error) for done in counted] == [("explain", None)]


def test_limits_of_text_tokens_count_what_was_read(monkeypatch: pytest.MonkeyPatch, remote: Lambda) -> None:
    used: list[int] = []
    monkeypatch.setattr("functions.generate.calls.texts.end", lambda *given: used.append(given[-1]))
    explain({"input": "a b", "parameters": {"target": "xy"}})
    first = len(chat(("user", "a b"))) + 2
    assert first < used[0] <= first + 2 * first


def test_words_and_beyond_64_of_them_sentences() -> None:
    def texts_of(*texts: str) -> list[str]:
        return [texts[part.place][part.start : part.end] for part in generated.parts_of(list(texts))]

    assert texts_of("Pi is 3.14, no?", "Да!") == ["Pi", "is", "3", ".", "14", ",", "no", "?", "Да", "!"]
    assert len(texts_of("a " * 64)) == 64
    long = "It costs 3.50, he said... Really?! " + "so " * 60 + "\n(End of it.) 猫です。犬です。"
    assert texts_of(long) == [
        "It costs 3.50, he said...", "Really?!", "so " * 60, "(End of it.)", "猫です。", "犬です。",
    ]  # fmt: skip
    with pytest.raises(TooLarge, match="2,000 words and 1,000 sentences"):
        generated.parts_of(["a. " * 500, "b. " * 500])
    started = time.monotonic()
    for text in ("." * 400_000, ". " * 200_000, "a" * 400_000, "!?" * 200_000, " " * 400_000):
        re.findall(generated.SENTENCE, text)
    assert time.monotonic() - started < 10, "no text takes the square of its length"


@pytest.mark.parametrize(
    ("text", "part", "left"),
    [
        ("the cat sat", "cat", "the sat"),
        ("the cat sat", "the", "cat sat"),
        ("the cat sat", "sat", "the cat"),
        ("so, my dear", ",", "so my dear"),
        ("foo (bar)", "(", "foo bar)"),
        ("one\n\ntwo", "two", "one"),
    ],
)
def test_the_space_of_a_word_goes_with_it(text: str, part: str, left: str) -> None:
    start = text.index(part)
    cut = generated.Part(1, start, start + len(part))
    assert generated.without(["x", text], cut) == ["x", left]


def test_where_one_process_serves_all_tasks_it_is_explained_there(store: MemoryStore) -> None:
    from shared.registry.log import Log

    both = Models(Log(store), ttl=0, capacity=10**9, generates=None)
    body = json.dumps({"input": "a b", "parameters": {"target": "x"}}).encode()
    answer = tasks.explain(both.load("tiny", None), body, "application/json", {})
    assert isinstance(answer, dict) and [part["text"] for part in answer["attributions"]] == ["a", "b"]
    assert answer["answer"] == "x"
