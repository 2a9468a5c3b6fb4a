"""Where things are: this checkout, and the files and folders of each mode's state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

Mode = Literal["simulated", "paper", "live"]


def project_root() -> Path:
    """Return the folder of this checkout's pyproject.toml, or the working directory without one."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


class Places:
    """The places that settings lead to; paper and live never share a file with simulated."""

    if TYPE_CHECKING:
        mode: Mode
        home: Path
        warehouse: str
        warehouse_data: Path | None
        limits_file: Path
        quality_file: Path

    @property
    def state_dir(self) -> Path:
        """The folder of one mode's state: paper and live never share a file with simulated."""
        return self.home / "var" / self.mode

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file of market data, when there is no lake."""
        if self.warehouse and not self.warehouse.startswith("ducklake:"):
            return Path(self.warehouse).expanduser().absolute()
        return self.state_dir / "warehouse.duckdb"

    @property
    def warehouse_place(self) -> str:
        """Where market data is: a DuckDB file, or the catalog of a lake."""
        is_lake = self.warehouse.startswith("ducklake:")
        return self.warehouse if is_lake else str(self.warehouse_path)

    @property
    def has_warehouse(self) -> bool:
        """Say whether market data can be asked for without making a new, empty warehouse."""
        return self.warehouse.startswith("ducklake:") or self.warehouse_path.is_file()

    @property
    def lake_folder(self) -> Path:
        """The folder of a lake's files."""
        chosen = self.warehouse_data
        return self.state_dir / "lake" if chosen is None else chosen.expanduser().absolute()

    @property
    def gateway_dir(self) -> Path:
        """The state folder of the simulated gateway."""
        return self.state_dir / "gateway"

    @property
    def prefect_home(self) -> Path:
        """The folder of Prefect's database and profiles."""
        return self.home / "var" / "prefect"

    @property
    def mlflow_dir(self) -> Path:
        """The folder of MLflow's database and artifacts."""
        return self.home / "mlruns"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking and registry store."""
        return f"sqlite:///{self.mlflow_dir / 'mlflow.db'}"

    @property
    def mlflow_artifacts(self) -> Path:
        """The folder of MLflow's artifacts."""
        return self.mlflow_dir / "artifacts"

    @property
    def limits_path(self) -> Path:
        """The risk limits; a relative path counts from the project root."""
        path = self.limits_file.expanduser()
        return path if path.is_absolute() else project_root() / path

    @property
    def quality_path(self) -> Path:
        """The operator's changes to the data quality rules, which need not be there."""
        path = self.quality_file.expanduser()
        return path if path.is_absolute() else project_root() / path

    @property
    def ticks_dir(self) -> Path:
        """The folder of recorded and imported ticks, quotes and depth."""
        return self.state_dir / "ticks"

    @property
    def data_docs(self) -> Path:
        """The folder of Great Expectations' Data Docs."""
        return self.state_dir / "data-docs"
