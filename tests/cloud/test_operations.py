"""The runbooks' commands, run as an operator would run them, against the running deployment."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from local.settings import STACK
from tests.cloud.conftest import ROOT, Cloud

pytestmark = pytest.mark.cloud
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# backup before what needs it, and deletion last
PAGES = ("on-call", "upgrade", "backup", "scrub", "keys", "delete")


@pytest.fixture(scope="module")
def environment(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cloud.s3.create_bucket(Bucket="amaas-restored")
    versioning = {"Status": "Enabled"}  # as the template has it
    cloud.s3.put_bucket_versioning(Bucket="amaas-restored", VersioningConfiguration=versioning)
    outputs = cloud.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    named = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    tools = f"{ROOT}/.local/envs/dev/bin"
    return {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "AMAAS_URL": cloud.access["api_url"],
        "AMAAS_TOKEN": cloud.access["token"],
        "ENDPOINT_URL": cloud.access["endpoint_url"],
        "BUCKET": cloud.access["bucket"],
        "NEW_BUCKET": "amaas-restored",
        "KEY": named["SigningKey"],
        "TOKENS_FUNCTION": named["TokensFunctionName"],
        "FOLDER": str(tmp_path_factory.mktemp("backup")),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_runbook(page: str, environment: dict[str, str], cloud: Cloud) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "operations" / f"{page}.md").read_text())
    assert blocks
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        cwd=ROOT,
        env=environment,
        input="\n".join(blocks),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(re.search(pattern, done.stdout) for pattern in EXPECTED[page]), done.stdout


EXPECTED = {
    "on-call": ["fashion-mnist", "verified"],
    "upgrade": ["verified"],
    "backup": [r"[1-9]\d* objects copied", r"[1-9]\d* objects are in place"],
    "scrub": ["verified"],
    "keys": ["verified", "is revoked", "amaas_[0-9a-f]{12}_", "every token is signed|nothing was changed"],
    "delete": ["spoken-digits", r"[1-9]\d* versions of objects from amaas-restored"],
}


def test_every_runbook_is_run() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "operations").glob("*.md")} - {"README"}
    assert pages == set(PAGES) == set(EXPECTED)


def test_what_was_removed_is_gone(environment: dict[str, str], cloud: Cloud) -> None:
    assert "Contents" not in cloud.s3.list_objects_v2(Bucket="amaas-restored")


def test_paths_in_runbooks(tmp_path: Path) -> None:
    """Every make target that a runbook names is one."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (ROOT / "docs" / "operations").glob("*.md"):
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= targets, page.name
