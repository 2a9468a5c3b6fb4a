"""What models may not do: import the outside world, read a clock, draw unseeded numbers."""

import ast

import pytest

FORBIDDEN = {"prefect", "duckdb", "sqlalchemy", "mlflow", "ib_async", "great_expectations"}
SIDE_EFFECTS = {"time", "random", "secrets", "os", "socket", "subprocess", "requests", "httpx"}
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter", "fromtimestamp"}
SEEDED = {"default_rng", "Generator", "PCG64", "SeedSequence", "Philox", "BitGenerator"}


def imported(tree):
    """The top-level names of all imports, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def running(tree):
    """The tree without what only a type checker reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return tree


def importers_of(library, packages, root):
    """The files that import a library when they run, by path from the root."""
    return {
        str(path.relative_to(root))
        for package in packages
        for path in (root / package).rglob("*.py")
        if library in set(imported(running(ast.parse(path.read_text()))))
    }


def impure_calls(tree):
    """Calls of a clock on datetime, date or time, and of numpy's global or unseeded generators."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner, name = ast.unparse(node.func.value), node.func.attr
        is_clock = owner.rpartition(".")[2] in {"datetime", "date", "time"} and name in CLOCKS
        is_draw = owner.endswith("random") and name not in SEEDED
        is_unseeded = name == "default_rng" and not (node.args or node.keywords)
        is_pandas_now = owner.endswith("Timestamp") and name in CLOCKS
        if is_clock or is_draw or is_unseeded or is_pandas_now:
            yield f"{ast.unparse(node)} in line {node.lineno}"


@pytest.fixture(scope="module")
def model_trees(root):
    trees = {path: ast.parse(path.read_text()) for path in (root / "models").rglob("*.py")}
    assert len(trees) > 30
    return trees


def test_models_import_nothing_of_the_outside_world(model_trees):
    found = {
        str(path): names
        for path, tree in model_trees.items()
        if (names := set(imported(tree)) & (FORBIDDEN | SIDE_EFFECTS))
    }
    assert found == {}


def test_models_import_models_only(model_trees, packages):
    others = set(packages) - {"models"}
    assert not [path for path, tree in model_trees.items() if set(imported(tree)) & others]


def test_models_read_no_clock_and_draw_only_from_seeds(model_trees):
    found = {
        str(p): calls for p, tree in model_trees.items() if (calls := list(impure_calls(tree)))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "time.time()",
        "random.random()",
        "np.random.normal(0, 1)",
        "np.random.default_rng()",
        "pd.Timestamp.now()",
    ],
)
def test_the_scan_sees_what_it_looks_for(text):
    assert list(impure_calls(ast.parse(text)))


def test_the_scan_lets_seeded_draws_pass():
    assert not list(impure_calls(ast.parse("np.random.default_rng(seed).normal(0, 1)")))


@pytest.mark.parametrize(
    ("library", "door"),
    [
        ("ib_async", "tasks/broker/ibkr.py"),
        ("mlflow", "tasks/tracking.py"),
        ("great_expectations", "tasks/quality/engine.py"),
    ],
)
def test_each_library_has_one_door(library, door, packages, root):
    assert importers_of(library, packages, root) == {door}


def test_only_the_warehouse_opens_duckdb(packages, root):
    importers = importers_of("duckdb", packages, root)
    assert {path.partition("/")[0] for path in importers} == {"warehouse"}


def test_only_the_settings_read_the_environment_for_robo(packages, root):
    readers = {
        str(path.relative_to(root))
        for package in packages
        for path in (root / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Subscript | ast.Call)
        and any(mark in ast.unparse(node) for mark in ("environ[", "environ.get(", "getenv("))
        and "ROBO_" in ast.unparse(node)
    }
    assert readers <= {"tasks/settings.py"}
