"""A canary for every secret: none of them is written, whichever way it takes."""

import json
import logging
from datetime import UTC, datetime

import pytest

from flows import parameters
from flows.artifacts import publish_table
from flows.outcomes import finish
from flows.run_end import Outcome
from models.domain.errors import HaltTrading
from tasks import redaction, tracking
from tasks.alerts import Alert, raise_alert
from tasks.redaction import redact
from tasks.settings import load_settings
from tasks.tracking import CandidateRecord

PASSWORD, CREDENTIAL = "canary-hunter2", "robo:canary-credential"
PAPER, LIVE, OTHER = "DU7654321", "U1234567", "U7777777"
CANARIES = [PASSWORD, CREDENTIAL, "canary-credential", PAPER, LIVE, OTHER]


@pytest.fixture
def paper(monkeypatch):
    """Settings of a paper account with a secret in each place that can hold one."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_masks_accounts", [False])
    before = logging.getLogRecordFactory()
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", CREDENTIAL)
    yield load_settings(
        mode="paper",
        account=PAPER,
        allow_live_account=f"{LIVE}, {OTHER}",
        ledger_url=f"postgresql+psycopg://robo:{PASSWORD}@db.example/robo",
    )
    logging.setLogRecordFactory(before)


def leak():
    return " ".join([f"connecting with {PASSWORD}", CREDENTIAL, *CANARIES])


def require_none(text):
    assert not [canary for canary in CANARIES if canary in text], text


def test_logs_of_ours_and_of_libraries(paper, caplog):
    for name in ("robo.session", "ib_async.wrapper", "prefect.flow_runs", "sqlalchemy.engine"):
        logging.getLogger(name).error("%s and %s", leak(), LIVE)
    require_none(caplog.text)
    assert "DU*****21" in caplog.text


def test_tracebacks(paper, caplog):
    try:
        raise ValueError(leak())
    except ValueError:
        logging.getLogger("prefect.engine").exception("the run failed")
    assert "ValueError" in caplog.text
    require_none(caplog.text)


def test_states_that_the_prefect_ui_shows(paper):
    done = finish(lambda: Outcome(leak()), announce=False)
    require_none(done.message)

    def fail():
        raise HaltTrading(leak())

    with pytest.raises(HaltTrading) as raised:
        finish(fail)
    require_none(str(raised.value))


def test_alerts_and_settings(paper, tmp_path):
    path = tmp_path / "alerts.jsonl"
    raise_alert(path, Alert(datetime.now(UTC), "error", f"for {PAPER}", leak()))
    require_none(path.read_text())
    require_none(json.dumps(paper.describe()))
    require_none(repr(paper.ledger_url))


def test_a_broker_account_that_no_setting_names(paper):
    assert redact("account DU1112223 and U9998887 in 2 lines") == (
        "account DU*****23 and U9****87 in 2 lines"
    )
    plain = "KO 100 shares at 63.10 USD, U.S. market, order UX1, run 12345678"
    assert redact(plain) == plain


def test_simulated_ids_are_no_secret(monkeypatch):
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_masks_accounts", [False])
    load_settings()
    assert redact("SIM0000001 U1234567") == "SIM0000001 U1234567"


def test_tables_in_the_prefect_ui(paper, monkeypatch):
    kept = []
    monkeypatch.setattr(
        "flows.artifacts.create_table_artifact", lambda *table, **words: kept.append((table, words))
    )
    publish_table([{"reason": leak(), "shares": 5}], key="execution", description=leak())
    require_none(str(kept))
    ((table,), _) = kept[0]
    assert table[0]["shares"] == 5


def test_tags_and_parameters_in_mlflow(paper):
    record = CandidateRecord(
        fingerprint="f",
        recipe={"note": leak()},
        params={"folds": 6, "note": leak()},
        metrics={},
        importance={},
        passed=False,
        reasons=(leak(),),
        trained_at=datetime.now(UTC),
        git_commit=leak(),
    )
    require_none(str(tracking.texts_of(record)))
    assert tracking.texts_of(record)[0]["folds"] == "6"


def test_no_form_of_the_prefect_ui_asks_for_a_secret():
    """A parameter is stored and shown as it was given: what is secret has no parameter."""
    forms = [
        form
        for form in vars(parameters).values()
        if isinstance(form, type) and issubclass(form, parameters.FlowParameters)
    ]
    assert len(forms) > 4
    named = {name for form in forms for name in form.model_fields}
    words = ("account", "password", "secret", "token", "url", "key", "credential", "armed")
    assert not [name for name in named if any(word in name for word in words)]
