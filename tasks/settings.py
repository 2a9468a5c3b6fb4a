"""The settings: the one place that reads the environment (prefix `ROBO_`, or `.env`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.domain.errors import InvalidInput
from tasks.crash_points import CrashPoint
from tasks.dotenv_file import read_dotenv, refuse_unknown
from tasks.interlock import Interlock, check_interlock
from tasks.live_config import live_fingerprint
from tasks.masking import mask_account, mask_password
from tasks.places import Mode, Places, project_root
from tasks.redaction import guard_logging, keep_secret, mask_accounts, secrets_of
from tasks.settings_errors import explain_settings
from tasks.symbols import checked_symbols

PREFIX = "ROBO_"
SAMPLE_UNIVERSE = "AAPL,AMD,BAC,BBY,CVX,GE,HD,JNJ,JPM,KO,LLY,MRK,MSFT,PEP,PFE,PG,RRC,UNH,WMT,XOM"
# Seconds of wall time that an order may be under way before it shows at the broker.
QUIET_FLOORS = {"simulated": 0.2, "paper": 10.0, "live": 10.0}
PORTS = {"simulated": 4999, "paper": 4002, "live": 4001}
DATA_CLIENTS = 6  # data connections use this many client ids, from ROBO_DATA_CLIENT_ID on
ClockSource = Literal["wall", "gateway"]
NO_SETTINGS = {"ROBO_TEST_DATA"}  # read by the tests; docs/data.md has it exported


def _default_port(fields: dict[str, Any]) -> int:
    return PORTS.get(fields.get("mode", "simulated"), PORTS["simulated"])


def _default_quiet(fields: dict[str, Any]) -> float:
    return max(2.0, QUIET_FLOORS[fields.get("mode", "simulated")])


def _default_clock(fields: dict[str, Any]) -> ClockSource:
    return "gateway" if fields.get("mode") == "simulated" else "wall"


def _default_ledger(fields: dict[str, Any]) -> SecretStr:
    home = fields.get("home", project_root())
    return SecretStr(f"sqlite:///{home / 'var' / fields.get('mode', 'simulated')}/ledger.sqlite")


class Settings(Places, BaseSettings):
    """Every setting with its default, range and meaning; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    mode: Mode = Field("simulated", description="simulated, paper or live")
    home: Path = Field(default_factory=project_root, description="the folder that holds all state")
    host: str = Field("127.0.0.1", min_length=1, description="host of the IB Gateway")
    port: int = Field(default_factory=_default_port, ge=1, le=65535, description="TCP port 1-65535")
    control_port: int = Field(4998, ge=1, le=65535, description="TCP port 1-65535 (simulated only)")
    account: str = Field("", description="the account id expected at the broker, or empty")
    client_id: int = Field(11, ge=1, le=9999, description="order client id 1-9999")
    data_client_id: int = Field(12, ge=1, le=9999, description="data client id 1-9999")
    gateway_speed: float = Field(
        600.0, ge=0.01, le=3600, description="market seconds per second, 0.01-3600"
    )
    gateway_seed: int = Field(7, ge=0, le=2**31 - 1, description="whole number 0-2147483647")
    gateway_cash: int = Field(100_000, ge=1, le=10**12, description="opening cash, whole USD")
    clock: ClockSource = Field(default_factory=_default_clock, description="wall or gateway")
    universe: Annotated[tuple[str, ...], NoDecode] = Field(
        tuple(SAMPLE_UNIVERSE.split(",")),
        min_length=1,
        description="symbols, comma separated: AAPL,MSFT",
    )
    history_years: int = Field(33, ge=1, le=60, description="years of daily bars to ask for, 1-60")
    slices: int = Field(13, ge=1, le=390, description="most child orders per parent, 1-390")
    min_child_usd: float = Field(
        2500.0, ge=0, le=1e7, description="USD below which a child is not made smaller, 0-10000000"
    )
    limit_offset_bps: float = Field(5.0, ge=0, le=500, description="bps beyond the touch, 0-500")
    limits_file: Path = Field(Path("limits.toml"), description="path of the risk limits")
    quality_file: Path = Field(
        Path("quality.toml"), description="path of changes to the data quality rules, or none there"
    )
    ledger_url: SecretStr = Field(
        default_factory=_default_ledger, description="SQLAlchemy URL: sqlite:///... or postgresql"
    )
    warehouse: str = Field(
        "",
        description="a .duckdb file, ducklake:sqlite:FILE, ducklake:postgres:host=... dbname=..., "
        "or empty: var/<mode>/warehouse.duckdb",
    )
    warehouse_data: Path | None = Field(
        None, description="folder of a lake's Parquet files, or empty: var/<mode>/lake"
    )
    broker_timeout: float = Field(20.0, gt=0, le=600, description="seconds, above 0 to 600")
    quiet_period: float = Field(
        default_factory=_default_quiet,
        le=300,
        description="seconds, 0.2-300 (simulated) or 10-300 (paper, live)",
    )
    heartbeat: float = Field(5.0, ge=0.1, le=60, description="seconds, 0.1-60")
    max_clock_skew: float = Field(
        1.0, ge=0.5, le=5, description="seconds off the broker's clock, 0.5-5"
    )
    lease_ttl: float = Field(30.0, ge=1, le=3600, description="seconds, 1-3600")
    on_stop: Literal["cancel", "leave"] = Field(
        "cancel", description="cancel or leave: working orders when a session is stopped"
    )
    lock_deadline: float = Field(20.0, ge=0, le=600, description="seconds, 0-600")
    prefect_port: int = Field(4200, ge=1, le=65535, description="TCP port 1-65535")
    mlflow_port: int = Field(5001, ge=1, le=65535, description="TCP port 1-65535")
    allow_live_account: str = Field("", description="live account ids, comma separated, or empty")
    crash_at: str = Field(
        "", description="a boundary to die at, for crash tests: 12 or send-after:2 (simulated only)"
    )
    live_armed_until: AwareDatetime | None = Field(
        None, description="a moment with an offset, at most a day ahead: 2027-01-04T21:00:00Z"
    )

    live_config: str = Field(
        "", description="the approval that `robo doctor` shows in mode live, or empty"
    )

    @field_validator("universe", mode="before")
    @classmethod
    def _split_symbols(cls, value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @field_validator("universe")
    @classmethod
    def _check_symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_symbols(value))

    @field_validator("warehouse")
    @classmethod
    def _check_warehouse(cls, value: str) -> str:
        kinds = ("ducklake:sqlite:", "ducklake:postgres:")
        if ":" in value and not value.startswith(kinds):
            raise ValueError("it names neither a file nor a lake on SQLite or PostgreSQL")
        if "password" in value.lower():
            raise ValueError("it holds a password; put that into ~/.pgpass or PGPASSWORD")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("ledger_url")
    @classmethod
    def _check_url(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("sqlite:///", "postgresql")):
            raise ValueError("it names neither SQLite nor PostgreSQL")
        return value

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        data_ids = range(self.data_client_id, self.data_client_id + DATA_CLIENTS)
        if self.client_id in data_ids:
            raise ValueError(
                f"ROBO_CLIENT_ID {self.client_id} is among the data connections' ids "
                f"{data_ids[0]}-{data_ids[-1]}; set it or ROBO_DATA_CLIENT_ID to another"
            )
        if self.mode == "simulated" and self.port == self.control_port:
            raise ValueError(f"ROBO_PORT and ROBO_CONTROL_PORT are both {self.port}; change one")
        if self.mode != "simulated" and self.clock != "wall":
            raise ValueError(
                f"ROBO_CLOCK is {self.clock} in mode {self.mode}: a simulated clock is for mode "
                "simulated; unset it, or set it to wall"
            )
        return self

    @model_validator(mode="after")
    def _check_quiet(self) -> Self:
        floor = QUIET_FLOORS[self.mode]
        if self.quiet_period < floor:
            raise ValueError(
                f"ROBO_QUIET_PERIOD is {self.quiet_period:g}: an order may be under way that long "
                f"unseen, and be sent a second time; in mode {self.mode} give {floor:g} to 300 "
                "seconds"
            )
        return self

    @model_validator(mode="after")
    def _check_crash(self) -> Self:
        if not self.crash_at:
            return self
        if self.mode != "simulated":
            raise ValueError(
                f"ROBO_CRASH_AT is {self.crash_at!r} in mode {self.mode}: it kills the session on "
                "purpose and is for simulated accounts only; unset it"
            )
        try:
            CrashPoint.parse(self.crash_at)
        except InvalidInput as error:
            raise ValueError(f"ROBO_CRASH_AT: {error}") from error
        return self

    def require_tradable(self, account: str, now: datetime | None = None) -> None:
        """Pass only an account whose id, as the broker reports it, agrees with the mode.

        `now` (UTC) defaults to the wall clock, which the arming of a live account is measured by.
        Raises HaltTrading that names all that disagrees.
        """
        declared = Interlock(
            self.mode,
            self.account,
            self.allow_live_account,
            self.live_armed_until,
            port=self.port,
            approved=self.live_config,
            present=live_fingerprint(self) if self.mode == "live" else self.live_config,
        )
        check_interlock(account, declared, now if now is not None else datetime.now(UTC))

    def describe(self) -> dict[str, str]:
        """Return every setting and derived path as text, passwords and account ids masked."""
        shown = {name: str(getattr(self, name)) for name in type(self).model_fields}
        shown["universe"] = ",".join(self.universe)
        shown["ledger_url"] = mask_password(self.ledger_url.get_secret_value())
        shown["account"] = mask_account(self.account)
        shown["allow_live_account"] = ",".join(
            mask_account(part.strip()) for part in self.allow_live_account.split(",")
        )
        for name in ("state_dir", "warehouse_path", "gateway_dir", "prefect_home", "mlflow_uri"):
            shown[name] = str(getattr(self, name))
        return shown | {"limits_path": str(self.limits_path)}


def load_settings(**overrides: Any) -> Settings:
    """Read settings from `overrides`, then the environment, then `.env`.

    That file is the one in the working directory, or else the one beside pyproject.toml: a command
    given in another folder must not fall back to another mode.

    Raises InvalidInput that names each wrong variable, its value (never a secret) and what is
    allowed, and one for an unreadable `.env` or an unknown `ROBO_` variable.
    """
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    refuse_unknown((f"{PREFIX}{name}".upper() for name in overrides), known, "the arguments")
    given = {name for name in os.environ if name.upper().startswith(PREFIX)} - NO_SETTINGS
    refuse_unknown(sorted(given), known, "environment")
    from_file = read_dotenv(_dotenv_path(), PREFIX, known)
    set_outside = {name.upper() for name, value in os.environ.items() if value}
    values: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in from_file.items()
        if value and name not in set_outside
    }
    try:
        settings = Settings(**(values | overrides))
    except ValidationError as error:
        raise InvalidInput(explain_settings(error, Settings.model_fields, PREFIX)) from None
    _protect(settings)
    return settings


def _protect(settings: Settings) -> None:
    """See to it that nothing this process writes shows a secret of the settings."""
    guard_logging()
    keep_secret(*secrets_of(settings.ledger_url.get_secret_value()))
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_KEY"):
        credential = os.environ.get(name, "")
        keep_secret(credential, credential.partition(":")[2])
    if settings.mode != "simulated":
        mask_accounts()


def _dotenv_path() -> Path:
    here = Path.cwd() / ".env"
    return here if here.exists() else project_root() / ".env"


TELEMETRY_OFF: Mapping[str, str] = {
    "DO_NOT_TRACK": "true",  # MLflow takes only "true", Prefect takes it too
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}


def quiet_dependencies(settings: Settings | None = None) -> dict[str, str]:
    """Turn the telemetry of dependencies off, and point Prefect and MLflow at our folders.

    Call it before prefect, mlflow, great_expectations or lightgbm is imported. What the operator
    has set for Prefect stays. Returns the variables that are now in force.
    """
    os.environ.update(TELEMETRY_OFF)
    gentle = {
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "robo",  # a session's log belongs on its run's page
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        # Threads that spin while they wait made a fit of 1 s take 45 s beside one busy process.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    if settings is not None:
        gentle |= {
            "PREFECT_HOME": str(settings.prefect_home),
            "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        }
    for name, value in gentle.items():
        os.environ.setdefault(name, value)
    return {name: os.environ[name] for name in [*TELEMETRY_OFF, *gentle]}
