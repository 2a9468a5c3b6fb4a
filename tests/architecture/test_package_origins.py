"""Our package names are ours alone, whatever else is installed and wherever Python starts."""

import importlib.metadata
import sys

DISTRIBUTION = "robo-trader"
LONGEST_FILE = 400  # lines


def test_every_package_comes_from_this_checkout(packages, root, in_fresh_process):
    origins = in_fresh_process(
        "import importlib, json\n"
        f"found = {{name: importlib.import_module(name).__file__ for name in {packages!r}}}\n"
        "print(json.dumps(found))"
    )
    assert origins == {name: str(root / name / "__init__.py") for name in packages}


def test_no_other_distribution_owns_our_names(packages):
    owners = importlib.metadata.packages_distributions()
    taken = {name: set(owners.get(name, ())) - {DISTRIBUTION} for name in packages}
    assert not any(taken.values()), taken


def test_every_package_of_the_checkout_is_installed(packages, root):
    here = {path.parent.name for path in root.glob("*/__init__.py")} - {"bench"}
    assert here == set(packages)


def test_no_flow_module_shadows_another_module(packages, root):
    others = (
        set(sys.stdlib_module_names)
        | set(importlib.metadata.packages_distributions())
        | set(packages)
    )
    stems = {path.stem for path in (root / "flows").glob("*.py")} - {"__init__"}
    assert stems
    assert not stems & others


def test_tests_are_no_package(root):
    assert not list((root / "tests").rglob("__init__.py"))


def test_test_files_have_names_of_their_own(root):
    names = [path.name for path in (root / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted({n for n in names if names.count(n) > 1})


def test_no_file_is_too_long(packages, root):
    folders = [*packages, "bench"]
    lengths = {
        str(path.relative_to(root)): len(path.read_text().splitlines())
        for folder in folders
        for path in (root / folder).rglob("*.py")
    }
    assert len(lengths) > 100
    assert {path: n for path, n in lengths.items() if n > LONGEST_FILE} == {}
