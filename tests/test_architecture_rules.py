"""The rules of the house: which way imports point, what is packaged, what `import nnlqp_nas` costs."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = {"nnlqp_nas.search_spaces": "search_spaces", "nnlqp_nas.predictors": "predictors", "nnlqp_nas.conf": "conf"}

# Folder: what it may import of the project, besides itself. A sibling stands here only where it is wrapped.
ARROWS: dict[str, set[str]] = {
    "core": set(),
    "graphs": {"core"},
    "backends": {"core", "graphs"},
    "database": {"core"},
    "oracles": {"core", "graphs"},
    "transfer": {"core", "graphs"},
    "datasets": {"core", "graphs"},
    "quality": {"core", "graphs"},
    "search": {"core", "graphs", "oracles", "quality", "transfer"},
    "report": {"core", "graphs", "search"},
    "testing": {"core", "graphs", "backends", "quality"},
    "search_spaces": {"core", "graphs"},
    "training": {"core", "graphs", "database", "datasets"},
    "predictors": {"core", "graphs", "transfer"},
}
NAMED_BY_CONFIGURATION = ("search_spaces", "predictors", "conf")
HEAVY = (
    "torch",
    "torch_geometric",
    "optuna",
    "onnxruntime",
    "onnx",
    "onnx_ir",
    "sqlalchemy",
    "alembic",
    "hydra",
    "scipy",
    "pyarrow",
    "plotly",
    "sklearn",
    "joblib",
    "nni",
    "ray",
)


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def sources() -> Iterator[tuple[str, Path]]:
    """Yield the module name and file of everything that is packaged."""
    for top in ("nnlqp_nas", *PLACES):
        folder = ROOT / PLACES.get(top, top)
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((top, *(part for part in parts if part != "__init__"))), path


def imports(name: str, path: Path) -> Iterator[str]:
    """Yield the absolute name of everything a module imports, wherever in it, for type checking too."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def folder_of(name: str) -> str:
    """Return the folder of a module of the project, '' for what stands on top."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (parts[1] in ARROWS or parts[1] in NAMED_BY_CONFIGURATION) else ""


@pytest.mark.parametrize("folder", ARROWS)
def test_imports_point_down(folder: str) -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, path in sources()
        if folder_of(name) == folder
        for imported in imports(name, path)
        if imported.partition(".")[0] == "nnlqp_nas" and folder_of(imported) not in {folder, *ARROWS[folder]}
    ]
    assert wrong == []


def test_core_needs_numpy_only() -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "nnlqp_nas"}
    wrong = [
        f"{name} imports {imported}"
        for name, path in sources()
        if folder_of(name) == "core"
        for imported in imports(name, path)
        if imported.partition(".")[0] not in allowed
        and not (imported.startswith("torch") and "TYPE_CHECKING" in path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


def test_spaces_predictors_and_backends_are_named_by_configuration_only() -> None:
    groups = project()["project"]["entry-points"]  # type: ignore[index]
    plugins = {target.partition(":")[0] for group in groups.values() for target in group.values()}
    wrong = [
        f"{name} imports {imported}"
        for name, path in sources()
        if folder_of(name) not in NAMED_BY_CONFIGURATION
        for imported in imports(name, path)
        if folder_of(imported) in NAMED_BY_CONFIGURATION
        or any(imported == plugin or imported.startswith(f"{plugin}.") for plugin in plugins)
        if imported.startswith("nnlqp_nas.")
    ]
    assert wrong == []


def test_every_package_of_the_tree_is_packaged() -> None:
    tree = {name for name, path in sources() if path.name == "__init__.py"}
    for path in (ROOT / "conf").rglob("*.yaml"):
        tree.add(".".join(("nnlqp_nas", *path.parent.relative_to(ROOT).parts)))
    setuptools = project()["tool"]["setuptools"]  # type: ignore[index]
    assert sorted(setuptools["packages"]) == sorted(tree)
    assert setuptools["package-dir"] == PLACES


def test_every_plugin_of_ours_is_where_its_entry_point_says() -> None:
    files = dict(sources())
    for group in project()["project"]["entry-points"].values():  # type: ignore[index]
        for name, target in group.items():
            module, _, cls = target.partition(":")
            assert module in files, f"{name} = {target}"
            names = {node.name for node in ast.parse(files[module].read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)}
            assert cls in names, f"{name} = {target}"


def test_importing_the_package_is_light() -> None:
    code = "import sys, nnlqp_nas; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert set(done.stdout.split()).isdisjoint(HEAVY)


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {name: n for name, path in sources() if (n := len(path.read_text(encoding="utf-8").splitlines())) > 350}
    assert long == {}
