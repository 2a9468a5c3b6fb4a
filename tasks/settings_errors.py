"""What is wrong with the settings, each variable by name, for whoever has to correct them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from tasks.masking import MASK


def explain_settings(error: ValidationError, fields: Mapping[str, FieldInfo], prefix: str) -> str:
    """Return a line for each wrong variable: its value (never a secret) and what is allowed."""
    lines: list[str] = []
    for item in error.errors(include_url=False):
        field = str(item["loc"][0]) if item["loc"] else ""
        if item["type"] == "default_factory_not_called":  # follows from another field's error
            continue
        reason = item["msg"].removeprefix("Value error, ")
        if not field:  # two settings that contradict each other
            lines.append(reason)
            continue
        info = fields[field]
        value = MASK if info.annotation is SecretStr else repr(item["input"])
        lines.append(
            f"{prefix}{field.upper()} is {value}: {reason[0].lower()}{reason[1:]}; "
            f"allowed: {info.description}"
        )
    return "\n".join([*lines, "correct it in the environment or in .env and run again"])
