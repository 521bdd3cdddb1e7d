"""The client's table of operations, made of the routes: `make client-routes` writes it, a test compares it."""

from __future__ import annotations

from pathlib import Path

from api.routes import routes

FILE = Path(__file__).resolve().parent.parent / "client" / "amaas" / "api" / "routes.py"
HEAD = '"""Method and path of each operation of the API, by its id. Written by `make client-routes`."""'


def source() -> str:
    lines = [f'    "{route.id}": ("{route.method}", "{route.template}"),' for _, route in routes()]
    return "\n".join([HEAD, "", "ROUTES = {", *lines, "}", ""])


if __name__ == "__main__":
    FILE.write_text(source())
