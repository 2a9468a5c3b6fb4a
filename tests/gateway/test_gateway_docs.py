"""The tables in docs/ say what the code does: requests, faults, limits, codes.

`ROBO_WRITE_TABLES=1 pytest tests/gateway/test_gateway_docs.py` writes the first three anew.
"""

import ast
import os
import re
from pathlib import Path

import pytest

from gateway import cli_faults
from gateway.codec.requests import REQUESTS
from gateway.faults import desk  # noqa: F401 - it brings every kind
from gateway.faults.registry import described
from gateway.limits import PacingLimits
from gateway.session import hub
from gateway.session.refusals import CODES, SILENT

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CALLS = frozenset({"Refused", "error", "warn", "end", "Notice", "field"})


def handlers():
    found = {}
    for module in vars(hub).values():
        found |= getattr(module, "HANDLERS", {})
    return found


def answer(name):
    if name == "startApi":
        return "Sends the managed accounts, the next order id and the state of the data farms."
    if name in CODES:
        code, text = CODES[name]
        return f"Declined: {code} {text}"
    if name in SILENT:
        return "Taken; the protocol has no answer to it."
    return handlers()[name].__doc__.strip().splitlines()[0]


def requests_table():
    rows = [f"| {r.id} | `{r.name}` | {answer(r.name)} |" for r in REQUESTS.values()]
    return ["| id | request | what it gets |", "|---|---|---|", *rows]


def faults_table():
    rows = [
        f"| `{kind['fault']}` | {kind['summary']} | {parameters(kind['params'])} |"
        for kind in described()
    ]
    return ["| name | what it does | parameters |", "|---|---|---|", *rows]


def parameters(params):
    shown = {name: value for name, value in params.items() if name not in {"text", "reason"}}
    return ", ".join(f"`{name}={cli_faults._short(value)}`" for name, value in shown.items())


OPTIONS = {
    "messages_per_second": cli_faults.Messages,
    "market_data_lines": cli_faults.Lines,
    "depth_lines": cli_faults.Depth,
    "tick_by_tick_lines": cli_faults.Ticks,
    "tick_by_tick_seconds": cli_faults.TickSeconds,
    "history_requests": cli_faults.History,
    "open_histories": cli_faults.Open,
    "active_orders": cli_faults.Orders,
}


def limits_table():
    rows = [
        f"| `--{name.replace('_', '-')}` | {getattr(PacingLimits(), name)} | "
        f"{option.__metadata__[0].help} |"
        for name, option in OPTIONS.items()
    ]
    return ["| option | default | what it limits (and the code) |", "|---|---|---|", *rows]


TABLES = {
    "requests": ("gateway-protocol.md", requests_table),
    "faults": ("gateway.md", faults_table),
    "limits": ("gateway.md", limits_table),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_the_code_does(name):
    file, make = TABLES[name]
    path, made = DOCS / file, "\n".join(make())
    text = path.read_text()
    between = re.compile(
        rf"(<!-- table: {name} -->\n\n)(.*?)(\n\n<!-- end of table -->)", re.DOTALL
    )
    if os.environ.get("ROBO_WRITE_TABLES"):
        text = between.sub(lambda found: found[1] + made + found[3], text)
        path.write_text(text)
    shown = between.search(text)
    assert shown is not None, f"{file} has no table {name}"
    assert shown[2] == made


def test_every_limit_is_in_the_table():
    assert set(OPTIONS) == set(PacingLimits.__dataclass_fields__)


def codes_in(tree):
    """TWS codes in calls that tell one, in (code, text) pairs, and in what restores a line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = getattr(function, "id", getattr(function, "attr", ""))
            parts = [*node.args, *(k.value for k in node.keywords)] if name in CALLS else []
        elif isinstance(node, ast.Tuple):
            texts = [e for e in node.elts if isinstance(e, ast.Constant | ast.JoinedStr)]
            says = any(not isinstance(getattr(e, "value", ""), int) for e in texts)
            parts = node.elts if says else []
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if str(getattr(key, "value", "")) in {"1101", "1102"}]
        else:
            continue
        for part in parts:
            value = getattr(part, "value", None)
            if str(value).isdigit() and 100 <= int(value) <= 10_400:
                yield int(value)


def test_every_code_that_the_gateway_tells_is_explained():
    files = [*(ROOT / "gateway" / "pacing.py",)]
    for folder in ("engine", "session", "faults"):
        files += (ROOT / "gateway" / folder).glob("*.py")
    told = {code for file in files for code in codes_in(ast.parse(file.read_text()))}
    explained = re.findall(r"^\| (\d+) \|", (DOCS / "gateway-codes.md").read_text(), re.MULTILINE)
    assert sorted(told) == [int(code) for code in explained]


def test_every_certification_case_is_listed():
    folder = ROOT / "tests" / "contracts" / "certification"
    cases = {
        f"GW-{number}"
        for file in folder.glob("test_*.py")
        for number in re.findall(r"def test_gw(\d{3})_", file.read_text())
    }
    listed = re.findall(r"^\| (GW-\d{3}) \|", (DOCS / "gateway.md").read_text(), re.MULTILINE)
    assert sorted(cases) == listed


def test_every_generic_tick_is_listed():
    from gateway.session.generic_ticks import NAMES

    text = (DOCS / "gateway-data.md").read_text()
    listed = text.partition("Generic ticks")[2].partition("\n-")[0]
    numbers = {int(number) for number in re.findall(r"\b\d{3}\b", listed)}
    assert set(NAMES) <= numbers
