"""How a connection begins, and what can stand in its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tasks.broker.protocol import GatewayUnreachable

if TYPE_CHECKING:
    from types import TracebackType

    from ib_async import StartupFetch

    from tasks.broker.ibkr import EvidenceIB
    from tasks.broker.protocol import ApiAddress


class ClientIdInUse(Exception):  # noqa: N818
    """The gateway answered 326."""


class SocketGuard:
    """A block in which a socket that has gone becomes GatewayUnreachable."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        """Take the gateway's host and port, for the error."""
        self._where = where

    def __enter__(self) -> None:
        """Begin; it may be used again, inside itself too."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Translate what ended the block, if the socket did."""
        if isinstance(error, OSError):
            raise GatewayUnreachable(
                f"the connection to the gateway on {self._where} broke ({error}); see that it "
                "runs and is logged in"
            ) from error


async def connect(ib: EvidenceIB, address: ApiAddress, timeout: float, fetch: StartupFetch) -> None:
    """Open the socket and agree on the version; `fetch` is what the client asks for by itself.

    Raises ClientIdInUse at once when the gateway says so (the client itself would wait for its
    deadline), GatewayUnreachable when nothing answers within `timeout` wall seconds.
    """
    host, port = address.host, address.port
    connecting = asyncio.ensure_future(
        ib.connectAsync(
            host,
            port,
            address.client_id,
            timeout,
            readonly=True,  # orders are asked for by collect_evidence, in its own sequence
            raiseSyncErrors=True,
            fetchFields=fetch,
        )
    )
    refused = asyncio.ensure_future(ib.id_in_use.wait())
    try:
        await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
        if refused.done() and not connecting.done():
            raise ClientIdInUse
        await connecting
    except (OSError, TimeoutError) as error:
        if ib.id_in_use.is_set():
            raise ClientIdInUse from error
        raise GatewayUnreachable(
            f"no gateway answers on {host}:{port} ({error or type(error).__name__}); start the "
            "simulated one with `robo gateway run`, or IB Gateway for a paper account, and see "
            "ROBO_HOST and ROBO_PORT"
        ) from error
    finally:
        for task in (connecting, refused):
            task.cancel()
        await asyncio.gather(connecting, refused, return_exceptions=True)
