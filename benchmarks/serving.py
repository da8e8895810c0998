"""What `seglock serve` answers a second, how soon, and what it makes of hostile bodies.

    python -m benchmarks.serving [--quick] [--out FOLDER] [--folder FOLDER]

A package with random weights, of fcn_small (width 32) at 64 and at 256 pixels and of the paper's
FCN-ResNet50, is served by `seglock serve` and, the same folder, by `mlflow models serve`, each as
it comes. One light process (``serving_load.py``) plays 1, 8 and 64 clients that each keep a
connection and ask again at once. In the same rounds the bare network answers batches that are ready
in memory, as large as the server would make them (8 at most), on as many threads as the server has:
what the machine could do at most. The median of the rounds counts. What is measured is kept in
``--folder``, one file a part, and not measured again: delete it to do so.

Aims on the CPU: at 8 clients 0.8 of the bare network and 3 times `mlflow models serve`; 10,000
hostile bodies without a reply of 5xx or a growing process.

What limits: for FCN-ResNet50 the network. One image of 256 pixels costs 1.5 ms of a core beside it:
0.5 decoding its envelope, 0.3 encoding the answer, the rest HTTP and its share of asking; that is
next to 2 ms of a core that onnxruntime needs for fcn_small. At 64 pixels the network takes 0.1 ms,
and Python's part of HTTP (h11, on one thread) 0.2. There 0.8 is out of reach of any server in
Python; httptools and uvloop, which uvicorn takes where they are installed, were not tried.

What helped, seen beside other work: whole batches decoded, computed and encoded in one thread, one
hop between threads a batch in the place of three a request; a batch a core on one thread each, but
one batch on all cores for a large network (1.25 times for FCN-ResNet50); FastAPI's way to a
function left out for /predict, 1.2 times at 64 pixels; sharing what waits among the threads, which
halved p99 at 256 as ONNX. A torch module gives up Python's lock at every layer and waits for it
again while the event loop works: an ONNX file, one call a batch, answers 1.5 times as many at 64.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.results import REPOSITORY, RESULTS, Row, show_rows, write_rows
from benchmarks.serving_client import client_rows
from benchmarks.serving_hostile import tell
from benchmarks.serving_package import ENVELOPES, NUMBERS, write_case
from benchmarks.serving_processes import Bare, free_port, load, serving
from benchmarks.serving_startup import startup_rows
from seglock.files import read_json, write_json

BATCH = 8
HOSTILE = 10_000
OURS, THEIRS, BARE = "seglock serve", "mlflow models serve", "the bare network"
FOLDER = REPOSITORY / ".seglock" / "benchmarks" / "serving"
_BODIES = {OURS: ENVELOPES, THEIRS: NUMBERS}
_PATHS = {OURS: ("/predict", "image/png"), THEIRS: ("/invocations", "application/json")}


@dataclass(frozen=True)
class Case:
    """One model and who asks it: pixels a side, its network, clients, seconds a round, rounds.

    ``beside``: who else answers; in a quick run nobody, who takes ten seconds to start.
    """

    side: int
    width: int = 32
    network: str = "fcn_small"
    onnx: bool = False
    clients: tuple[int, ...] = (1, 8, 64)
    seconds: float = 4.0
    rounds: int = 3
    beside: tuple[str, ...] = (THEIRS,)

    @property
    def name(self) -> str:
        return f"{self.network} at {self.side}{' as ONNX' if self.onnx else ''}"


CASES = (
    Case(64), Case(64, onnx=True), Case(256), Case(256, onnx=True),
    Case(256, network="fcn_resnet50", clients=(8,), seconds=20.0),
)  # fmt: skip
QUICK = (Case(16, 4, clients=(2,), seconds=0.2, rounds=1, beside=()),)


def measure(case: Case, folder: Path) -> dict[str, Any]:
    """Rounds of the bare network, ours and theirs: by who answers and by clients, the medians."""
    package = write_case(folder / "package", case.side, case.network, case.width, onnx=case.onnx)
    model = package / "artifacts" / "model.onnx" if case.onnx else package
    ports = {who: free_port() for who in (OURS, *case.beside)}
    seen: dict[tuple[str, int], list[dict[str, float]]] = {}
    with contextlib.ExitStack() as running:
        bare = running.enter_context(Bare(model))
        for who, port in ports.items():
            command, ready = command_of(who, model if who == OURS else package, port)
            running.enter_context(serving(command, port, ready, folder / f"{who}.log"))
        for _ in range(case.rounds):
            for clients in case.clients:
                rate = bare.rate(min(clients, BATCH), case.seconds)
                seen.setdefault((BARE, clients), []).append({"rate": rate})
                for who, port in ports.items():
                    bodies = sorted((folder / _BODIES[who]).iterdir())
                    found = load(port, *_PATHS[who], clients, case.seconds, bodies)
                    seen.setdefault((who, clients), []).append(found)
    return {
        f"{who}, {clients}": {name: median(each[name] for each in found) for name in found[0]}
        for (who, clients), found in seen.items()
    }


def command_of(who: str, model: Path, port: int) -> tuple[list[str], str]:
    """How a server is started, each as it comes, and the path that says that it has."""
    if who == OURS:
        return ["seglock", "serve", "--model", str(model), "--port", str(port)], "/ready"
    return [
        "mlflow", "models", "serve", "--model-uri", str(model), "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(port),
    ], "/ping"  # fmt: skip


def rows_of(case: Case, seen: dict[str, Any]) -> list[Row]:
    """Requests a second beside both, and the waits beside theirs."""
    rows = list[Row]()
    for clients in case.clients:
        ours, bare = (seen[f"{who}, {clients}"] for who in (OURS, BARE))
        who = f"{case.name}, {clients} client{'s' * (clients > 1)}"
        limit = f"{BARE}, batches of {min(clients, BATCH)}"
        rate = Row(
            who, ours["rate"], "requests/s", limit=limit, share_of_limit=ours["rate"] / bare["rate"]
        )
        waits = [Row(f"{who}: {part}", ours[part], "ms") for part in ("p50", "p99")]
        for other in case.beside:
            theirs = seen[f"{other}, {clients}"]
            rate = replace(rate, reference=other, ratio=ours["rate"] / theirs["rate"])
            waits = [
                replace(row, reference=other, ratio=theirs[part] / ours[part])
                for row, part in zip(waits, ("p50", "p99"), strict=True)
            ]
        rows += [rate, *waits]
    return rows


def measure_hostile(case: Case, count: int, folder: Path) -> dict[str, Any]:
    """What a server of the case's model makes of so many hostile bodies."""
    package = write_case(folder / "package", case.side, case.network, case.width, onnx=case.onnx)
    good = next((folder / ENVELOPES).iterdir()).read_bytes()
    port = free_port()
    command, ready = command_of(OURS, package, port)
    with serving(command, port, ready, folder / f"{OURS}.log") as process:
        told = tell(port, process, good, count)
        log = (folder / f"{OURS}.log").read_text().splitlines()
    statuses = {str(status): seen for status, seen in sorted(told.statuses.items())}
    return asdict(told) | {"statuses": statuses, "broken": told.broken, "log": len(log)}


def hostile_rows(told: dict[str, Any], count: int) -> list[Row]:
    """What must be nothing, and the slowest reply."""
    first, last = told["memory"][0], told["memory"][-1]
    grown, lost = max(0, last - first) / 1e6, count // 100 - told["good"]
    who = f"{count} hostile bodies"
    return [
        Row(f"{who}: replies of 5xx, or none", told["broken"], ""),
        Row(f"{who}: good ones between them, not answered", lost, ""),
        Row(f"{who}: growth after the first tenth", grown, "MB"),
        Row(f"{who}: the slowest reply", told["slowest"] * 1e3, "ms"),
    ]


def kept(folder: Path, part: str, work: Any) -> Any:
    """A part's figures, from ``folder`` where an earlier run has measured it."""
    path = folder / f"{part.replace(' ', '-')}.json"
    if not path.is_file():
        (folder / part).mkdir(parents=True, exist_ok=True)
        write_json(path, work(folder / part))
    return read_json(path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tiny network and few bodies")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the figures")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="what was measured before")
    given = parser.parse_args(arguments)
    cases, count = (QUICK, 130) if given.quick else (CASES, HOSTILE)
    rounds = {"client": 1, "startup": 1} if given.quick else {"client": 40, "startup": 6}
    rows = list[Row]()
    for case in cases:
        rows += rows_of(case, kept(given.folder, case.name, partial(measure, case)))
    told = kept(given.folder, "hostile", partial(measure_hostile, cases[0], count))
    rows += hostile_rows(told, count)
    sides = sorted({case.side for case in cases})
    found = kept(given.folder, "client", lambda _: client_rows(sides, rounds["client"]))
    found += kept(given.folder, "startup", lambda _: startup_rows(rounds["startup"]))
    rows += [Row(**row) for row in found]
    show_rows("serving", rows)
    settings = {"cases": [asdict(case) for case in cases], "batch": BATCH, "hostile": told}
    write_rows("serving", rows, settings=settings, folder=given.out)
    print(f"aims at 8 clients: 0.8 of {BARE}, 3 times {THEIRS}; no 5xx, no growth")


if __name__ == "__main__":
    main()
