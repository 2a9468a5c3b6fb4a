"""The broker's edge: domain types in, domain types out; ib_async stays behind `ibkr`."""
