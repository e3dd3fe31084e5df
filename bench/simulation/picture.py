"""A picture of delay against false alarms, as SVG: one panel for each stream."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]
"""False alarms in 100 series-months and median delay in minutes, by threshold."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 330, 250, 62, 46, 74
_X = (0.5, 20_000.0)
_Y = (4.0, 400.0)
_COLOURS = ("#c2185b", "#777777", "#8d6e63", "#ef6c00", "#1565c0", "#2e7d32")
_DOT = 3.5


@dataclass(frozen=True, slots=True)
class Panel:
    """One stream.

    Attributes:
        title: Above it.
        curves: Of each detector, in the order of the legend.
        bound_min: The delay that no detector beats at one false alarm in 100 series-months.
        resolution: What stands for no false alarm at all: half of one in the months looked at.
    """

    title: str
    curves: Mapping[str, Points]
    bound_min: float
    resolution: float


def draw(panels: Sequence[Panel]) -> str:
    """The whole SVG document."""
    names = list(panels[0].curves)
    width = len(panels) * (_WIDTH + _GAP) + 10
    height = _TOP + _HEIGHT + 62 + 20 * math.ceil(len(names) / 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for index, panel in enumerate(panels):
        parts.append(f'<g transform="translate({_LEFT + index * (_WIDTH + _GAP)} {_TOP})">')
        parts += _axes(panel)
        for name, colour in zip(names, _COLOURS, strict=False):
            parts += _curve(panel.curves[name], colour, panel.resolution)
        parts.append("</g>")
    for index, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
        x, y = _LEFT + index % 2 * 380, _TOP + _HEIGHT + 62 + 20 * (index // 2)
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="{_DOT + 1}" fill="{colour}"/>')
        parts.append(f'<text x="{x + 12}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _axes(panel: Panel) -> list[str]:
    parts = [
        f'<text x="0" y="-14" font-weight="bold">{escape(panel.title)}</text>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999999"/>',
    ]
    for value in (1, 10, 100, 1000, 10_000):
        x = _x(value)
        parts.append(f'<path d="M{x:.1f} 0V{_HEIGHT}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT + 16}" text-anchor="middle">{value:,}</text>')
    for value in (5, 10, 30, 60, 120, 300):
        y = _y(value)
        parts.append(f'<path d="M0 {y:.1f}H{_WIDTH}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    goal, bound = _x(1), _y(panel.bound_min)
    parts += [
        f'<path d="M{goal:.1f} 0V{_HEIGHT}" stroke="#444444" stroke-dasharray="4 3"/>',
        f'<path d="M0 {bound:.1f}H{_WIDTH}" stroke="#444444" stroke-dasharray="1 3"/>',
        f'<text x="{_WIDTH - 4}" y="{bound - 5:.1f}" text-anchor="end">',
        "least possible (Lorden)</text>",
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 36}" text-anchor="middle">',
        "false alarms in 100 series-months</text>",
        f'<text transform="translate(-44 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">',
        "median delay, minutes</text>",
    ]
    return parts


def _curve(points: Points, colour: str, resolution: float) -> list[str]:
    seen = [(max(alarms, resolution), delay) for alarms, delay in points if math.isfinite(delay)]
    if not seen:
        return []
    line = " ".join(f"{_x(alarms):.1f},{_y(delay):.1f}" for alarms, delay in seen)
    dots = [
        f'<circle cx="{_x(alarms):.1f}" cy="{_y(delay):.1f}" r="{_DOT}" fill="{colour}"/>'
        for alarms, delay in seen
    ]
    return [
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-opacity="0.5"/>',
        *dots,
    ]


def _x(value: float) -> float:
    return _WIDTH * _share(value, *_X)


def _y(value: float) -> float:
    return _HEIGHT * (1 - _share(value, *_Y))


def _share(value: float, least: float, most: float) -> float:
    inside = min(max(value, least), most)
    return math.log(inside / least) / math.log(most / least)
