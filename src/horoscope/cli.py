"""The command line: `horoscope COMMAND`; a command is imported when called, so each starts fast."""

import importlib
import sys

import click

from horoscope.errors import HoroscopeError

COMMANDS = {
    "generate": ("horoscope.generation.command:generate", "Write a horoscope."),
    "data": ("horoscope.dataset.command:data", "Fetch and prepare texts to learn from."),
    "train": ("horoscope.training.command:train", "Fine-tune or train a model."),
    "evaluate": (
        "horoscope.training.evaluate_command:evaluate",
        "Compare models with people's texts.",
    ),
    "critic": (
        "horoscope.training.critic_command:critic",
        "Let a model choose among its sentences.",
    ),
    "export": ("horoscope.training.export_command:export", "Make the fast CPU engine of a model."),
    "run": ("horoscope.bot.command:run", "The whole bot in one process."),
    "bot": ("horoscope.bot.command:bot", "The Telegram side alone, on Apache Kafka."),
    "worker": ("horoscope.worker_command:worker", "The writing side alone, on Apache Kafka."),
    "dead-letters": (
        "horoscope.messaging.command:dead_letters",
        "What nobody could deal with: list, show, replay.",
    ),
    "demo": (
        "horoscope.demo.command:demo",
        "A local Telegram with the bot in it; no token needed.",
    ),
}


class LazyGroup(click.Group):
    """Lists commands without importing them (click's documented pattern for fast start-up)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="horoscope")
def cli() -> None:
    """Horoscopes in Russian, written by a small language model of our own.

    Try `horoscope generate лев` first.
    """


def main() -> None:
    """Run the command line; every known failure is one line and an exit code."""
    try:
        # Without the standalone mode click returns the code of ctx.exit().
        if code := cli(prog_name="horoscope", standalone_mode=False):
            sys.exit(code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except HoroscopeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("horoscope"):
            raise
        package = error.name.partition(".")[0]
        needs = f"This command needs {package}: pip install 'horoscope[train]'"
        click.echo(f"Error: {needs}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output (head, less) left; that is no failure of ours.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        click.echo(f"Error: {error.strerror or error}{where}", err=True)
        sys.exit(1)
