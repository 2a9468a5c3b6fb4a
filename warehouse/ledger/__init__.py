"""The order ledger in SQL: parents, children, executions, money, halts and leases."""

from warehouse.ledger.order_ledger import OrderLedger

__all__ = ["OrderLedger"]
