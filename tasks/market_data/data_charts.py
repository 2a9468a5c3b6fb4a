"""Charts of market data, one HTML file each with plotly inside: it opens without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from models.domain.sessions import EXCHANGE_TZ

if TYPE_CHECKING:
    import pandas as pd

UP, DOWN, GAP = "#1a7f5a", "#b3402e", "rgba(179, 64, 46, 0.18)"
MOST_CANDLES = 20_000
MOST_GAPS = 200  # bands, each of missing bars that follow one another; the longest are drawn
DAY = "%Y-%m-%d"


def candle_chart(
    title: str,
    timeframe: str,
    bars: pd.DataFrame,
    gaps: Sequence[str],
    *,
    splits: Mapping[str, float],
    quarantined: int,
) -> Any:
    """Return candles over volume with the gaps marked; bars have ts or session, USD and shares.

    `gaps` are the labels of missing bars, `splits` new shares for one by ex-date. Raises
    InvalidInput for more candles than a browser shows.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    if len(bars) > MOST_CANDLES:
        raise InvalidInput(
            f"{len(bars):,} bars are more than a page shows ({MOST_CANDLES:,}); give --from and "
            "--to, or a longer --timeframe"
        )
    labels = labels_of(bars, timeframe)
    places = sorted({*labels, *gaps})
    figure: Any = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.03
    )
    prices = {name: bars[name].to_list() for name in ("open", "high", "low", "close")}
    candles = go.Candlestick(
        x=labels, **prices, increasing_line_color=UP, decreasing_line_color=DOWN, name=title
    )
    figure.add_trace(candles, row=1, col=1)
    marker = {"color": "#7a8794", "line": {"width": 0}}  # a line would cover thin bars
    volume = go.Bar(x=labels, y=bars["volume"].to_list(), marker=marker, name="volume")
    figure.add_trace(volume, row=2, col=1)
    number = {label: place for place, label in enumerate(places)}
    for first, last in gap_bands([number[label] for label in gaps]):
        figure.add_vrect(x0=first - 0.5, x1=last + 0.5, fillcolor=GAP, line_width=0)
    for day, ratio in splits.items():
        at = next(number[label] for label in places if label[:10] >= day)
        told = f"split, {ratio:g} for 1"
        for place, words in (
            ({"row": 1, "col": 1}, {"annotation_text": told}),
            ({"row": 2, "col": 1}, {}),
        ):
            line: dict[str, Any] = place | words
            figure.add_vline(x=at - 0.5, line_dash="dot", **line)
    told = f"{len(bars):,} bars, {len(gaps):,} missing (red bands), {quarantined:,} quarantined"
    zone = "sessions of XNYS" if timeframe == "1d" else "New York time"
    _dress(figure, f"{title}<br><sup>{told}; {zone}</sup>")
    figure.update_xaxes(
        type="category", categoryorder="array", categoryarray=places, nticks=12, showgrid=False
    )
    figure.update_xaxes(rangeslider_visible=False)
    figure.update_layout(height=700)
    figure.update_yaxes(title_text="USD", row=1, col=1)
    figure.update_yaxes(title_text="shares", rangemode="tozero", row=2, col=1)
    return figure


def coverage_chart(table: str, scores: pd.DataFrame) -> Any:
    """Return the heat map of the quality score (0 to 100), symbols by session.

    `scores` has symbol, session, score, expected, received, accepted and warned. Months instead of
    sessions where there are more than 800 of these, with the mean score.
    """
    import pandas as pd
    import plotly.graph_objects as go

    days = pd.to_datetime(scores["session"])
    by_month = days.nunique() > 800
    column = days.dt.strftime("%Y-%m" if by_month else DAY)
    wide = scores.assign(column=column).pivot_table(
        index="symbol", columns="column", values="score", aggfunc="mean"
    )
    wide = wide.sort_index(ascending=False)
    if by_month:  # every month between, so that a gap looks like one
        months = pd.period_range(wide.columns[0], wide.columns[-1], freq="M").strftime("%Y-%m")
        wide = wide.reindex(columns=months)
    unit = "month" if by_month else "session"
    heat = go.Heatmap(
        z=wide.to_numpy(), x=list(wide.columns), y=list(wide.index), zmin=0, zmax=100,
        colorscale=[[0, DOWN], [0.9, "#e8c15a"], [1, UP]], colorbar={"title": "score, 0-100"},
        hovertemplate="%{y} %{x}: %{z:.1f} of 100<extra></extra>", xgap=0, ygap=1,
    )  # fmt: skip
    figure = go.Figure(heat)
    told = f"{len(wide)} symbols, {len(wide.columns):,} {unit}s; blank: nothing is expected there"
    _dress(figure, f"Coverage of {table}: quality score by {unit}<br><sup>{told}</sup>")
    figure.update_xaxes(type="category", nticks=14)
    figure.update_yaxes(type="category", dtick=1 if len(wide) <= 60 else None)
    figure.update_layout(height=max(360, 130 + 18 * len(wide)))
    return figure


def gap_bands(places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of places that follow one another, the longest MOST_GAPS runs."""
    bands: list[tuple[int, int]] = []
    for place in sorted(places):
        if bands and place == bands[-1][1] + 1:
            bands[-1] = (bands[-1][0], place)
        else:
            bands.append((place, place))
    return sorted(sorted(bands, key=lambda band: band[0] - band[1])[:MOST_GAPS])


def labels_of(bars: pd.DataFrame, timeframe: str) -> list[str]:
    """Return the label of each bar: its session, or the New York time at which it starts."""
    import pandas as pd

    if timeframe == "1d":
        return [str(day)[:10] for day in bars["session"]]
    local = pd.to_datetime(bars["ts"], utc=True).dt.tz_convert(EXCHANGE_TZ)
    return local.dt.strftime(f"{DAY} %H:%M").tolist()


def write_html(figure: Any, path: Path) -> Path:
    """Write a chart as one file that needs no network; raise InvalidInput when that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.write_html(path, include_plotlyjs=True, full_html=True)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written ({error}); give another --out") from error
    return path


def _dress(figure: Any, title: str) -> None:
    figure.update_layout(
        title=title, template="plotly_white", showlegend=False, hovermode="closest",
        margin={"l": 60, "r": 30, "t": 80, "b": 50}, font={"family": "system-ui, sans-serif"},
    )  # fmt: skip
