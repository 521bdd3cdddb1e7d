"""`make run`, as a recipe: cloud → deployment → first token → bundled models → one prediction → where everything is."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from local import cloud, deploy, publish
from local.settings import ACCESS, BUILD, HOME, ROOT, aws_env, say, tool

CHECKS = 130  # seconds that one look at uploads takes at most: the function's own limit, and a cold start


def main() -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    access = bring_up()
    if publish.publish(access) == 0:
        names = ", ".join(package.name for package in publish.packages())
        say(f"published already: {names or 'there is no bundled model'}")
    answer = publish.predict(access)
    if answer:
        model, image, result = answer
        say(f"{model}, asked about {image}, answers:\n{json.dumps(result, indent=2)}")
    report(access)


def bring_up() -> dict[str, Any]:
    """A running, deployed, accessible API. Each step is skipped when it is done already."""
    crashed, before, deployed_once = cloud.crashed(), cloud.pid(), deploy.RECORD.exists()
    endpoint = cloud.start()
    say(f"the embedded cloud is running at {endpoint}")
    outputs = deploy.up_to_date(endpoint)
    deployed = outputs is None
    if outputs is None:
        outputs = deploy.deploy(endpoint)
        sign(endpoint, outputs)
        keep_state(endpoint)
    if deployed_once and cloud.pid() != before:
        catch_up(endpoint, outputs["IngestFunctionName"], wait=crashed or deployed)
    say(f"the API is deployed at {outputs['ApiUrl']}")
    return write_access(endpoint, outputs)


def keep_state(endpoint: str) -> None:
    """The embedded cloud saves its control plane when it stops, so a new deployment is worth a restart.

    Otherwise a machine that is switched off would come back with the bucket, and without the stack around it.
    """
    cloud.stop()
    if cloud.start() != endpoint:
        raise SystemExit(f"{endpoint} was taken while the embedded cloud restarted: run `make run` again")


def catch_up(endpoint: str, function: str, *, wait: bool) -> None:
    """Have uploads checked whose events ended with the cloud, and versions that an older gate has let through.

    wait: until that is done, as after a crash or a deployment.
    """
    look = {"FunctionName": function, "Payload": json.dumps({"patience": 0})}
    functions = deploy.client("lambda", endpoint, patience=CHECKS)
    if not wait:
        functions.invoke(InvocationType="Event", **look)
        return
    while True:
        answer = functions.invoke(**look)
        handled = json.load(answer["Payload"])
        if "FunctionError" in answer:
            say(f"some uploads have no verdict yet, and are looked at again once a day: {handled}")
        if "FunctionError" in answer or not (handled["handled"] or handled["rechecked"]):
            return
        if handled["handled"]:
            say(f"uploads that have their verdict now: {len(handled['handled'])}")
        if handled["rechecked"]:
            refused = sum(one["refused"] is not None for one in handled["rechecked"])
            say(f"versions of an older gate that were checked again: {len(handled['rechecked'])}, {refused} refused")


def write_access(endpoint: str, outputs: dict[str, str]) -> dict[str, Any]:
    """Write amaas.json, which the command line finds, with the token of last time as long as it works."""
    access = {
        "api_url": outputs["ApiUrl"],
        "token": _known_token(),
        "bucket": outputs["Bucket"],
        "endpoint_url": endpoint,
        "console_url": None,
    }
    if not access["token"] or publish.call(access, "GET", "/models?limit=1")[0] in (401, 403):
        access["token"] = first_token(endpoint, outputs["Bucket"])
        say("made the first administrator token")
    # readable by its owner only, from the first moment on
    ACCESS.unlink(missing_ok=True)
    with os.fdopen(os.open(ACCESS, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        json.dump(access, file, indent=2)
    return access


def first_token(endpoint: str, bucket: str) -> str:
    return _built("local.bootstrap_token", bucket, "--endpoint-url", endpoint)


def sign(endpoint: str, outputs: dict[str, str]) -> None:
    """Have the deployment's key sign what an earlier one, or none, has signed: functions believe nothing else."""
    if "SigningKey" in outputs:
        said = _built("local.attest", outputs["Bucket"], outputs["SigningKey"], "--endpoint-url", endpoint)
        for line in said.splitlines():
            say(line)


def _built(module: str, *arguments: str) -> str:
    """Run a module with the packages of the built layer, so that the code is the one that will check its work."""
    path = os.pathsep.join([str(ROOT), str(BUILD / "CoreLayer" / "python")])
    endpoint = arguments[-1]
    command = [tool("cloud", "python"), "-m", module, *arguments]
    env = aws_env(endpoint) | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr}")
    return done.stdout.strip()


def report(access: dict[str, Any]) -> None:
    say("ready")
    print(f"  API       {access['api_url']}")
    print(f"  token     {access['token']}")
    print(f"  bucket    s3://{access['bucket']} at {access['endpoint_url']}")
    print(f"  all this  {ACCESS}")
    print(f"  try       {tool('client', 'amaas')} ls")


def _known_token() -> str:
    try:
        return str(json.loads(ACCESS.read_text()).get("token") or "")
    except (FileNotFoundError, ValueError):
        return ""


if __name__ == "__main__":
    main()
