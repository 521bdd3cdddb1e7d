"""What is added to a function that streams: our loop, and the script that starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tools import build

WRAPPER = "/var/task/shared/entry/runtime_loop/start"


def test_the_loop_is_whole_and_its_script_can_be_executed(tmp_path: Path) -> None:
    build.loop(tmp_path)
    script = tmp_path / WRAPPER.removeprefix("/var/task/")
    environment = {"PATH": os.defpath, "LAMBDA_TASK_ROOT": str(tmp_path), "LAMBDA_RUNTIME_DIR": "/nowhere"}
    done = subprocess.run(
        [script, sys.executable], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "KeyError: 'AWS_LAMBDA_RUNTIME_API'" in done.stderr  # everything before that was imported


def test_the_template_wraps_those_functions_that_are_built_with_the_loop() -> None:
    template = (build.ROOT / "template.yaml").read_text()
    blocks = re.split(r"\n  (?=\w+Function:\n)", template)[1:]
    wrapped = {block.partition("Function:")[0].lower() for block in blocks if "AWS_LAMBDA_EXEC_WRAPPER" in block}
    assert wrapped == set(build.STREAMING)
    assert set(re.findall(r"AWS_LAMBDA_EXEC_WRAPPER: (\S+)", template)) <= {WRAPPER}
