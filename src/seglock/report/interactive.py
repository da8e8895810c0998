"""What the interactive figures have in common: markers, options, and how one is put in a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seglock.report.style import LIGHT, Access

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# plotly's own default has a button that uploads the figure to its maker's server.
_CONFIG = {
    "showSendToCloud": False,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
    "responsive": True,
}
_SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "p": "pentagon",
}


def marker(look: Access, *, is_filled: bool, size: int, opacity: float = 1) -> dict[str, Any]:
    """plotly's marker for a method: filled with a thin edge of paper, or hollow."""
    symbol = _SYMBOLS[look.marker]
    return {
        "symbol": symbol if is_filled else f"{symbol}-open",
        "size": size,
        "color": look.colour,
        "opacity": opacity,
        "line": {"width": 1, "color": LIGHT.paper if is_filled else look.colour},
    }


def lay_out(figure: Figure, *, x: dict[str, Any], y: dict[str, Any]) -> None:
    """The house's look for a figure with these two axes, the legend below."""
    figure.update_layout(
        template="plotly_white",
        margin={"l": 60, "r": 20, "t": 20, "b": 60},
        legend={"orientation": "h", "y": -0.14},
        font={"color": LIGHT.ink, "size": 13},
        hoverlabel={"align": "left", "bgcolor": "#ffffff", "font": {"color": LIGHT.ink}},
        xaxis={"zeroline": False} | x,
        yaxis={"zeroline": False} | y,
    )


def embedded(figure: Figure, name: str, *, with_library: bool) -> str:
    """The figure as HTML. A page's first one brings plotly along for all of them."""
    text = figure.to_html(
        full_html=False,
        include_plotlyjs=with_library,
        div_id=name,  # a fixed name: the same study gives the same bytes
        config=_CONFIG,
    )
    return f'<div class="figure">{text}</div>'
