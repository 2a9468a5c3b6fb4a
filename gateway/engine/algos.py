"""Interactive Brokers' algorithms, worked simply: a target curve that is caught up twice a minute.

Twap, Vwap, ArrivalPx, MinImpact, BalanceImpactRisk, AD, ClosePx and DarkIce trade evenly over their
window (`startTime` to `endTime`; without them, to the close); the PctVol family trades its share of
the volume that has passed; Adaptive joins the touch first and crosses the spread once its patience
(Urgent 5 s, Normal 20 s, Patient 60 s) is over. None of them passes the order's limit.
"""

from __future__ import annotations

from typing import Any

from gateway.engine.orders import Order
from gateway.timeline import SECOND

EVERY = 30 * SECOND
PATIENCE = {"urgent": 5, "normal": 20, "patient": 60}
VOLUME_SHARE = 0.1


def parameters(request: dict[str, Any]) -> dict[str, str]:
    """Return an algorithm's parameters by name."""
    return {pair["tag"]: pair["value"] for pair in request.get("algoParams") or []}


def patience(order: Order) -> int:
    """Return how long an Adaptive order waits at the touch, in microseconds."""
    urgency = parameters(order.request).get("adaptivePriority", "Normal").lower()
    return PATIENCE.get(urgency, PATIENCE["normal"]) * SECOND


def volume_share(request: dict[str, Any]) -> float:
    """Return the share of volume that a PctVol order wants to be."""
    text = parameters(request).get("pctVol", "")
    try:
        return min(max(float(text), 0.001), 0.5)
    except ValueError:
        return VOLUME_SHARE


def due(order: Order, now: int, volume: int) -> int:
    """Return the shares that an algorithm should trade at this moment.

    `volume` is what the market has traded since the order's last turn.
    """
    if order.algo == "Adaptive":
        return order.remaining if now - order.starts >= patience(order) else 0
    if order.algo.startswith("PctVol"):
        rate = order.algo_rate / (1.0 - order.algo_rate)
        return min(int(volume * rate), order.remaining)
    length = max(order.algo_end - order.starts, 1)
    planned = order.quantity * min(now - order.starts + EVERY, length) // length
    return min(max(planned - order.filled, 0), order.remaining)
