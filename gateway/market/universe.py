"""The instruments: twenty companies of the shipped history, and simulated ones around them.

Columns (the places in `INSTRUMENTS`) never change while a gateway runs; a replayed file may add
instruments behind the last one before anything else begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TICK = "0.01"
FIRST_CON_ID = 700_000_001
STOCK_RULE, INDEX_RULE, HALF_PIP_RULE, YEN_RULE = 26, 27, 239, 240
RULES: dict[int, tuple[tuple[str, str], ...]] = {
    STOCK_RULE: (("0", "0.01"),),
    INDEX_RULE: (("0", "0.01"),),
    HALF_PIP_RULE: (("0", "0.00005"),),
    YEN_RULE: (("0", "0.005"),),
    32: (("0", "0.0001"), ("1", "0.01")),
    557: (("0", "0.05"), ("3", "0.1")),
}
MARKET_RULE = STOCK_RULE


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the closes of a simulated instrument are made.

    `kind` is `basket` (equal weights of `parts`, which are columns), `walk` (a seeded random walk
    of daily volatility `vol`, with `beta` to the basket of all companies), `rate` (a walk that
    returns to `level`) or `fear` (the annualised volatility of the basket, in percent). `level` is
    the price at the last real session (of a rate: the one it returns to).
    """

    kind: str
    level: float
    parts: tuple[int, ...] = ()
    vol: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument. `con_id` is this gateway's own; `volume` its usual daily shares.

    `sec_type` is STK (ETFs too), IND or CASH; `recipe` is None where the closes are real.
    """

    con_id: int
    symbol: str
    name: str
    primary: str
    industry: str
    category: str
    volume: int
    sec_type: str = "STK"
    stock_type: str = "COMMON"
    currency: str = "USD"
    rule: int = STOCK_RULE
    recipe: Recipe | None = field(default=None, compare=False)

    @property
    def column(self) -> int:
        """Its place in `INSTRUMENTS`."""
        return self.con_id - FIRST_CON_ID

    @property
    def trading_class(self) -> str:
        """The listing's trading class: NMS on Nasdaq, the symbol elsewhere, the pair for forex."""
        if self.sec_type == "CASH":
            return self.local_symbol
        return "NMS" if self.primary == "NASDAQ" and self.sec_type == "STK" else self.symbol

    @property
    def listing(self) -> str:
        """The listing as messages name it: NASDAQ.NMS, else the exchange alone."""
        return "NASDAQ.NMS" if self.trading_class == "NMS" else self.primary

    @property
    def local_symbol(self) -> str:
        """The name on its exchange."""
        return f"{self.symbol}.{self.currency}" if self.sec_type == "CASH" else self.symbol

    @property
    def tick(self) -> str:
        """The smallest price increment."""
        return RULES[self.rule][0][1]

    @property
    def units(self) -> int:
        """How many ticks make one unit of currency."""
        return round(1.0 / float(self.tick))

    @property
    def digits(self) -> int:
        """Decimal places of its prices."""
        return len(self.tick.partition(".")[2])


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
REAL = len(_ROWS)
_ALL = tuple(range(REAL))
_FUNDS: tuple[tuple[str, str, str, int, float, tuple[int, ...]], ...] = (
    ("SPY", "SIMULATED FUND: THE TWENTY COMPANIES", "ARCA", 80_000_000, 380.0, _ALL),
    ("QQQ", "SIMULATED FUND: TECHNOLOGY", "NASDAQ", 50_000_000, 265.0, (0, 1, 12)),
    ("XLE", "SIMULATED FUND: ENERGY", "ARCA", 20_000_000, 87.0, (4, 16, 19)),
    ("XLF", "SIMULATED FUND: BANKS", "ARCA", 40_000_000, 34.0, (2, 8)),
    ("XLV", "SIMULATED FUND: HEALTH", "ARCA", 9_000_000, 136.0, (7, 10, 11, 14, 17)),
)
_RATES = (
    ("EUR", "USD", "European Monetary Union Euro", 1.06, 0.0055, HALF_PIP_RULE),
    ("GBP", "USD", "British pound", 1.21, 0.006, HALF_PIP_RULE),
    ("USD", "JPY", "United States dollar", 133.0, 0.006, YEN_RULE),
    ("USD", "CHF", "United States dollar", 0.93, 0.0055, HALF_PIP_RULE),
)
SIMULATED_STOCKS = 80

INSTRUMENTS: list[Instrument] = []
BY_SYMBOL: dict[str, Instrument] = {}
BY_CON_ID: dict[int, Instrument] = {}


def add(*row: object, **fields: object) -> Instrument:
    """Append an instrument (`Instrument`'s fields without con_id); its symbol finds it."""
    instrument = Instrument(FIRST_CON_ID + len(INSTRUMENTS), *row, **fields)  # type: ignore[arg-type]
    INSTRUMENTS.append(instrument)
    BY_SYMBOL.setdefault(instrument.local_symbol, instrument)
    BY_CON_ID[instrument.con_id] = instrument
    return instrument


def _fill() -> None:
    for row in _ROWS:
        add(*row)
    for symbol, name, primary, volume, level, parts in _FUNDS:
        recipe = Recipe("basket", level, parts)
        add(symbol, name, primary, "Funds", "Equity Fund", volume, stock_type="ETF", recipe=recipe)
    for symbol, name, primary, recipe in (
        ("SPX", "SIMULATED INDEX: THE TWENTY COMPANIES", "CBOE", Recipe("basket", 3800.0, _ALL)),
        ("NDX", "SIMULATED INDEX: TECHNOLOGY", "NASDAQ", Recipe("basket", 11000.0, (0, 1, 12))),
        ("VIX", "SIMULATED INDEX: VOLATILITY", "CBOE", Recipe("fear", 0.0, _ALL)),
    ):
        kind = {"sec_type": "IND", "stock_type": "", "rule": INDEX_RULE, "recipe": recipe}
        add(symbol, name, primary, "Indices", "Broad Range Equity Index", 0, **kind)
    for symbol, currency, name, level, vol, rule in _RATES:
        kind = {"sec_type": "CASH", "stock_type": "", "currency": currency, "rule": rule}
        recipe = Recipe("rate", level, vol=vol)
        add(symbol, name, "IDEALPRO", "", "", 0, **kind, recipe=recipe)
    for number in range(1, SIMULATED_STOCKS + 1):
        recipe = Recipe("walk", 20.0 + 2.5 * number, vol=0.012, beta=0.5 + number / 80.0)
        volume = 1_000_000 * (1 + number % 20)
        name = f"SIMULATED COMPANY {number}"
        add(f"SIM{number:03d}", name, "NYSE", "Simulated", "Simulated", volume, recipe=recipe)


_fill()
