"""The console in Chromium: what people do in it."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import expect

from tests.client.gateway import Trouble
from tests.console.conftest import Opened, settled
from tests.console.world import ConsoleService


def test_signing_in_shows_whose_token_it_is(opened: Opened) -> None:
    page = settled(opened("/models"))
    page.locator("summary", has_text="ann").click()
    expect(page.locator(".account")).to_contain_text("admin")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_the_token_is_neither_stored_nor_in_the_address(opened: Opened, service: ConsoleService) -> None:
    page = settled(opened("/models"))
    assert service.tokens["ann"] not in page.url
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state])"
    assert page.evaluate(kept) == '[{},{},"",null]'
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()


def test_the_catalog_is_searched_and_paged_in_the_address(opened: Opened) -> None:
    page = settled(opened("/models"))
    assert page.locator("tbody tr").count() == 25
    page.get_by_role("button", name="Next page").click()
    expect(page).to_have_url(re.compile("next="))
    expect(page.get_by_role("link", name="wine")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="fashion")).to_be_visible()
    page.get_by_label("Search models").fill("sensor-1")
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page).to_have_url(re.compile("search=sensor-1"))


def test_a_model_says_what_it_is(opened: Opened) -> None:
    page = settled(opened("/models/fashion"))
    expect(page.get_by_role("heading", level=1)).to_have_text("fashion")
    expect(page.get_by_role("table", name="Versions", exact=True).locator("tbody tr")).to_have_count(2)
    expect(page.locator(".prose")).to_contain_text("Test accuracy")
    page.get_by_label("from version").select_option("1")
    page.get_by_label("to version").select_option("2")
    expect(page.get_by_role("table", name="Differences")).to_contain_text("test_accuracy")


def test_what_strangers_wrote_stays_text(opened: Opened) -> None:
    page = settled(opened("/models/hostile"))
    expect(page.locator(".prose")).to_contain_text("<script>window.hacked=1</script>")
    assert page.locator(".prose a, .prose img, main script").count() == 0
    assert page.evaluate("window.hacked === undefined")


def test_traffic_has_a_table_behind_each_chart(opened: Opened) -> None:
    page = settled(opened("/models/fashion/traffic?since=1h"))
    charts = page.locator("figure.chart")
    assert charts.count() == page.locator("figure.chart details table").count() == 4
    expect(page.get_by_role("table", name="By version and alias")).to_contain_text("1,800")


def test_a_token_is_made_shown_once_and_revoked(opened: Opened) -> None:
    page = settled(opened("/tokens"))
    page.get_by_role("button", name="New token").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Name").fill("robot")
    dialog.get_by_label("Scopes").fill("read infer:fashion")
    dialog.get_by_role("button", name="New token").click()
    expect(page.locator(".note code")).to_contain_text("amaas_")
    row = page.locator("tr", has_text="robot")
    row.get_by_role("button", name="Revoke").click()
    page.locator("dialog[open]").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")


def test_too_many_calls_are_said_and_tried_again(opened: Opened, service: ConsoleService) -> None:
    page = settled(opened("/jobs", refused=True))
    busy = b'{"error": "too many calls with this token: wait a second"}'
    service.trouble.append(Trouble("GET", r"/models\b", 429, busy))
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("alert")).to_contain_text("Too many calls with this token")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="fashion")).to_be_visible()


def test_a_token_that_is_revoked_meanwhile_leads_back_to_the_sign_in(opened: Opened, service: ConsoleService) -> None:
    page = settled(opened("/jobs", refused=True))
    service.trouble.append(Trouble("GET", r"/models\b", 401, b'{"error": "no valid token"}'))
    page.get_by_role("link", name="Models").click()
    expect(page.locator(".signin .note")).to_contain_text("no longer let in")
    expect(page.get_by_label("Token")).to_be_focused()


def test_without_a_network_it_says_so_and_comes_back(opened: Opened) -> None:
    page = settled(opened("/models", refused=True))
    page.context.set_offline(True)
    page.get_by_role("link", name="fashion").hover()
    page.get_by_label("Search models").fill("sensor-01")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_model_that_is_not_there_leads_back_to_those_that_are(opened: Opened) -> None:
    page = opened("/models/fashoin", refused=True)
    expect(page.get_by_text("Nothing was uploaded yet.")).to_be_visible()
    expect(page.get_by_text("There is no model fashoin")).to_be_visible()
    page.get_by_role("link", name="To the models").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")


def test_a_model_whose_first_upload_was_rejected_says_why(opened: Opened, service: ConsoleService) -> None:
    headers = {"Authorization": f"Bearer {service.tokens['ann']}"}
    announced = {"files": [{"name": "model.onnx", "size": 4}]}
    session = httpx.post(f"{service.api_url}/models/bad-one/uploads", json=announced, headers=headers).json()
    for file in session["files"]:
        assert httpx.put(file["url"], content=b"bad!", headers=file["headers"]).is_success
    page = opened("/models/bad-one/uploads", refused=True)
    row = page.get_by_role("table", name="Uploads").locator("tbody tr")
    expect(row).to_contain_text("rejected")
    expect(row).to_contain_text("not_onnx This is not an ONNX model: export it again.")
