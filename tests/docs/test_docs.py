"""The pages about the code: what they name is there, and what must be listed is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")})
STATUS = re.compile(r"Status: accepted(, .+)? · \d{4}-\d{2}-\d{2}")
LINK = re.compile(r"\[[^]]*\]\(([^)#\s]+)(?:#([^)]*))?\)")
# a path in backticks; one with a placeholder in it names a kind of place
PATH = re.compile(
    r"`((?:api|bench|client|docs|examples|functions|layers|local|ops|shared|tests|tools|training)/[\w./-]*)`"
)
FOLDERS = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_a_status_and_is_listed(page: Path) -> None:
    title, _, status, *_ = page.read_text().splitlines()
    assert title.startswith(f"# {int(page.stem[:4])}. ")
    assert STATUS.fullmatch(status), status
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert f"| [{int(page.stem[:4])}]({page.name}) | {title.split('. ', 1)[1]} |" in listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [target for target, _ in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in links if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_paths_are_there(page: str) -> None:
    paths = {path for path in PATH.findall((ROOT / page).read_text()) if not re.search("NAME|NNNN|TASK", path)}
    assert paths, "it names some"
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_each_folder_is_on_the_map() -> None:
    tops = {path.split("/")[0] for path in FOLDERS if "/" in path and not path.startswith(".")}
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert sorted(top for top in tops if f"{top}/" not in page) == []


def test_each_room_of_shared_is_on_the_map() -> None:
    rooms = {path.split("/")[1] for path in FOLDERS if path.startswith("shared/") and path.count("/") > 1}
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert sorted(room for room in rooms if f"`{room}/" not in page) == []


def test_one_version_everywhere() -> None:
    import amaas

    from shared.serving.describe import RELEASE

    newest = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == RELEASE == amaas.__version__
