"""Finds the Python that the environments, the functions' runtime and the build use. Standard library only.

    python3 -I tools/interpreter.py [--or-another]     print its path; --or-another: where the one that runs this does
                                                       not fit, that of a python3.14 … python3.11 on the PATH
    python3 -I tools/interpreter.py --note FILE        write its description to FILE, if that changed, and print it

It runs from Python 3.6 on, so that its message reaches users of an old one. The Makefile runs it first.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig

OLDEST, NEWEST = (3, 11), (3, 14)  # what requirements/*.txt has packages for
NEEDED = "make needs CPython 3.11 to 3.14: install one, or name one with make PYTHON=/path/to/python3"


def base() -> str:
    """The base interpreter: of an activated environment, the one that the environment was created with."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    inherited = getattr(sys, "_base_executable", None)
    candidates = [inherited, *(os.path.join(sys.base_prefix, "bin", name) for name in (version, "python3"))]
    for path in candidates:
        if path and os.access(path, os.X_OK):
            return os.path.realpath(path)
    return os.path.realpath(sys.executable)


def unfit() -> str:
    """Why this Python cannot be used; empty if it can."""
    if sys.implementation.name != "cpython":
        return f"{sys.executable} is {sys.implementation.name}"
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return f"{sys.executable} is Python {platform.python_version()}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return f"{sys.executable} is a build without the GIL, for which the locked packages have no wheels"
    return ""


def another() -> str:
    """The newest suitable python3.N on the PATH; empty if there is none."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        path = shutil.which(f"python3.{minor}")
        if path:
            command = [path, "-I", os.path.abspath(__file__)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            if answer.returncode == 0:
                return answer.stdout.decode().strip()
    return ""


def note(file: str) -> None:
    """Write the file only if its content changes: what make built with another Python, or elsewhere, is then older."""
    described = f"{base()}\n{sys.version}\n{os.getcwd()}\n"
    os.makedirs(os.path.dirname(file), exist_ok=True)
    try:
        with open(file, encoding="utf-8") as present:
            same = present.read() == described
    except FileNotFoundError:
        same = False
    if not same:
        with open(file, "w", encoding="utf-8") as changed:
            changed.write(described)
    print(f"Python {platform.python_version()}: {base()}", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--note"]:
        note(sys.argv[2])
        return
    why = unfit()
    path = base() if not why else another() if "--or-another" in sys.argv else ""
    if not path:
        sys.exit(f"{why}; {NEEDED}")
    print(path)


if __name__ == "__main__":
    main()
