"""What the pages have people type works: every command in order, on fewer and smaller images."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from seglock.config import SyntheticParams
from seglock.data import write_synthetic
from tests.docs.pages import PAGES, commands
from tests.e2e.project import ROOT, Project, make_project
from tests.e2e.terminal import Terminal, tiny
from tests.postgres import PASSWORD, USER, Postgres

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
QUICK, PHOTOS, DATABASE = map(Path, (
    "docs/quick-start.md", "docs/photos.md", "docs/how-to/postgresql.md",
))  # fmt: skip
OTHERS = [page for page in PAGES if page not in (QUICK, PHOTOS, DATABASE) and commands(page)]
PARSED = {
    "source |export |pip install |sudo ": "the environment and the servers are there",
    "seglock playground": "tests/stages/test_playground.py drops images into it",
    "mlflow ui |mlflow server ": "tests/tracking starts it",
    "mlflow models serve ": "tests/serving/test_package.py asks it",
    "(.* )?optuna-dashboard ": "tests/search/test_database.py has it read a study",
    "(.* )?ray start |seglock search .*--ray ": "tests/search/test_cluster_study.py has two nodes",
    "torchrun ": "tests/training/test_distributed.py trains in two processes",
    "dvc queue start": "goes on behind the test; tests/e2e/test_experiments.py empties a queue",
    "seglock key export main -o ": "a passphrase is typed; tests/cli/test_passphrase.py does",
    "seglock rotate|dvc commit --force train@": "asks for a network that has learnt something; "
    "tests/stages/test_rotate.py has one",
    "make demo": "test_the_quick_start types its steps",
    "make (test|benchmarks|protocol)|(timeout .*)?python -m benchmarks": "takes hours, or is this; "
    "tests/benchmarks runs each with less",
    "make test-gpu": "needs a GPU",
    "dvc exp run .*imagenet": "downloads weights",
    "docker ": "needs a builder",
}
"""Commands, as their lines begin, that are not typed here but only parsed (tests/docs), and why."""

ONCE = ("dvc repro", "seglock doctor", "seglock report", "seglock search --show", "seglock audit")
"""Commands that tell a second page nothing new."""


def parsed(line: str) -> bool:
    return any(re.match(start, line) for start in PARSED)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, forks: Path) -> Iterator[Terminal]:
    """In the folder of a project that is as after the demo; photos lie in it, and beside it."""
    home = tmp_path_factory.mktemp("home")
    opened = Terminal(make_project(home, tmp_path_factory.mktemp("keys")))
    opened.at.fork_from(forks)
    opened.at.change(tiny)
    write_synthetic(SyntheticParams(train=48, test=8, side=32, classes=4), home / "photos")
    shutil.copy(opened.at.root / "params.yaml", opened.at.root / "profiles/tiny.yaml")
    (opened.at.root / "photos").mkdir()
    first, second, *_ = sorted((home / "photos/JPEGImages").iterdir())
    shutil.copy(first, opened.at.root / f"photos/a{first.suffix}")
    shutil.copy(second, opened.at.root / "photos")
    Image.open(first).save(opened.at.root / "photo.jpg")
    opened.at.run("dvc", "repro")
    opened.at.commit("the demo")
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def terminal(tmp_path: Path, forks: Path) -> Iterator[Terminal]:
    """In an empty folder; ``seglock`` and ``dvc`` start at once."""
    made = make_project(tmp_path / "other", tmp_path / "keys")
    opened = Terminal(Project(tmp_path / "home", made.environment))
    opened.at.root.mkdir()
    opened.at.fork_from(forks)
    try:
        yield opened
    finally:
        opened.close()


def test_the_quick_start(finished: Terminal) -> None:
    makefile = (ROOT / "Makefile").read_text()
    demo = re.search(r"^demo:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    assert demo
    for line in commands(QUICK):
        if line == "make demo":
            for step in demo[1].splitlines():
                finished.type(step.strip("\t@"))
            assert "shf-4" in finished.said
        elif not parsed(line):
            finished.type(line)
    assert "train.epochs" in finished.said  # of the experiment that the last command shows
    assert (finished.at.root / "data/reports/report.html").is_file()


def test_from_photos_to_a_served_model(terminal: Terminal) -> None:
    write_synthetic(
        SyntheticParams(train=48, test=8, side=32, classes=4), terminal.at.root / "photos"
    )
    said: dict[str, str] = {}
    for line in commands(PHOTOS):
        typed = line.replace("PUBLIC-KEY", said.get("seglock key recipient", "").strip())
        said[line] = terminal.type(typed.replace("np-8-refuse", "shf-4"))
        if line == "cd mine":
            terminal.at.change(tiny)
    root = terminal.at.root
    assert len(list((root / "answers/masks").glob("*.png"))) == 56
    scored = [text for line, text in said.items() if "--masks" in line]
    assert [len(re.findall(r"mean IoU 0\.\d{4} of 56 photos", text)) for text in scored] == [1, 1]
    assert (root / "main.key").stat().st_mode & 0o077 == 0
    assert "nothing found" in said["seglock audit"]


@pytest.mark.parametrize("page", OTHERS, ids=str)
def test_other_pages(page: Path, finished: Terminal) -> None:
    project = finished.at
    for line in commands(page):
        typed = here(line, finished)
        absent = typed.startswith("cd ") and not (finished.at.root / typed[3:]).exists()
        again = typed.startswith(ONCE) and (finished.at.root, typed) in finished.typed
        if typed.startswith("seglock init"):
            shutil.rmtree(project.root.parent / "mine", ignore_errors=True)
        if not (parsed(line) or absent or again):
            finished.type(typed)
        if line.startswith("dvc exp show"):
            assert max(map(len, finished.said.splitlines())) <= 120
        project.run("git", "checkout", "-q", "params.yaml")
    finished.close()
    finished.at = project
    project.run("git", "clean", "-ffdq")  # what the next page wants to make anew


def here(line: str, terminal: Terminal) -> str:
    """A page's line as it is typed in the finished project, outside which another is made."""
    store = terminal.at.root.parent / "store"
    if "9ab3...e1" in line:
        line = line.replace("9ab3...e1", terminal.type("seglock key recipient").strip())
    for there, smaller in (
        (r"(check|--data) (~/)?photos", r"\1 ../photos"),
        (r"init (~/)?mine", "init ../mine"),
        (r"URL", "."),
        (r"s3://\S+", str(store)),
        (r"https://models\.example\.org", "http://127.0.0.1:8700"),
        (r"shf-4 np-4", "shf-4 baseline"),
        (r"np-8-refuse", "shf-4"),
        (r"np-4", "shf-4"),
        (r"train\.epochs=\d+", "train.epochs=2"),
        (r"(dvc exp run .*)", r"\1 evaluate@shf-4"),
        (r"--trials \d+", "--trials 2"),
    ):
        line = re.sub(there, smaller, line)
    return line


def test_a_study_in_postgresql(finished: Terminal, postgres: Postgres) -> None:
    at = f"{USER}@127.0.0.1:{postgres.port}"
    postgres.new_database("page")
    for line in commands(DATABASE):
        if not parsed(line):
            typed = line.replace("seglock@db/studies", f"{at}/page").replace(
                "--trials 48", "--trials 1"
            )
            finished.type(f"PGPASSWORD={shlex.quote(PASSWORD)} {typed}")
            assert f"postgresql+psycopg://{at}/page" in finished.said


def test_every_reason_is_of_a_command() -> None:
    lines = [line for page in PAGES for line in commands(page)]
    assert [start for start in PARSED if not any(re.match(start, line) for line in lines)] == []


@pytest.mark.filterwarnings("ignore")  # the kernel's packages warn of each other
def test_the_notebook(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    for name in set(os.environ) - set(terminal.at.environment):
        monkeypatch.delenv(name)
    for name, value in terminal.at.environment.items():
        monkeypatch.setenv(name, value)
    book = nbformat.read(ROOT / "docs/first-hour.ipynb", as_version=4)
    after = next(i for i, cell in enumerate(book.cells) if "%cd hour" in cell.source)
    smaller = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from tests.e2e.project import Project\n"
        "from tests.e2e.terminal import tiny\n"
        "Project(Path.cwd(), {}).change(tiny)\n"
    )
    book.cells.insert(after + 1, nbformat.v4.new_code_cell(smaller))
    NotebookClient(
        book, timeout=300, kernel_name="python3",
        resources={"metadata": {"path": str(terminal.at.root.parent)}},
    ).execute()  # fmt: skip
    shown = [out for cell in book.cells for out in cell.get("outputs", [])]
    assert [out for out in shown if "image/png" in out.get("data", {})]
