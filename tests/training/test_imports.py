"""Every module of training can be imported first: no circle that only another order of imports hides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# each in a child that has PyTorch and ONNX by then, and nothing of ours
ALONE = """
import importlib, os, sys
import httpx, matplotlib.figure, msgspec, onnx, onnxruntime, PIL.Image, soundfile, tokenizers, torch, torchvision, tqdm
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            assert not [module for module in sys.modules if module.partition(".")[0] in ("training", "shared")]
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {error!r}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print("all tried")
"""


def test_each_module_can_be_the_first() -> None:
    paths = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / "training").rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    assert len(names) > 90
    done = subprocess.run([sys.executable, "-c", ALONE, *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "all tried\n", done.stdout + done.stderr[-1000:]


def test_optimization_steps_that_do_not_train_need_no_pytorch() -> None:
    code = "import sys; import training.compress.__main__; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
