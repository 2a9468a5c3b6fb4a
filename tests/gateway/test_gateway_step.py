"""Step mode: time stands until it is told to go, and then goes as fast as it can be worked."""

import pytest

from gateway.options import GatewayOptions
from models.domain.errors import InvalidInput

pytestmark = pytest.mark.journey

MESSAGES = """34200.1,1,11,200,1000000,1
34200.2,1,12,300,1000200,-1
34203.0,4,12,100,1000200,-1
"""
BOOK = """1000200,300,1000000,700
1000200,300,1000000,700
1000200,200,1000000,700
"""


async def test_a_step_of_hours_takes_no_time_at_any_speed(tmp_path, start_gateway, open_control):
    gateway = start_gateway(tmp_path, "--clock", "step", "--speed", "1")
    control = await open_control(gateway)
    first = await control.ask("time")
    assert (first["clock"], first["now"]) == ("step", "2022-12-29T13:00:00.000000+00:00")
    assert (await control.advance("17:00:00"))["now"] == "2022-12-29T17:00:00.000000+00:00"
    assert (await control.ask("time"))["now"] == "2022-12-29T17:00:00.000000+00:00"


async def test_a_recorded_book_is_played_to_a_client(tmp_path, start_gateway, open_control):
    from ib_async import IB, Stock

    messages = tmp_path / "LOBS_2012-06-21_34200000_57600000_message_1.csv"
    book = tmp_path / "book.csv"
    messages.write_text(MESSAGES)
    book.write_text(BOOK)
    gateway = start_gateway(
        tmp_path / "state", "--source", f"lobster:{messages},{book}", "--clock", "step"
    )
    control = await open_control(gateway)
    await control.ask("advance", to="2012-06-21T13:30:30+00:00")
    ib = IB()
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=1, timeout=20)
    (stock,) = await ib.qualifyContractsAsync(Stock("LOBS", "SMART", "USD"))
    (ticker,) = await ib.reqTickersAsync(stock)
    assert (ticker.bid, ticker.ask, ticker.bidSize, ticker.askSize) == (100.0, 100.02, 700, 200)
    assert await ib.reqContractDetailsAsync(Stock("AAPL", "SMART", "USD")) == []
    ib.disconnect()
    gateway.kill()
    arguments = ("--source", "simulated")
    with pytest.raises(AssertionError, match="was made with --source"):
        start_gateway(tmp_path / "state", *arguments)


def test_options_of_source_and_data_are_checked(tmp_path):
    with pytest.raises(InvalidInput, match="--market-data free is unknown"):
        GatewayOptions(tmp_path, market_data="free")
