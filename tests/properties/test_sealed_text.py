"""A digest is over the same bytes as ever: ledgers of before must still be verified."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from warehouse.ledger.chain import SEALED, row_digest, sealed_text

VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)


@given(st.lists(VALUES))
def test_the_text_of_a_seal_is_that_of_the_json_encoder(values):
    assert sealed_text(values) == json.dumps(values)


@given(st.none() | st.text())
def test_a_child_without_checks_has_the_digest_of_a_ledger_from_before_them(checks):
    keys, columns = SEALED["children"]
    row = dict.fromkeys((*keys, *columns), "x") | {"checks": checks}
    kept = [row[name] for name in columns if name != "checks"] + (
        [] if checks is None else [checks]
    )
    content = json.dumps(["children", "x", *kept])
    assert row_digest("children", row) == ("x", hashlib.sha256(content.encode()).hexdigest())
