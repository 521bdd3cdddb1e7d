"""`make run`, as a recipe: cloud → deployment → first token → bundled models → one prediction → where everything is."""

from __future__ import annotations

import json
import os
import shlex
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
        say(f"already published: {names or 'there is no bundled model'}")
        for name in publish.renewed(access):
            say(f"{name} of this checkout is none of its versions: `amaas push layers/models/{name}` makes it one")
    answer = publish.predict(access)
    if answer:
        model, image, result = answer
        say(f"{model} predicts for {image}:\n{_shown(result)}")
    if deployed_once and cloud.pid() != before:
        catch_up(access["endpoint_url"])  # last: before, it would have kept the prediction waiting
    report(access)


def bring_up() -> dict[str, Any]:
    """A running, deployed, accessible API. Steps that are up to date are skipped."""
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
        say("the embedded cloud ended without `make stop`: looking for uploads without a verdict")
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
        raise SystemExit(f"another program took {endpoint} while the embedded cloud restarted: run `make run` again")


def catch_up(endpoint: str, *, wait: bool = False) -> None:
    """Have uploads checked whose events were lost with the cloud, and versions that older checks accepted.

    wait: until all are checked, as after a crash, or when a new deployment takes over an older one's bucket.
    """
    function = (deploy.outputs(endpoint) or {})["IngestFunctionName"]
    functions = deploy.client("lambda", endpoint, patience=recheck.CALL)
    if not wait:
        functions.invoke(InvocationType="Event", FunctionName=function, Payload=json.dumps({"patience": 0}))
        return
    recheck.look(functions, function, say, patience=0)


def write_access(endpoint: str, outputs: dict[str, str]) -> dict[str, Any]:
    """Write amaas.json, which the command line reads. The token in an existing one is kept if it still works."""
    access = {
        "api_url": outputs["ApiUrl"],
        "token": _known_token(),
        "bucket": outputs["Bucket"],
        "endpoint_url": endpoint,
        "console_url": f"{outputs['ApiUrl']}/console",
    }
    if not access["token"] or publish.call(access, "GET", "/models?limit=1")[0] in (401, 403):
        access["token"] = first_token(endpoint, outputs["TokensFunctionName"])
        say("created the first administrator token")
    # readable by its owner only, and created so: a mode that is changed later leaves a moment to read it
    ACCESS.unlink(missing_ok=True)
    with os.fdopen(os.open(ACCESS, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        json.dump(access, file, indent=2)
    return access


def first_token(endpoint: str, function: str) -> str:
    return _run_built("ops.first_token", function, "--endpoint-url", endpoint)


def sign(endpoint: str, outputs: dict[str, str]) -> None:
    """Re-sign models whose signature is missing or of an earlier key: functions trust only the deployment's key."""
    if "SigningKey" in outputs:
        output = _run_built("ops.resign", outputs["Bucket"], outputs["SigningKey"], "--endpoint-url", endpoint)
        for line in output.splitlines():
            say(line)


def _run_built(module: str, *arguments: str) -> str:
    """The output of a module, run with the packages of the built layer: those that the functions use, too."""
    path = os.pathsep.join([str(ROOT), str(BUILD / "CoreLayer" / "python")])
    endpoint = arguments[-1]
    command = [tool("cloud", "python"), "-m", module, *arguments]
    env = aws_env(endpoint) | {"PYTHONPATH": path}
    process = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{module} failed:\n{process.stderr}")
    return process.stdout.strip()


def report(access: dict[str, Any]) -> None:
    say("ready")
    print(f"  API       {access['api_url']}")
    print(f"  console   {access['console_url']}")
    print(f"  token     {access['token']}")
    print(f"  bucket    s3://{access['bucket']} at {access['endpoint_url']}")
    print(f"  all this  {ACCESS}")
    print(f"  try       {shlex.quote(tool('client', 'amaas'))} ls")


def _shown(answer: dict[str, Any]) -> str:
    """The answer as JSON, each of its predictions on a line."""
    lines = ",\n".join(f"  {json.dumps(one)}" for one in answer["predictions"])
    head = json.dumps(answer | {"predictions": []}, ensure_ascii=False)
    return head.replace('"predictions": []', f'"predictions": [\n{lines}\n]')


def _known_token() -> str:
    try:
        return str(json.loads(ACCESS.read_text()).get("token") or "")
    except (FileNotFoundError, ValueError):
        return ""


if __name__ == "__main__":
    main()
