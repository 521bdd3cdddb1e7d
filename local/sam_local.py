"""`make sam-local`: the deployed functions under Amazon's runtime client in Docker, on the same bucket.

`sam local start-api` serves the template's routes and runs its authorizer; the embedded cloud is the storage. Docker
pulls Amazon's image. LAMBDA_IMAGE=NAME uses an image that Docker has already, such as a mirror's.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local import cloud, deploy, publish, settings, up
from local.forward import forward
from local.settings import BUILD, HOME, REGION, ROOT, aws_env, say, tool

RUNTIME = "python3.11"  # of the image
AMAZON_IMAGE = "public.ecr.aws/lambda/python:3.11-x86_64"  # the one that SAM CLI uses
LOG = HOME / "sam-local.log"
START_TIMEOUT = 120


def main(serve: bool) -> None:
    image = ready_image(os.environ.get("LAMBDA_IMAGE", ""))  # first: if Docker is missing, nothing is started
    access = up.bring_up()
    publish.publish(access)
    template = built()
    port = int(access["endpoint_url"].rpartition(":")[2])
    # containers reach the machine at the bridge's own address
    with forward(bridge(), port, (cloud.HOST, port)), start_api(template, image, access, port) as url:
        say(f"sam local serves {url}")
        show(access | {"api_url": url})
        if serve:
            print("until Ctrl-C; the token is the same:", access["token"])
            wait()


def ready_image(name: str) -> str:
    """An image that Docker has: the named one, or else Amazon's, which is pulled. Raises SystemExit without Docker."""
    if not shutil.which("docker"):
        raise SystemExit(
            "make sam-local needs Docker: install it (on Debian: apt-get install docker.io), then try again"
        )
    if not _docker("version"):
        raise SystemExit("Docker does not answer: start its daemon, or join its group; `docker version` says more")
    if _docker("image", "inspect", name or AMAZON_IMAGE):
        return name or AMAZON_IMAGE
    if name:
        raise SystemExit(f"Docker has no image {name!r}: load or pull it, or omit LAMBDA_IMAGE to pull Amazon's image")
    say(f"pulling {AMAZON_IMAGE}")
    if not _docker("pull", AMAZON_IMAGE):
        raise SystemExit(
            f"`docker pull {AMAZON_IMAGE}` failed: run it to see why. If Amazon's registry cannot be reached, load the "
            "image from elsewhere, and name it with LAMBDA_IMAGE=NAME"
        )
    return AMAZON_IMAGE


def _docker(*arguments: str) -> bool:
    process = subprocess.run(["docker", *arguments], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return process.returncode == 0


def built() -> Path:
    """The template of a build for the image's Python: that of `make run`, if it is the same version."""
    if settings.RUNTIME == RUNTIME:
        return BUILD / "template.yaml"
    say(f"building for {RUNTIME}")
    folder = HOME / "build-sam-local"
    command = [tool("sam", "sam"), "build", "--build-dir", str(folder), "--parameter-overrides"]
    env = os.environ | {"AMAAS_RUNTIME": RUNTIME, "AWS_DEFAULT_REGION": REGION}
    subprocess.run([*command, f"PythonRuntime={RUNTIME}"], cwd=ROOT, env=env, check=True)
    return folder / "template.yaml"


def bridge() -> str:
    """The address of this machine on Docker's default network."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    address = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return address or "172.17.0.1"


def signing(access: dict[str, Any], function: str) -> dict[str, str]:
    """A function's key, and public key, as where it is deployed: sam local runs no custom resource.

    function: the stack's output that names it.
    """
    deployed = deploy.outputs(access["endpoint_url"]) or {}
    configuration = deploy.client("lambda", access["endpoint_url"]).get_function_configuration(
        FunctionName=deployed[function]
    )
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    return {name: variables.get(name, "") for name in ("SIGNING_KEY", "PUBLIC_KEYS")}


@contextmanager
def start_api(template: Path, image: str, access: dict[str, Any], cloud_port: int) -> Iterator[str]:
    """`sam local start-api` on a free port of the loopback interface."""
    port, endpoint = _free_port(), f"http://{bridge()}:{cloud_port}"
    variables = HOME / "sam-local-env.json"
    # the template builds the bucket's name from the account, which sam local invents
    fixed = {"BUCKET": access["bucket"], "AWS_ENDPOINT_URL": endpoint, **signing(access, "RegistryFunctionName")}
    # tokens have a key of their own
    own = {name: fixed | signing(access, f"{name}Name") for name in ("TokensFunction", "AuthorizeFunction")}
    variables.write_text(json.dumps({"Parameters": fixed, **own}))
    command = [tool("sam", "sam"), "local", "start-api", "--template", str(template), "--port", str(port)]
    command += ["--skip-pull-image", "--invoke-image", image, "--warm-containers", "LAZY", "--env-vars", str(variables)]
    command += ["--parameter-overrides", f"PythonRuntime={RUNTIME}", f"EndpointUrl={endpoint}"]
    with LOG.open("wb") as log:
        process = subprocess.Popen(command, cwd=HOME, env=aws_env(endpoint), stdout=log, stderr=log)
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()  # it removes its containers
        process.wait(60)


def show(access: dict[str, Any]) -> None:
    """Two predictions, with their times: in a new container, and in a warm one."""
    for state in ("cold", "warm"):
        started = time.perf_counter()
        answer = publish.predict(access)
        if answer is None:
            raise SystemExit("there is no bundled image model to predict with: make bundled-models")
        model, image, result = answer
        say(f"{state}, {time.perf_counter() - started:.2f} s: {model} predicts for {image}:")
        print(json.dumps(result, indent=2))


def wait() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit(f"{LOG.read_text(errors='replace')[-3000:]}\nsam local did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


if __name__ == "__main__":
    main("--serve" in sys.argv)
