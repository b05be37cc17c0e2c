"""Plots as SVG text: lines over time, and how latencies are spread. No script, nothing fetched."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 28, 36
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named line; `style` is its CSS class. A None in between leaves a gap."""

    name: str
    style: str
    points: Sequence[Point | None]


def line_plot(
    title: str,
    lines: Sequence[Line],
    *,
    x_name: str,
    show_y: Callable[[float], str],
    show_x: Callable[[float], str] = "{:g}".format,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """Lines in one frame from 0 up; `marks` are upright lines with a word each."""
    found = [point for line in lines for point in line.points if point is not None]
    right = max((x for x, _ in found), default=0.0) or 1.0
    step_y = _step(max((y for _, y in found), default=0.0) or 1.0)
    top = step_y * math.ceil((max((y for _, y in found), default=0.0) or 1.0) / step_y)

    def place(x: float, y: float) -> Point:
        wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        return _LEFT + x / right * wide, HEIGHT - _BOTTOM - y / top * high

    parts = [_frame(title)]
    for number in range(round(top / step_y) + 1):
        x, y = place(0, number * step_y)
        parts.append(f'<path class="grid" d="M{x:.1f} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(_text(x - 6, y + 4, show_y(number * step_y), anchor="end"))
    step_x = _step(right)
    for number in range(math.floor(right / step_x + 1e-9) + 1):
        x, y = place(number * step_x, 0)
        parts.append(_text(x, y + 16, show_x(number * step_x), anchor="middle"))
    parts.append(_text(WIDTH - _RIGHT, HEIGHT - 4, x_name, anchor="end"))
    for value, word in marks:
        x, y = place(min(value, right), 0)
        parts.append(f'<path class="mark" d="M{x:.1f} {_TOP}V{y:.1f}"/>')
        parts.append(_text(x + 4, _TOP + 10, word, anchor="start"))
    for line in lines:
        parts.append(f'<path class="line {line.style}" d="{_path(line.points, place)}"/>')
    parts.append(_legend(lines))
    return "".join([*parts, "</svg>"])


def _frame(title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>"
    )


def _text(x: float, y: float, text: str, *, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(lines: Sequence[Line]) -> str:
    parts: list[str] = []
    x = float(_LEFT)
    for line in lines:
        parts.append(f'<path class="line {line.style}" d="M{x:.1f} 12h18"/>')
        parts.append(_text(x + 24, 16, line.name, anchor="start"))
        x += 40 + 7 * len(line.name)
    return "".join(parts)


def _path(points: Sequence[Point | None], place: Callable[[float, float], Point]) -> str:
    parts: list[str] = []
    move = True
    for point in points:
        if point is None:
            move = True
            continue
        x, y = place(*point)
        parts.append(f"{'M' if move else 'L'}{x:.1f} {y:.1f}")
        # A point that stands alone would not be seen: a line of no length has round ends.
        parts.append("h0" if move else "")
        move = False
    return "".join(parts)


def _step(largest: float) -> float:
    """A round step that cuts 0 to `largest` into about five."""
    rough = largest / 5
    size = 10.0 ** math.floor(math.log10(rough))
    return next(size * one for one in _ROUND if size * one >= rough * 0.999)
