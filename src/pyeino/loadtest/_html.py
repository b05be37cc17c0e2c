"""The report of a load test as one HTML file: no script, no font, nothing fetched."""

from __future__ import annotations

import math
from html import escape

from pyeino.loadtest._plots import Line, Point, line_plot
from pyeino.loadtest._result import LoadTestResult
from pyeino.loadtest._table import in_words, notes, rows

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667; --line: #d5dae2; --paper: #fff;
  --a: #1f6feb; --b: #c4540a; --c: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b2; --line: #343b46;
  --paper: #14181f; --a: #6ea8fe; --b: #f0a35e; --c: #ff8a80; } }
body { margin: 2rem auto; max-width: 50rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); } th { font-weight: 600; white-space: nowrap; }
td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.note { border-left: 3px solid var(--b); padding: .1rem .8rem; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--soft); }
.grid { stroke: var(--line); fill: none; } .mark { stroke: var(--soft); stroke-dasharray: 3 3; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.a { stroke: var(--a); } .b { stroke: var(--b); } .c { stroke: var(--c); }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
# Where the curve of the spread has its points: the tail is wide, as it is what matters.
_SPREAD = (0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 93, 95, 97, 98, 99, 99.5, 99.9, 99.99)


def html_report(result: LoadTestResult) -> str:
    """The whole page: figures, requests and latency over time, and how latencies are spread."""
    when = escape(result.started_at)
    table = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows(result)
    )
    said = "".join(f'<p class="note">{escape(one)}</p>' for one in notes(result))
    plots = "".join(
        f"<h2>{escape(name)}</h2>{plot}"
        for name, plot in (
            ("Requests a second", _throughput(result)),
            ("Latency over time", _latency(result)),
            ("How latencies are spread", _spread(result)),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Load test of {escape(result.target)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>Load test</h1><p>{when}, pyeino loadtest</p>{said}"
        f"<table>{table}</table>{plots}</body></html>\n"
    )


def _marks(result: LoadTestResult) -> list[tuple[float, str]]:
    return [(result.ramp.seconds, "window")] if result.ramp.seconds else []


def _throughput(result: LoadTestResult) -> str:
    # The last slice may be a few milliseconds long, and its rate mean nothing.
    whole = max((one.seconds for one in result.timeline), default=0.0)
    kept = [one for one in result.timeline if one.seconds > whole / 4]
    lines = [
        Line(
            name="ok",
            style="a",
            points=[(one.at + one.seconds / 2, one.success / one.seconds) for one in kept],
        ),
        Line(
            name="failed",
            style="c",
            points=[(one.at + one.seconds / 2, one.failed / one.seconds) for one in kept],
        ),
        Line(
            name="under way",
            style="b",
            points=[(one.at + one.seconds / 2, float(one.active)) for one in kept],
        ),
    ]
    return line_plot(
        "Requests a second over time",
        lines,
        x_name="seconds",
        show_y="{:g}".format,
        marks=_marks(result),
    )


def _latency(result: LoadTestResult) -> str:
    def points(name: str) -> list[Point | None]:
        found: list[Point | None] = []
        for one in result.timeline:
            value: float | None = one.p50 if name == "p50" else one.p95
            found.append(None if value is None else (one.at + one.seconds / 2, value))
        return found

    return line_plot(
        "Latency over time",
        [
            Line(name="p50", style="a", points=points("p50")),
            Line(name="p95", style="b", points=points("p95")),
        ],
        x_name="seconds",
        show_y=in_words,
        marks=_marks(result),
    )


def _spread(result: LoadTestResult) -> str:
    """Latency by percentile; each nine to the right is as wide as the one before."""
    values = [value for value, _ in result.distribution]
    counts = [times for _, times in result.distribution]
    total = sum(counts)
    points: list[Point | None] = []
    for percent in _SPREAD:
        if total and percent <= 100 * (1 - 1 / total):
            points.append((_nines(percent), _at(values, counts, math.ceil(total * percent / 100))))
    if values:
        points.append((_nines(100 * (1 - 1 / (total + 1))), values[-1]))
    return line_plot(
        "Latency by percentile",
        [Line(name="latency", style="a", points=points)],
        x_name="percentile",
        show_y=in_words,
        show_x=lambda place: f"{100 * (1 - 10**-place):.6g}",
    )


def _nines(percent: float) -> float:
    return -math.log10(1 - percent / 100)


def _at(values: list[float], counts: list[int], rank: int) -> float:
    seen = 0
    for value, times in zip(values, counts, strict=True):
        seen += times
        if seen >= max(1, rank):
            return value
    return values[-1]
