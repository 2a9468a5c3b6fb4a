"""Dependencies phone nobody: the settings are in force where each library reads them."""

import pytest

LOOK = """
import json, os
from tasks.settings import load_settings, quiet_dependencies
force = quiet_dependencies(load_settings())
import prefect.settings, mlflow.telemetry.utils
prefect_settings = prefect.settings.get_current_settings()
print(json.dumps({
    "variables": force,
    "environment": {name: os.environ.get(name) for name in force},
    "prefect server": prefect_settings.server.analytics_enabled,
    "prefect home": str(prefect_settings.home),
    "mlflow": not mlflow.telemetry.utils.is_telemetry_disabled(),
    "pickle": mlflow.environment_variables.MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get(),
}))
"""


@pytest.fixture(scope="module")
def seen(in_fresh_process):
    return in_fresh_process(LOOK)


@pytest.mark.parametrize("library", ["prefect server", "mlflow"])
def test_telemetry_is_off_where_the_library_reads_it(seen, library):
    assert seen[library] is False


def test_the_variables_are_in_the_environment(seen):
    assert seen["environment"] == seen["variables"]
    assert seen["environment"]["DO_NOT_TRACK"] == "true"


def test_models_are_loaded_without_running_code(seen):
    assert seen["pickle"] is False
