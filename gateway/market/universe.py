"""The instruments that can be traded: the twenty companies of the shipped history."""

from __future__ import annotations

from dataclasses import dataclass

MARKET_RULE = 26  # one increment of 0.01 USD at every price
TICK = "0.01"
FIRST_CON_ID = 700_000_001


@dataclass(frozen=True, slots=True)
class Instrument:
    """One US stock. `con_id` is this gateway's own; `volume` its usual daily shares."""

    con_id: int
    symbol: str
    name: str
    primary: str
    industry: str
    category: str
    volume: int

    @property
    def trading_class(self) -> str:
        """The listing's trading class: NMS on Nasdaq, the symbol elsewhere."""
        return "NMS" if self.primary == "NASDAQ" else self.symbol


_ROWS = (
    ("AAPL", "APPLE INC", "NASDAQ", "Technology", "Computers", 85_000_000),
    ("AMD", "ADVANCED MICRO DEVICES", "NASDAQ", "Technology", "Semiconductors", 70_000_000),
    ("BAC", "BANK OF AMERICA CORP", "NYSE", "Financial", "Banks", 40_000_000),
    ("BBY", "BEST BUY CO INC", "NYSE", "Consumer, Cyclical", "Retail", 3_000_000),
    ("CVX", "CHEVRON CORP", "NYSE", "Energy", "Oil&Gas", 9_000_000),
    ("GE", "GENERAL ELECTRIC CO", "NYSE", "Industrial", "Miscellaneous Manufactur", 6_000_000),
    ("HD", "HOME DEPOT INC", "NYSE", "Consumer, Cyclical", "Retail", 4_000_000),
    ("JNJ", "JOHNSON & JOHNSON", "NYSE", "Consumer, Non-cyclical", "Pharmaceuticals", 7_000_000),
    ("JPM", "JPMORGAN CHASE & CO", "NYSE", "Financial", "Banks", 12_000_000),
    ("KO", "COCA-COLA CO/THE", "NYSE", "Consumer, Non-cyclical", "Beverages", 14_000_000),
    ("LLY", "ELI LILLY & CO", "NYSE", "Consumer, Non-cyclical", "Pharmaceuticals", 3_000_000),
    ("MRK", "MERCK & CO. INC.", "NYSE", "Consumer, Non-cyclical", "Pharmaceuticals", 9_000_000),
    ("MSFT", "MICROSOFT CORP", "NASDAQ", "Technology", "Software", 28_000_000),
    ("PEP", "PEPSICO INC", "NASDAQ", "Consumer, Non-cyclical", "Beverages", 5_000_000),
    ("PFE", "PFIZER INC", "NYSE", "Consumer, Non-cyclical", "Pharmaceuticals", 22_000_000),
    ("PG", "PROCTER & GAMBLE CO/THE", "NYSE", "Consumer, Non-cyclical", "Cosmetics", 7_000_000),
    ("RRC", "RANGE RESOURCES CORP", "NYSE", "Energy", "Oil&Gas", 4_000_000),
    ("UNH", "UNITEDHEALTH GROUP INC", "NYSE", "Consumer, Non-cyclical", "Healthcare", 3_000_000),
    ("WMT", "WALMART INC", "NYSE", "Consumer, Cyclical", "Retail", 6_000_000),
    ("XOM", "EXXON MOBIL CORP", "NYSE", "Energy", "Oil&Gas", 18_000_000),
)

INSTRUMENTS: tuple[Instrument, ...] = tuple(
    Instrument(FIRST_CON_ID + place, *row) for place, row in enumerate(_ROWS)
)
BY_SYMBOL = {instrument.symbol: instrument for instrument in INSTRUMENTS}
BY_CON_ID = {instrument.con_id: instrument for instrument in INSTRUMENTS}
