"""Small charts, drawn by the server as SVG: one curve each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

WIDTH: Final = 360
HEIGHT: Final = 80


def curve(points: Sequence[float | None], label: str, *, width: int = WIDTH) -> Markup:
    """
    Draw figures as a curve over an area, the newest at the right edge.

    Args:
        points: the oldest first; None leaves a gap.
        label: what it shows, in words, for who does not see it.
        width: how many points it has room for.
    """
    top = max((p for p in points if p is not None), default=0) or 1
    first = width - len(points)
    paths = []
    for piece in _pieces(points):
        at = [
            f"{first + x},{HEIGHT - 1 - y / top * (HEIGHT - 4):.1f}" for x, y in piece
        ]
        begin, end = first + piece[0][0], first + piece[-1][0]
        paths.append(
            Markup('<path class="area" d="M{},{} L{} L{},{} Z"/>').format(
                begin, HEIGHT, " L".join(at), end, HEIGHT
            )
            + Markup('<path class="curve" d="M{}"/>').format(" L".join(at))
        )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path class="axis" d="M0,{} H{}"/>{}</svg>'
    ).format(width, HEIGHT, label, HEIGHT - 1, width, Markup("").join(paths))


def _pieces(points: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Part the points where there are gaps."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for x, y in enumerate(points):
        if y is None:
            pieces.append([])
        else:
            pieces[-1].append((x, y))
    return [each for each in pieces if each]
