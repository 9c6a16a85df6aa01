"""The root command, which loads a noun's commands only when they are asked for."""

import importlib
import os

import click

from workbench.cli.output import fail, wants_json
from workbench.core.errors import Cancelled, InputError, WorkbenchError

# Noun or verb: the module that holds it and the line `workbench --help` shows.
COMMANDS = {
    "init": ("project", "Make a project: studies, strategies, notebooks, data."),
    "demo": (
        "project",
        "Real data, notebooks over a grid, a report, a live node on practice.",
    ),
    "lab": ("project", "Open JupyterLab on this project."),
    "dashboard": ("dashboard", "Serve the dashboard on this machine."),
    "config": ("config", "Check, show, store and compare studies."),
    "data": ("data", "Plan, fetch, list and import market data."),
    "adapters": ("adapters", "List, show and check NautilusTrader's adapters."),
    "secrets": ("secrets", "Store, list and remove the credentials of adapters."),
    "backtest": ("backtest", "Run a study once."),
    "sweep": ("sweep", "Run a study over a grid of parameters."),
    "node": ("node", "Launch, watch, stop and kill live nodes."),
    "order": ("order", "Place, change, cancel and list orders by hand."),
    "risk": ("risk", "Limits, halt, flatten, the kill switch."),
    "gateway": ("gateway", "Serve every verb over HTTP and WebSocket; its tokens."),
    "runs": ("runs", "List, show, compare and report runs."),
    "venue": ("venue", "Serve the practice venue: an exchange that replays cached data."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when used: ``workbench --help`` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the nouns in the order of the work."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import and return a noun's command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"workbench.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """List the nouns without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where there is none such."""
        from workbench.core.errors import choices

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command '{args[0]}'. {choices(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nt-workbench", prog_name="workbench")
def root() -> None:
    """Research on NautilusTrader: from a study to a result one can trust."""


def run(arguments: list[str]) -> int:
    """Run a command; return its exit code."""
    as_json = wants_json(arguments)
    try:
        code = root.main(arguments, prog_name="workbench", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        context = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return fail(InputError(f"{error.format_message()}{context}"), as_json)
    except (click.Abort, KeyboardInterrupt):
        return fail(Cancelled("interrupted"), as_json)
    except WorkbenchError as error:
        return fail(error, as_json)
    except BrokenPipeError:
        return 1
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return fail(WorkbenchError(f"{error.strerror or error}{where}"), as_json)
    except Exception as error:
        if os.environ.get("WORKBENCH_DEBUG"):
            raise
        message = (
            f"internal error, please report it: {type(error).__name__}: {error} "
            "(WORKBENCH_DEBUG=1 shows where)"
        )
        return fail(WorkbenchError(message), as_json)
    return code if isinstance(code, int) else 0
