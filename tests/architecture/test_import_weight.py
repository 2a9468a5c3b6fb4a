"""The command line starts fast: no heavy library is imported before it is needed."""

import pytest

HEAVY = [
    "prefect",
    "pandas",
    "numpy",
    "mlflow",
    "great_expectations",
    "lightgbm",
    "ib_async",
    "exchange_calendars",
    "skfolio",
    "sqlalchemy",
    "duckdb",
]

HELP = """
import json, sys
from typer.testing import CliRunner
from flows.cli import app
shown = CliRunner().invoke(app, ["--help"])
assert shown.exit_code == 0, shown.output
print(json.dumps({"modules": sorted(sys.modules), "help": shown.output}))
"""
VERBS = [
    *("demo", "gateway", "ingest", "retrain", "rebalance", "execute", "reconcile"),
    *("status", "halt", "resume", "watch", "doctor", "serve", "limits", "orders"),
]


@pytest.fixture(scope="module")
def shown(in_fresh_process):
    return in_fresh_process(HELP)


def test_help_imports_nothing_heavy(shown):
    imported = {module.partition(".")[0] for module in shown["modules"]}
    assert "typer" in imported
    assert not imported & set(HEAVY)


@pytest.mark.parametrize("verb", VERBS)
def test_help_lists_every_verb(shown, verb):
    assert f" {verb} " in shown["help"]


def test_settings_import_nothing_heavy(in_fresh_process):
    modules = in_fresh_process(
        "import json, sys\n"
        "from tasks.settings import load_settings, quiet_dependencies\n"
        "quiet_dependencies(load_settings())\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert not {module.partition(".")[0] for module in modules} & set(HEAVY)


@pytest.mark.parametrize("module", ["models.domain.orders", "models.risk.gate", "gateway.cli"])
def test_the_order_vocabulary_is_light(in_fresh_process, module):
    modules = in_fresh_process(
        f"import json, sys\nimport {module}\nprint(json.dumps(sorted(sys.modules)))"
    )
    assert not {name.partition(".")[0] for name in modules} & {"pandas", "prefect", "mlflow"}


def test_a_halt_cancels_before_anything_heavy_is_imported(in_fresh_process):
    modules = in_fresh_process(
        "import json, sys\n"
        "import flows.cli, tasks.halts.halting, tasks.settings, warehouse.quick_halt\n"
        "from tasks.broker.quick_cancel import cancel_all\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert not {name.partition(".")[0] for name in modules} & set(HEAVY)
