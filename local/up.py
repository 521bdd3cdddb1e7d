"""`make run`, as a recipe: cloud → deployment → first token → bundled models → one prediction → where everything is."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from local import cloud, deploy, publish
from local.settings import ACCESS, BUILD, HOME, ROOT, aws_env, say, tool
from ops import recheck


def main() -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    before, deployed_once = cloud.pid(), deploy.RECORD.exists()
    access = bring_up()
    if publish.publish(access) == 0:
        names = ", ".join(package.name for package in publish.packages())
        say(f"published already: {names or 'there is no bundled model'}")
    answer = publish.predict(access)
    if answer:
        model, image, result = answer
        say(f"{model}, asked about {image}, answers:\n{json.dumps(result, indent=2)}")
    if deployed_once and cloud.pid() != before:
        catch_up(access["endpoint_url"])  # now that nobody waits for a function any more
    report(access)


def bring_up() -> dict[str, Any]:
    """A running, deployed, accessible API. Each step is skipped when it is done already."""
    crashed, upgraded = cloud.crashed(), deploy.RECORD.exists()
    endpoint = cloud.start()
    say(f"the embedded cloud is running at {endpoint}")
    outputs = deploy.up_to_date(endpoint)
    upgraded = upgraded and outputs is None
    if outputs is None:
        outputs = deploy.deploy(endpoint)
        sign(endpoint, outputs)
        keep_state(endpoint)
    if crashed:
        say("the embedded cloud was not stopped but ended: looking for uploads without a verdict")
    if crashed or upgraded:
        catch_up(endpoint, wait=True)
    say(f"the API is deployed at {outputs['ApiUrl']}")
    return write_access(endpoint, outputs)


def keep_state(endpoint: str) -> None:
    """The embedded cloud saves its control plane when it stops, so a new deployment is worth a restart.

    Otherwise a machine that is switched off would come back with the bucket, and without the stack around it.
    """
    cloud.stop()
    if cloud.start() != endpoint:
        raise SystemExit(f"{endpoint} was taken while the embedded cloud restarted: run `make run` again")


def catch_up(endpoint: str, *, wait: bool = False) -> None:
    """Have uploads checked whose events ended with the cloud, and versions that an older gate has let through.

    wait: until all that is done, as after a crash, or a new deployment on what an older one has left.
    """
    function = (deploy.outputs(endpoint) or {})["IngestFunctionName"]
    functions = deploy.client("lambda", endpoint, patience=recheck.CALL)
    if not wait:
        functions.invoke(InvocationType="Event", FunctionName=function, Payload=json.dumps({"patience": 0}))
        return
    recheck.look(functions, function, say, patience=0)


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
    return _built("ops.first_token", bucket, "--endpoint-url", endpoint)


def sign(endpoint: str, outputs: dict[str, str]) -> None:
    """Have the deployment's key sign what an earlier one, or none, has signed: functions believe nothing else."""
    if "SigningKey" in outputs:
        said = _built("ops.resign", outputs["Bucket"], outputs["SigningKey"], "--endpoint-url", endpoint)
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
