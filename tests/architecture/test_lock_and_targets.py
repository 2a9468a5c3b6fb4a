"""The lock pins everything and names no registry; the Makefile keeps its promised targets."""

import re
import subprocess

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[.*\])?==(?P<version>\S+)")
TARGETS = ["demo", "test", "check", "bench", "serve", "halt"]


@pytest.fixture(scope="module")
def lock(root):
    return (root / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def pins(lock):
    """Pinned versions by name; a package may have several, one for each kind of environment."""
    found = {}
    for line in lock.splitlines():
        if match := PIN.match(line):
            found.setdefault(canonicalize_name(match["name"]), []).append(match["version"])
    return found


def test_the_lock_names_no_registry(lock):
    assert "://" not in lock
    assert not re.search(r"^\s*(-i|--(extra-)?index-url|--find-links)", lock, re.MULTILINE)


def test_the_lock_pins_every_dependency_within_its_range(pins, pyproject):
    project = pyproject["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for text in wanted:
        requirement = Requirement(text)
        versions = pins.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not pinned"
        assert all(requirement.specifier.contains(version) for version in versions), text


def test_every_pin_has_a_hash(lock):
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert len(entries) > 100
    assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


@pytest.mark.parametrize("target", TARGETS)
def test_the_makefile_has_the_target(root, target):
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "VENV" in done.stdout or ".venv/bin/" in done.stdout


def test_distribution_stays_private(pyproject):
    assert "Private :: Do Not Upload" in pyproject["project"]["classifiers"]
