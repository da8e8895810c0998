"""``seglock key``: make, list, check, publish and hand over keys. A secret is never printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.terminal import AsJson, print_json

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Secret keys: they live in a key store outside the project, their public records in it.",
)
Name = Annotated[str, typer.Argument(help="The key's name, as in params.yaml: main unless set.")]


@app.command("new")
def new_command(name: Name) -> None:
    """Make a key and say where it is; a key is never written over."""
    from seglock.keys import KeyStore

    store = KeyStore()
    record = store.new(name)
    typer.echo(f"made key {name}, id {record.id}")
    _ask_for_backup(store.secret_path(name))


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the keys of the key store by name, id and time."""
    from seglock.errors import KeyRefusedError
    from seglock.keys import KeyStore

    store = KeyStore()
    unfinished = store.check()
    names = store.names()
    found: list[dict[str, str]] = []
    for name in names:
        try:
            record = store.record(name)
            found.append({"name": name, "id": record.id, "created": record.created})
        except KeyRefusedError as error:
            found.append({"name": name, "refused": str(error)})
    if as_json:
        print_json(found)
        return
    if unfinished:
        typer.echo(f"removed {unfinished} unfinished, which a `seglock key new` that died left")
    typer.echo(f"{len(names)} {'key' if len(names) == 1 else 'keys'} in {store.folder}")
    width = max(map(len, names), default=0)
    for key in found:
        typer.echo(f"{key['name']:<{width}}  {'  '.join([*key.values()][1:])}")
    if not names:
        typer.echo("make one with `seglock key new NAME`; `dvc repro` makes those it needs")


@app.command("show")
def show_command(name: Name, as_json: AsJson = False) -> None:
    """Show a key's public record, which is JSON and may be given to anyone."""
    from seglock.keys import KeyStore

    del as_json
    typer.echo(KeyStore().record(name).to_bytes().decode(), nl=False)


@app.command("verify")
def verify_command(
    name: Name,
    record: Annotated[
        Path | None,
        typer.Option(help="A record file; data/keys/NAME.json if there is one, else the store's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the secret against its public record; exit code 3 if it is refused."""
    from seglock.cli.project import given
    from seglock.keys import PublicRecord, load_key

    published = Path("data/keys") / f"{name}.json"
    source = (record and given(record)) or (published if published.is_file() else None)
    key = load_key(name, record=PublicRecord.from_file(source) if source else None)
    place = source or "the key store"
    if as_json:
        print_json({"name": name, "id": key.id, "record": place})
        return
    typer.echo(f"key {name}, id {key.id}, is the one in {place}")


@app.command("publish")
def publish_command() -> None:
    """Write the records of the keys that params.yaml's locks name to data/keys."""
    from seglock.config import load_params
    from seglock.keys import KeyStore
    from seglock.stages.key import publish_keys

    store = KeyStore()
    published = publish_keys(load_params(), Path("data/keys"), store)
    for name, record in published.records.items():
        typer.echo(f"key {name}, id {record.id}: data/keys/{name}.json")
    for name in published.created:
        _ask_for_backup(store.secret_path(name))


WordsFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="Read the passphrase from there (or /dev/fd/N), instead of asking for it.",
    ),
]


@app.command("export")
def export_command(
    name: Name,
    out: Annotated[Path, typer.Option("-o", "--out", help="The new file; mode 0600.")],
    to: Annotated[
        str | None,
        typer.Option(help="Seal it to a machine: what `seglock key recipient` prints there."),
    ] = None,
    passphrase_file: WordsFile = None,
) -> None:
    """Seal a key into a file for another machine, by a passphrase unless --to says for which."""
    from seglock.cli.passphrase import ask
    from seglock.cli.project import given
    from seglock.stages.key_file import export_key

    source = passphrase_file and given(passphrase_file)
    record = export_key(name, given(out), to=to, words=lambda: ask(source, twice=True))
    typer.echo(f"key {name}, id {record.id}, sealed: {out}")
    typer.echo("there: `seglock key import FILE`; delete the file afterwards")
    if to is None:
        typer.echo("tell the passphrase by another way than the file goes")


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="What `seglock key export` wrote.")],
    name: Annotated[
        str | None, typer.Option("--as", help="Keep it under another name than it had.")
    ] = None,
    passphrase_file: WordsFile = None,
) -> None:
    """Open a sealed key and keep it in this machine's key store; exit code 3 if it is refused."""
    from seglock.cli.passphrase import ask
    from seglock.cli.project import given
    from seglock.stages.key_file import import_key

    source = passphrase_file and given(passphrase_file)
    kept = import_key(given(file), name=name, words=lambda: ask(source, twice=False))
    done = "imported" if kept.added else "is here already as"
    typer.echo(f"key {kept.key_id} {done} {kept.name}")
    typer.echo("compare the id with your colleague's `seglock key list`; the file can be deleted")


@app.command("recipient")
def recipient_command() -> None:
    """Print this machine's public key, to which a colleague can export a key; it is made once."""
    from seglock.keys import KeyStore, public_half

    typer.echo(public_half(KeyStore().machine()))


def _ask_for_backup(path: Path) -> None:
    typer.echo(f"the secret is in {path}")
    typer.echo("back it up: without it the models trained under it are of no use to anyone")
