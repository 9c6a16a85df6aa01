"""``workbench gateway``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from workbench.cli.output import emit, json_option, note, say, table
from workbench.core.project import Project


@click.group()
def gateway() -> None:
    """Serve every verb over HTTP and WebSocket; make and revoke its tokens."""


@gateway.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8765, show_default=True,
    help="0 takes a free one.",
)  # fmt: skip
@click.option(
    "--name", "names", multiple=True, metavar="HOST",
    help="A name it may be asked for by, besides this machine's own: a proxy's. May be repeated.",
)  # fmt: skip
@click.option("--root-path", default="", help="Where a proxy has put it: /user/me/proxy/8765.")
@click.option(
    "--proxy", "proxies", multiple=True, metavar="ADDRESS",
    help="Of a proxy whose X-Forwarded headers count. May be repeated.",
)  # fmt: skip
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--no-dashboard", is_flag=True, help="Serve the API alone.")
@click.option("--show", is_flag=True, help="Open the dashboard in a browser.")
@json_option
def serve(
    host: str,
    port: int,
    names: tuple[str, ...],
    root_path: str,
    proxies: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    no_dashboard: bool,
    show: bool,
    as_json: bool,
) -> int:
    """Serve the API and the dashboard until Ctrl-C; nodes go on after that."""
    from workbench.gateway import Settings
    from workbench.gateway import serve as serve_gateway

    if (certificate is None) != (key is None):
        raise click.UsageError("TLS takes both --certificate and --key")
    if root_path and (not root_path.startswith("/") or root_path.endswith("/")):
        raise click.UsageError("--root-path begins with / and does not end with it")
    project = Project.find()

    def ready(base: str, dashboard: str) -> None:
        document = {"url": base, "dashboard": dashboard, "project": str(project.root)}
        emit(document, as_json, lambda: say(dashboard))
        sys.stdout.flush()
        note(f"API at {base}, described in {base}/openapi.json (Ctrl-C ends it)")
        note("the address above holds a token that is good until then; for programs: "
             "workbench gateway token create NAME")  # fmt: skip

    serve_gateway(
        project,
        host=host,
        port=port,
        settings=Settings(
            hosts=names,
            root_path=root_path,
            dashboard=not no_dashboard,
            secure=certificate is not None,
        ),
        certificate=certificate,
        key=key,
        proxies=proxies,
        show=show,
        on_ready=ready,
    )
    return 0


@gateway.group()
def token() -> None:
    """Make, list and revoke the tokens of programs."""


@token.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, default=("read",), show_default=True,
    help="read, research, trade, admin. May be repeated; each includes read, admin all.",
)  # fmt: skip
@click.option("--days", type=float, default=90, show_default=True, help="How long it is good.")
@click.option("--forever", is_flag=True, help="Until it is revoked.")
@json_option
def create(name: str, scopes: tuple[str, ...], days: float, forever: bool, as_json: bool) -> int:
    """Make a token for NAME (a person or a program); it is shown this once."""
    made, text = _tokens().create(name, scopes, days=None if forever else days)
    _noted("token create", created=made.id, name=made.name, scopes=list(made.scopes))
    emit(made.to_dict() | {"token": text}, as_json, lambda: say(text))
    end = f"until {made.expires}" if made.expires else "until it is revoked"
    note(f"{made.id}: {', '.join(made.scopes)}, {end}. It is kept nowhere: copy it now")
    return 0


@token.command(name="list")
@json_option
def list_(as_json: bool) -> int:
    """List the tokens, without their secrets."""
    found = [each.to_dict() for each in _tokens().list_()]

    def text() -> None:
        if not found:
            say("there is no token: workbench gateway token create NAME")
            return
        keys = ("id", "name", "scopes", "created", "expires", "state")
        rows = [[_cell(each[key]) for key in keys] for each in found]
        table(list(keys), rows)

    emit({"tokens": found}, as_json, text)
    return 0


@token.command()
@click.argument("name")
@json_option
def revoke(name: str, as_json: bool) -> int:
    """Revoke the token with the id NAME, or all of that name; it holds at once."""
    ended = [each.to_dict() for each in _tokens().revoke(name)]
    _noted("token revoke", revoked=[each["id"] for each in ended])
    emit({"revoked": ended}, as_json, lambda: say("\n".join(_revoked(each) for each in ended)))
    return 0


def _tokens() -> Any:
    from workbench.gateway import Tokens

    return Tokens(Project.find())


def _noted(action: str, **content: Any) -> None:
    import getpass

    from workbench.gateway.audit import Audit

    log = Audit(Project.find())
    log.write(action, who=getpass.getuser(), token=None, source="command line", **content)
    log.close()


def _revoked(each: dict[str, Any]) -> str:
    return f"{each['id']} ({each['name']}) is revoked"


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "-")
