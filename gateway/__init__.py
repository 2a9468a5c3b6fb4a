"""A simulated IB Gateway: a TCP server of the TWS API protocol with a market of its own."""

__version__ = "0.1.0"
