"""What a fault is, and every kind of it by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from gateway.engine.edge import Fills
    from gateway.engine.orders import Event, Execution, Order
    from gateway.faults.desk import FaultDesk
    from gateway.session.connection import Connection

EVERYONE = -1
TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}


@dataclass(frozen=True, slots=True)
class Told:
    """One message on its way to a client: its id, its fields (the id first) and its frame."""

    kind: int
    tokens: list[str]
    frame: bytes


class Fault:
    """One fault at work; the dataclass fields of a subclass are its parameters.

    Every hook has a default that changes nothing. `veto`, `hold`, `thin` and `filled` are asked by
    the engine at the exact market time; the rest see what passes to and from clients, in order.
    `since` is the market moment (microseconds) at which the fault was engaged.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    refuses_connections: ClassVar[bool] = False
    desk: FaultDesk
    number: int = 0
    since: int = 0

    def begin(self) -> None:
        """Do what happens once, when the fault begins."""

    def end(self) -> None:
        """Put right what must be put right when the fault ends."""

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """See a request; True swallows it, a Refused answers it."""
        return False

    def happened(self, event: Event) -> list[Event]:
        """See what is to be told to clients; return what is told instead."""
        return [event]

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """See a message on its way out; return what goes out instead."""
        return [told]

    def veto(self, order: Order) -> str | None:
        """Return why the engine rejects a new order, or None."""
        return None

    def hold(self, order: Order) -> bool:
        """Say whether the engine keeps an order back."""
        return False

    def thin(self, order: Order, fills: Fills) -> Fills:
        """Return the fills that an arriving order gets."""
        return fills

    def filled(self, execution: Execution) -> None:
        """See a fill."""

    @property
    def filters(self) -> bool:
        """Say whether the fault looks at outgoing messages."""
        return type(self).told is not Fault.told

    def shown(self) -> dict[str, Any]:
        """Return the fault as the control socket tells it."""
        params = {f.name: getattr(self, f.name) for f in _parameters(type(self))}
        return {"number": self.number, "fault": self.name, "params": params}


class Counted(Fault):
    """A fault that strikes a number of times and is over; 0 times: until it is cleared."""

    struck: int = 0

    def strike(self, times: int) -> None:
        """Count one stroke of `times`."""
        self.struck += 1
        if times and self.struck >= times:
            self.desk.finish(self)


KINDS: dict[str, type[Fault]] = {}
Kind = TypeVar("Kind", bound=type[Fault])


@dataclass_transform(eq_default=False)
def fault(name: str, summary: str) -> Callable[[Kind], Kind]:
    """Register a kind of fault under a name, with one line that says what it does."""

    def register(kind: Kind) -> Kind:
        kind.name, kind.summary = name, summary
        KINDS[name] = kind
        return dataclass(eq=False)(kind)  # type: ignore[return-value]

    return register


def _parameters(kind: type[Fault]) -> list[Field[Any]]:
    return [f for f in fields(kind) if f.init]  # type: ignore[arg-type]


def described() -> list[dict[str, Any]]:
    """Return every kind: its name, its line, and its parameters with their defaults."""
    return [
        {
            "fault": name,
            "summary": kind.summary,
            "params": {f.name: f.default for f in _parameters(kind) if f.default is not MISSING},
        }
        for name, kind in sorted(KINDS.items())
    ]


def make(name: str, params: dict[str, Any]) -> Fault:
    """Return a fault of a kind; InvalidInput names what is unknown or cannot be read."""
    kind = KINDS.get(name)
    if kind is None:
        raise InvalidInput(
            f"no fault is called {name!r}; `robo gateway faults` lists them: "
            f"{', '.join(sorted(KINDS))}"
        )
    known = {f.name: TYPES[str(f.type)] for f in _parameters(kind)}
    values: dict[str, Any] = {}
    for key, value in params.items():
        if key not in known:
            raise InvalidInput(
                f"fault {name} has no parameter {key!r}; it has {', '.join(known) or 'none'}"
            )
        values[key] = _read(name, key, value, known[key])
    return kind(**values)


def _read(name: str, key: str, value: Any, wanted: type) -> Any:
    text = str(value).strip()
    try:
        if wanted is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return wanted(text)
    except (KeyError, ValueError):
        raise InvalidInput(
            f"fault {name}: {key} cannot be {text!r}; give a value of type {wanted.__name__}"
        ) from None
