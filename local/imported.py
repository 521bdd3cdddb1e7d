"""What MiniStack leaves out of the OpenAPI body that an API is made from; embedded.py installs it.

- The gateway's own answers (`x-amazon-apigateway-gateway-responses`), with their headers.
- What a mock answers, as the preflight of web pages: statuses, headers, templates.
"""

from __future__ import annotations

from typing import Any

import ministack.services.apigateway_v1 as gateway  # type: ignore[import-not-found]

ANSWERS = "x-amazon-apigateway-gateway-responses"
INTEGRATION = "x-amazon-apigateway-integration"


def keep_answers(api: str, spec: dict[str, Any]) -> None:
    for kind, answer in (spec.get(ANSWERS) or {}).items():
        gateway._put_gateway_response(api, kind, answer)


def keep_mock(api: str, resource: str, method: str, operation: Any) -> None:
    described = (operation or {}).get(INTEGRATION) or {}
    if str(described.get("type")).lower() != "mock":
        return
    integration = gateway._resources[api][resource]["resourceMethods"][method]["methodIntegration"]
    integration["requestTemplates"] = described.get("requestTemplates") or {}
    integration["integrationResponses"] = {
        str(answer["statusCode"]): {
            "statusCode": str(answer["statusCode"]),
            "selectionPattern": "" if pattern == "default" else pattern,
            "responseParameters": answer.get("responseParameters") or {},
            "responseTemplates": answer.get("responseTemplates") or {},
        }
        for pattern, answer in (described.get("responses") or {}).items()
    }


def install() -> None:
    import_api, import_operation = gateway._import_rest_api, gateway._import_operation

    def import_whole_api(spec: dict[str, Any], *rest: Any, **more: Any) -> str:
        api: str = import_api(spec, *rest, **more)
        keep_answers(api, spec)
        return api

    def import_whole_operation(api: str, resource: str, method: str, operation: Any, *rest: Any, **more: Any) -> None:
        import_operation(api, resource, method, operation, *rest, **more)
        keep_mock(api, resource, method, operation)

    gateway._import_rest_api, gateway._import_operation = import_whole_api, import_whole_operation
