"""The market warehouse, against DuckDB and pyarrow alone."""
