"""Each bundled model is tried: an image, a row, a text, a sound."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.console.conftest import ROOT, Opened, settled
from tests.console.world import ConsoleService, register


def test_the_same_image_on_two_versions_with_times_and_reasons(opened: Opened) -> None:
    page = settled(opened("/models/fashion/try?version=1&beside=2"))
    page.locator("input[type=file]").set_input_files(ROOT / "examples/images/fashion-0006-coat.png")
    for version in ("1", "2"):
        answer = page.locator(f"[data-answer='{version}']")
        expect(answer.locator(".big")).to_contain_text("Coat", timeout=20_000)
        expect(answer.locator(".timing")).to_contain_text("run")
    answer.get_by_role("button", name="Why?").click()
    expect(answer.get_by_role("img", name="heat map")).to_be_visible(timeout=20_000)


def test_a_row_is_filled_and_explained(opened: Opened) -> None:
    page = settled(opened("/models/wine/try"))
    expect(page.get_by_label("alcohol", exact=True)).to_have_value("13.02")
    page.get_by_label("alcohol", exact=True).fill("14.1")
    page.get_by_label("ash", exact=True).fill("")
    page.get_by_role("button", name="Predict").click()
    answer = page.locator("[data-answer]")
    expect(answer.locator(".big")).to_contain_text("class_", timeout=20_000)
    answer.get_by_role("button", name="Why?").click()
    expect(answer.get_by_role("list", name="Attributions")).to_contain_text("proline", timeout=20_000)


def test_no_digit_of_a_number_is_lost(opened: Opened, service: ConsoleService) -> None:
    page = settled(opened("/models/wine/try"))
    for column, typed in (("proline", "9007199254740993"), ("ash", "-007"), ("hue", ".5"), ("magnesium", "")):
        page.get_by_label(column, exact=True).fill(typed)
    with page.expect_response(re.compile("/predict$")):
        page.get_by_role("button", name="Predict").click()
    sent = service.received("POST", "/predict$")[-1]
    assert sent.headers["content-type"] == "application/json"
    assert b'"proline": 9007199254740993' in sent.body
    row = sent.json()["input"]
    assert (row["proline"], row["ash"], row["hue"], row["magnesium"]) == (9007199254740993, -7, 0.5, None)


def test_json_is_sent_as_it_is_written(opened: Opened, service: ConsoleService) -> None:
    register(service.log, "tensors", "wine", task="tensor", preprocess=None, postprocess=None, labels=[])
    page = settled(opened("/models/tensors/try"))
    with page.expect_response(re.compile("/predict$")) as answered:  # the example
        page.get_by_role("button", name="Predict").click()
    assert answered.value.status == 200, answered.value.text()
    written = f'{{"inputs": {{"features": [[9007199254740993, {", ".join(["1.50"] * 12)}]]}}}}'
    page.get_by_label("Request").fill(written[:-1])
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("main")).to_contain_text("This is no JSON")
    page.get_by_label("Request").fill(written)
    with page.expect_response(re.compile("/predict$")) as answered:
        page.get_by_role("button", name="Predict").click()
    assert service.received("POST", "/predict$")[-1].body == written.encode()
    assert answered.value.status == 200, answered.value.text()


def test_a_text_is_typed_and_its_words_are_marked(opened: Opened) -> None:
    page = settled(opened("/models/languages/try"))
    page.get_by_label("Text").fill("Wer zuletzt lacht, lacht am besten, sagt man bei uns.")
    page.get_by_role("button", name="Predict").click()
    answer = page.locator("[data-answer]")
    expect(answer.locator(".big")).to_contain_text("German", timeout=20_000)
    answer.get_by_role("button", name="Why?").click()
    expect(answer.locator(".words")).to_contain_text("lacht", timeout=20_000)


def test_a_sound_is_chosen_and_another_recorded(opened: Opened) -> None:
    page = settled(opened("/models/digits/try"))
    page.locator("input[type=file]").set_input_files(ROOT / "examples/sounds/spoken-four.wav")
    answer = page.locator("[data-answer]")
    expect(answer.locator(".big")).to_contain_text("four", timeout=20_000)
    page.get_by_role("button", name="Record").click()
    stop = page.get_by_role("button", name="Stop and predict")
    expect(stop).to_be_visible()
    page.wait_for_timeout(1200)
    with page.expect_response(re.compile("/predict$")) as answered:
        stop.click()
    assert answered.value.ok
    expect(page.locator(".bench audio")).to_be_visible()


def test_an_image_is_drawn_by_pointer(opened: Opened) -> None:
    page = settled(opened("/models/fashion/try"))
    page.get_by_role("button", name="Draw").click()
    box = page.get_by_role("application").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 220, steps=5)
    page.mouse.up()
    expect(page.locator("[data-answer] .bars li").first).to_be_visible(timeout=20_000)


def test_an_image_is_drawn_by_keyboard(opened: Opened) -> None:
    page = settled(opened("/models/fashion/try"))
    page.get_by_role("button", name="Draw").press("Enter")
    canvas = page.get_by_role("application")
    canvas.focus()
    for key in [" ", *["ArrowDown"] * 8, " "]:
        page.keyboard.press(key)
    expect(page.locator("[data-answer] .bars li").first).to_be_visible(timeout=20_000)
