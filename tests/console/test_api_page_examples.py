"""The forms of the API's page begin with a body that fits the model which is named, in Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from shared.access import tokens
from tests.console.test_api_page import form
from tests.console.world import ConsoleService, register

# what a body for each model has in it: a column, a text, a PNG, a WAV, tensors
TAKES = {
    "wine": "alcohol",
    "languages": "quick brown fox",
    "fashion": "iVBOR",
    "digits": "UklGR",
    "vector": '"inputs"',
}


@pytest.mark.parametrize("operation", ["predict", "explain", "predictVersion"])
def test_the_body_begins_with_an_example_of_what_the_model_takes(
    api_page: Callable[..., Page], service: ConsoleService, operation: str
) -> None:
    plain = {"task": "tensor", "preprocess": None, "postprocess": None, "labels": []}
    register(service.log, "vector", "wine", **plain)
    page = api_page()
    tried = form(page, operation)
    body = tried.get_by_label("Body (application/json)")
    picture = body.input_value()
    expect(tried.get_by_role("status").first).to_contain_text("With a token")
    page.get_by_label("Token", exact=True).fill(service.tokens["ann"])
    if operation == "predictVersion":
        tried.get_by_label("version (in the path)").fill("1")
    takes = {
        "wine": "alcohol",
        "languages": "quick brown fox",
        "fashion": "iVBOR",
        "digits": "UklGR",
        "vector": '"inputs"',
    }
    for model, words in takes.items():
        if (model, operation) == ("vector", "explain"):  # tensors have no meaning that could be explained
            continue
        tried.get_by_label("model (in the path)").fill(model)
        tried.get_by_label("model (in the path)").blur()
        expect(tried.get_by_role("status").first).to_contain_text(f"{model} has the task")
        expect(tried.get_by_label("Example")).to_have_value(f"for {model}")
        assert words in body.input_value() and body.input_value() != picture
        tried.get_by_role("button", name="Send POST").click()
        expect(tried.get_by_role("status").last).to_contain_text("200 OK", timeout=20_000)
    assert '"fruit' not in body.input_value()


def test_what_was_typed_is_kept_and_a_token_for_calls_is_enough(
    api_page: Callable[..., Page], service: ConsoleService
) -> None:
    page = api_page(refused=True)
    predict = form(page, "predict")
    name, body = predict.get_by_label("model (in the path)"), predict.get_by_label("Body (application/json)")
    name.fill("wine")
    page.get_by_label("Token", exact=True).fill(tokens.create(service.store, "app", ["infer:*"])[1])
    name.blur()
    predict.get_by_label("top_k").click()
    expect(predict.get_by_label("Example")).to_have_value("for wine")
    assert json.loads(body.input_value()) == {"input": [0] * 13}
    body.fill('{"input": "mine"}')
    name.fill("languages")
    name.blur()
    expect(predict.get_by_role("status").first).to_contain_text("languages has the task text-classification")
    expect(body).to_have_value('{"input": "mine"}')
    predict.get_by_label("Example").select_option("for languages")
    expect(body).to_have_value(re.compile("quick brown fox"))
    name.fill("nobody")
    name.blur()
    expect(predict.get_by_role("status").first).to_contain_text("What nobody takes is not known: ")
