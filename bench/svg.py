"""What the charts of all benchmarks are drawn with: plain SVG, so that a repository shows it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

FONT = 'font-family="Helvetica, Arial, sans-serif"'


def document(width: int, height: int, parts: Sequence[str]) -> str:
    """A chart of its parts on white; sizes in pixels."""
    size = f'width="{width}" height="{height}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} {FONT}>',
        f'<rect {size} fill="#ffffff"/>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def text(x: float, y: float, text: str, size: int, anchor: str = "start", fill: str = "#333", weight: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text {place} font-weight="{weight or "normal"}">{escape(text)}</text>'
