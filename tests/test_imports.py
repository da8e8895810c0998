"""The house: what a room may not import, no circle, no long file, a name a class, public names."""

from __future__ import annotations

import collections
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import seglock

LIGHT = {
    "seglock": {"torch", "numpy", "pydantic", "mlflow", "cryptography"},
    "seglock.config": {"torch", "numpy", "mlflow"},
    "seglock.keys": {"torch", "mlflow", "argon2"},
    "seglock.transforms": {"torch", "mlflow", "torchvision"},
    "seglock.data": {"torch", "mlflow", "PIL"},
    "seglock.tracking": {"torch", "mlflow"},
    "seglock.results": {"torch", "mlflow", "matplotlib"},
    "seglock.report": {"torch", "mlflow", "matplotlib"},
    "seglock.client": {"torch", "mlflow", "requests", "PIL"},
    "seglock.stages.predict": {"torch", "mlflow", "requests", "matplotlib"},
    "seglock.stages.encrypt_images": {"torch", "mlflow", "requests", "PIL"},
    "seglock.stages.encrypt": {"torch", "mlflow"},
    "seglock.stages.search": {"torch", "mlflow", "optuna", "ray", "matplotlib", "plotly"},
    "seglock.cli.search_progress": {"torch", "mlflow", "optuna", "ray"},
    "seglock.stages.key": {"torch", "mlflow"},
    "seglock.stages.data": {"torch", "mlflow"},
    "seglock.stages.train": {"torch", "mlflow"},
    "seglock.stages.evaluate": {"torch", "mlflow"},
    "seglock.stages.attack": {"torch", "mlflow"},
    "seglock.models": {"torchvision", "mlflow"},
    "seglock.evaluation": {"torchvision", "mlflow"},
    "seglock.training": {"torchvision", "mlflow"},
}


def test_imports_stay_light() -> None:
    """One after the other in one process: what may load more comes later."""
    code = (
        "import importlib, sys\n"
        f"for module, heavy in {LIGHT!r}.items():\n"
        "    importlib.import_module(module)\n"
        "    print(*(f'{module} loads {name}' for name in sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.split("\n") == [""] * (len(LIGHT) + 1)


def test_no_imports_go_in_a_circle() -> None:
    """Not even by imports inside functions, or for types alone."""
    graph = grimp.build_graph("seglock", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "seglock.training" in imports["seglock.stages.train"]  # inside a function
    circle: list[str] = []
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]
    assert circle == []


def test_no_file_has_more_than_300_lines() -> None:
    source = Path(seglock.__file__).parent
    lines = {path: len(path.read_text().splitlines()) for path in source.rglob("*.py")}
    assert {str(path.relative_to(source)): n for path, n in lines.items() if n > 300} == {}


def test_no_two_classes_have_one_name() -> None:
    source = Path(seglock.__file__).parent
    text = "".join(path.read_text() for path in source.rglob("*.py"))
    counts = collections.Counter(re.findall(r"^class ([A-Z]\w*)", text, re.MULTILINE))
    assert len(counts) > 100
    assert [name for name, count in counts.items() if count > 1] == []


def test_public_names_are_these() -> None:
    names = {
        "Client",
        "SecretKey",
        "Transform",
        "__version__",
        "build_transform",
        "compose",
        "fold",
    }
    assert set(seglock.__all__) == names
    for name in names:
        assert getattr(seglock, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = seglock.nothing
