"""Which market regime the recent closes are in."""
