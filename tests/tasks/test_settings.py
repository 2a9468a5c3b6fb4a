"""The settings: defaults are simulated, errors name variable, value and what is allowed."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.domain.errors import InvalidInput, RoboError
from tasks.settings import (
    TELEMETRY_OFF,
    Settings,
    load_settings,
    mask_account,
    mask_password,
    quiet_dependencies,
)


def test_defaults_are_simulated_and_local() -> None:
    settings = load_settings()
    assert (settings.mode, settings.host, settings.port) == ("simulated", "127.0.0.1", 4999)
    assert settings.clock == "gateway"
    assert len(settings.universe) == 20
    assert settings.live_armed_until is None and settings.allow_live_account == ""


@pytest.mark.parametrize(("mode", "port"), [("simulated", 4999), ("paper", 4002), ("live", 4001)])
def test_port_and_state_follow_the_mode(mode: str, port: int, tmp_path: Path) -> None:
    settings = load_settings(mode=mode, home=tmp_path)
    assert settings.port == port
    assert settings.state_dir == tmp_path / "var" / mode
    assert str(tmp_path / "var" / mode) in settings.ledger_url.get_secret_value()
    assert settings.clock == ("gateway" if mode == "simulated" else "wall")
    assert load_settings(mode=mode, port=5555).port == 5555


def test_environment_wins_over_dotenv_and_arguments_over_both(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean_environment / ".env").write_text("ROBO_SLICES=3\nROBO_PORT=6001\nrobo_client_id=44\n")
    monkeypatch.setenv("ROBO_SLICES", "4")
    assert load_settings().slices == 4
    assert load_settings(slices=5).slices == 5
    assert load_settings().port == 6001
    assert load_settings().client_id == 44


def test_empty_values_mean_the_default(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean_environment / ".env").write_text("ROBO_ACCOUNT=\nROBO_SLICES=\nOTHER=1\n# remark\n\n")
    monkeypatch.setenv("ROBO_PORT", "")
    settings = load_settings()
    assert (settings.slices, settings.port, settings.account) == (13, 4999, "")


def test_every_line_of_the_example_file_is_a_setting(clean_environment: Path) -> None:
    example = Path(__file__).parents[2] / ".env.example"
    names = set()
    for line in example.read_text().splitlines():
        if line.startswith("#ROBO_"):
            names.add(line[1:].partition("=")[0])
    assert names == {f"ROBO_{name.upper()}" for name in Settings.model_fields}
    (clean_environment / ".env").write_text(example.read_text())
    assert load_settings() == Settings()


def test_uncommented_example_file_holds_the_defaults(clean_environment: Path) -> None:
    example = Path(__file__).parents[2] / ".env.example"
    lines = [
        line.removeprefix("#") if line.startswith("#ROBO_") else line
        for line in example.read_text().splitlines()
        if not line.startswith(("#ROBO_HOME", "#ROBO_LEDGER_URL"))
    ]
    (clean_environment / ".env").write_text("\n".join(lines))
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("ROBO_MODE", "papr", "simulated, paper or live"),
        ("ROBO_PORT", "0", "1-65535"),
        ("ROBO_PORT", "abc", "1-65535"),
        ("ROBO_GATEWAY_SPEED", "nan", "0.01-3600"),
        ("ROBO_GATEWAY_SPEED", "4000", "0.01-3600"),
        ("ROBO_SLICES", "0", "1-390"),
        ("ROBO_SLICES", "2.5", "1-390"),
        ("ROBO_UNIVERSE", "AAPL,,MSFT", "comma separated"),
        ("ROBO_UNIVERSE", "AAPL,aapl", "comma separated"),
        ("ROBO_UNIVERSE", "AAPL;DROP TABLE", "comma separated"),
        ("ROBO_LIVE_ARMED_UNTIL", "2027-01-01T00:00:00", "with an offset"),
        ("ROBO_BROKER_TIMEOUT", "inf", "seconds"),
    ],
)
def test_wrong_value_names_variable_value_and_range(
    variable: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput) as caught:
        load_settings()
    text = str(caught.value)
    assert variable in text and repr(value) in text and allowed in text


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBO_PORT", "0")
    monkeypatch.setenv("ROBO_SLICES", "-1")
    with pytest.raises(InvalidInput, match=r"(?s)ROBO_PORT.*ROBO_SLICES"):
        load_settings()


def test_settings_that_contradict_each_other_are_refused() -> None:
    for client_id in (12, 15):
        with pytest.raises(InvalidInput, match=rf"ROBO_CLIENT_ID {client_id} .* 12-17"):
            load_settings(client_id=client_id)
    assert load_settings(client_id=18).client_id == 18
    with pytest.raises(InvalidInput, match="ROBO_PORT and ROBO_CONTROL_PORT"):
        load_settings(port=4998)
    assert load_settings(mode="paper", port=4998).port == 4998


def test_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBO_LEDGER_URL", "mysql://robo:canary@db/robo")
    with pytest.raises(InvalidInput) as caught:
        load_settings()
    assert "canary" not in str(caught.value) and "ROBO_LEDGER_URL is ********" in str(caught.value)
    monkeypatch.setenv("ROBO_LEDGER_URL", "postgresql+psycopg://robo:canary@db:5432/robo?x=1")
    settings = load_settings()
    shown = f"{settings!r} {settings} {settings.describe()} {settings.model_dump()}"
    assert "canary" not in shown
    assert settings.describe()["ledger_url"] == "postgresql+psycopg://robo:********@db:5432/robo"
    assert "canary" in settings.ledger_url.get_secret_value()


def test_passwords_and_accounts_are_masked() -> None:
    assert mask_password("sqlite:////var/ledger.sqlite") == "sqlite:////var/ledger.sqlite"
    assert "pw" not in mask_password("postgresql://host/db?user=me&password=pw")
    assert mask_account("U1234567") == "U1****67"
    described = load_settings(account="U1234567", allow_live_account="U1234567,U7654321").describe()
    assert "U1234567" not in str(described)


def test_unknown_variable_suggests_the_nearest(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as inner:
        inner.setenv("ROBO_PROT", "1")
        with pytest.raises(InvalidInput, match=r"ROBO_PROT.*did you mean ROBO_PORT"):
            load_settings()
    (clean_environment / ".env").write_text("\nROBO_SLICE=3\n")
    with pytest.raises(InvalidInput, match=r"ROBO_SLICE in .*line 2.*did you mean ROBO_SLICES"):
        load_settings()
    (clean_environment / ".env").unlink()
    with pytest.raises(InvalidInput, match="did you mean ROBO_SLICES"):
        load_settings(slcies=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x81\xff", "not UTF-8"),
        (b"ROBO_PORT=1\x00", "binary"),
        (b"ROBO_PORT=4999\nthis is no line\n", "line 2"),
        (b"ROBO_PORT='4999\n", "line 1"),
        (b"ROBO_PORT=1\nROBO_PORT=2\n", "line 2 sets ROBO_PORT a second time"),
        (b"x" * 1_000_001, "larger"),
    ],
)
def test_corrupt_dotenv_is_refused(clean_environment: Path, content: bytes, message: str) -> None:
    (clean_environment / ".env").write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        load_settings()


def test_dotenv_that_is_a_folder_is_refused(clean_environment: Path) -> None:
    (clean_environment / ".env").mkdir()
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_settings()


@hypothesis_settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(content=st.binary(max_size=200))
def test_any_dotenv_is_read_or_refused_in_words(clean_environment: Path, content: bytes) -> None:
    (clean_environment / ".env").write_bytes(b"ROBO_SLICES=3\n" + content)
    try:
        assert load_settings().slices == 3
    except RoboError as error:
        assert ".env" in str(error) or "ROBO_" in str(error)


def test_settings_are_frozen() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_universe_and_relative_paths(tmp_path: Path) -> None:
    settings = load_settings(universe="brk.b, msft", home=tmp_path / "a" / ".." / "b")
    assert settings.universe == ("BRK.B", "MSFT")
    assert settings.home == tmp_path / "b"
    assert settings.limits_path == Path(__file__).parents[2] / "limits.toml"
    assert settings.mlflow_uri == f"sqlite:///{tmp_path / 'b' / 'mlruns' / 'mlflow.db'}"
    assert load_settings(limits_file=tmp_path / "l.toml").limits_path == tmp_path / "l.toml"


def test_dependencies_are_quiet_and_stay_in_our_folders(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    in_force = quiet_dependencies(settings)
    assert TELEMETRY_OFF.items() <= in_force.items()
    assert in_force["PREFECT_HOME"] == str(settings.prefect_home)
    monkeypatch.setenv("PREFECT_HOME", "/elsewhere")
    assert quiet_dependencies(settings)["PREFECT_HOME"] == "/elsewhere"


def test_telemetry_switches_are_the_ones_the_packages_read() -> None:
    code = (
        "from tasks.settings import quiet_dependencies; quiet_dependencies()\n"
        "from prefect.settings import get_current_settings\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "from prefect._internal.analytics.enabled import is_telemetry_enabled\n"
        "now = get_current_settings()\n"
        "assert now.server.analytics_enabled is False\n"
        "assert now.server.ephemeral.startup_timeout_seconds == 90\n"
        "assert now.telemetry.enable_resource_metrics is False\n"
        "assert now.cloud.enable_orchestration_telemetry is False\n"
        "assert is_telemetry_disabled()\n"
        "assert not is_telemetry_enabled()\n"
    )
    done = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_reading_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tasks.settings import load_settings; load_settings()\n"
        "print([n for n in ('pandas', 'numpy', 'prefect', 'mlflow', 'sqlalchemy') "
        "if n in sys.modules])"
    )
    done = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
