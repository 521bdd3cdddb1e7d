"""The custom resource that reads the public half of the signing key as the stack is made."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from functions.publickey import app as publickey
from shared.config import Config


class Listener(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.append((self.headers["Content-Type"], json.loads(body)))  # type: ignore[attr-defined]  # set in the test
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


def test_the_deployment_learns_the_public_key_or_why_not(moto_endpoint: str) -> None:
    import boto3

    kms = boto3.client("kms", endpoint_url=moto_endpoint, region_name="us-east-1")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    server = HTTPServer(("127.0.0.1", 0), Listener)
    server.answers = []  # type: ignore[attr-defined]  # what was heard
    threading.Thread(target=server.serve_forever, daemon=True).start()
    event = {"StackId": "s", "RequestId": "r", "LogicalResourceId": "PublicKey"}
    event |= {"ResponseURL": f"http://127.0.0.1:{server.server_port}/answer"}
    for kind, named in (("Create", key), ("Update", key), ("Create", "no-such-key"), ("Delete", "no-such-key")):
        properties = {"Key": named, "Endpoint": moto_endpoint}
        publickey.handler({**event, "RequestType": kind, "ResourceProperties": properties}, None)
    server.shutdown()
    server.server_close()
    answers = [answer for _, answer in server.answers]  # type: ignore[attr-defined]  # as above
    assert [answer["Status"] for answer in answers] == ["SUCCESS", "SUCCESS", "FAILED", "SUCCESS"]
    public = kms.get_public_key(KeyId=key)["PublicKey"]
    assert answers[0]["Data"]["Value"] == base64.b64encode(public).decode()
    env = {"BUCKET": "b", "PUBLIC_KEYS": answers[0]["Data"]["Value"] + ","}
    assert Config.from_env(env).public_keys == (public,)
    assert "could not be read" in answers[2]["Reason"]
