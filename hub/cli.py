"""The command line: each command reads the settings, starts one part, and turns errors into one line.

Nothing that is slow to import is imported before it is needed, so that `hub --help` answers at once.
Exit codes: 0 done, 1 not done or not possible, 2 wrong usage or settings, 130 ended with Ctrl-C.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import signal
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub import HubError, __version__

if TYPE_CHECKING:
    from hub.settings import Settings

TO_BEGIN, EVERY_DAY, TO_LOOK_AFTER, TO_MEASURE = PANELS = ("To begin", "Every day", "To look after it", "To measure it")


class Grouped(typer.core.TyperGroup):
    """The commands in the order in which somebody meets them."""

    def list_commands(self, ctx: object) -> list[str]:
        return sorted(self.commands, key=lambda name: PANELS.index(getattr(self.commands[name], "rich_help_panel")))  # noqa: B009


app = typer.Typer(
    name="hub", help="An offline assistant for the home.", cls=Grouped, no_args_is_help=True,
    pretty_exceptions_enable=False,
)  # fmt: skip
settings_app = typer.Typer(help="Show and check the settings.", no_args_is_help=True)
app.add_typer(settings_app, name="settings", rich_help_panel=TO_LOOK_AFTER)
model_app = typer.Typer(help="Fetch, choose, look at, export and verify models.", no_args_is_help=True)
app.add_typer(model_app, name="model", rich_help_panel=TO_LOOK_AFTER)

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file; else HUB_CONFIG, ~/.config/hub/hub.toml, /etc/hub/."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Room = Annotated[str, typer.Option("--room", help="The room in which it is said.")]


def main() -> None:
    """The console script: no foreseeable error shows a traceback."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that has no sign for a device's name
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # `hub devices | head`
        sys.stderr.close()
        raise SystemExit(1) from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hub {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=EVERY_DAY)
def run(config: Config = None) -> None:
    """Run the hub: answer what is said on hub/ID/say."""
    settings = _settings(config)
    from hub import daemon, logs
    from hub import settings as files

    logs.set_up(settings.log_level)
    if (found := files.find(config)) is not None and (said := files.older(found)):
        logging.getLogger(__name__).warning("%s: %s; hub settings migrate mends that", found, said)

    async def work() -> int:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await daemon.run(settings, stop)
        return 0

    _finish(work)


@app.command(rich_help_panel=EVERY_DAY)
def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help='What is said, for example "turn on the kitchen light".')],
    room: Room = "",
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Say one command, to the running hub or without one; 0 means that it was done."""
    settings = _settings(config)
    from hub import logs
    from hub import say as saying

    logs.set_up("warning")
    asked = saying.at_the_terminal if sys.stdin.isatty() and not as_json else None
    with _reported(1):
        turn = saying.said(settings, text, room, asked)
    typer.echo(json.dumps(turn, ensure_ascii=False) if as_json else _folded(turn["reply"]))
    raise typer.Exit(0 if turn["done"] else 1)


@app.command(rich_help_panel=EVERY_DAY)
def listen(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A WAV file, or - for stdin; without it, the microphone."),
    ] = None,
    do: Annotated[bool, typer.Option("--say", help="Say to the hub what was heard, as `hub say` does.")] = False,
    room: Room = "",
    raw: Annotated[
        str, typer.Option("--raw", metavar="FORMAT", help="What comes is no WAV: for example 48000/2/s32.")
    ] = "",
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Hear one spoken command; 0 means that it was heard, and with --say that it was done."""
    settings = _settings(config)
    from hub import listen as listening
    from hub import logs

    logs.set_up("warning")
    watched = file is None and sys.stderr.isatty()

    async def work() -> int:
        frames = listening.source(settings, file, raw)
        listened = await listening.listen(settings, frames, listening.meter if watched else listening.unseen)
        if watched:
            typer.echo(err=True)  # the meter's line stays
        listened = await listening.said(settings, listened, room) if do else listened
        typer.echo(json.dumps(listened.as_json(), ensure_ascii=False) if as_json else listened.as_text())
        return 0 if listened.done else 1

    _finish(work)


@app.command(rich_help_panel=EVERY_DAY)
def devices(
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and show each change as it happens.")] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """List what is in the house: where it is, what it can do, and its state."""
    settings = _settings(config)
    from hub import listing, logs

    logs.set_up("warning")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    _finish(lambda: listing.show(settings, watch, as_json, _print_line, width))


@app.command(rich_help_panel=TO_MEASURE)
def understand(
    home: Annotated[str, typer.Option("--home", metavar="FILE[#ID]", help="The home, as JSON; #ID picks one of many.")],
    config: Config = None,
) -> None:
    """Read sentences as JSON lines from stdin, and write what they mean in the home; nothing is done."""
    settings = _settings(config)
    from hub import logs, measure

    logs.set_up("warning")
    _finish(lambda: measure.understand_lines(settings, home, sys.stdin.buffer, sys.stdout.buffer, sys.stderr))


@app.command(rich_help_panel=TO_MEASURE)
def score(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Sentences and what they are to do.")],
    home: Annotated[str, typer.Option("--home", metavar="FILE[#ID]", help="The home, as JSON; #ID picks one of many.")],
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Test your own sentences on your own home; nothing is done. 0 means that all of them are understood."""
    settings = _settings(config)
    from hub import logs
    from hub import score as scoring

    logs.set_up("warning")
    _finish(lambda: scoring.show(settings, file, home, as_json, _print_line))


@app.command(rich_help_panel=TO_MEASURE)
def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help='Model files; "home" is the shipped one. Without any: that, and the one of the settings.',
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each sentence is read.")] = 10,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, max=64, help="Processor threads; else as in the settings.")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture, too.")] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Measure on this board how fast models read sentences, and the memory they hold; nothing is done."""
    settings = _settings(config)
    from hub import bench as measuring
    from hub import logs

    logs.set_up("warning")

    def tell(text: str) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r\033[K{text}", err=True, nl=False)

    order = measuring.Order(tuple(models or ()), rounds, threads or settings.model.threads, as_json, svg)
    _finish(lambda: measuring.show(settings, order, _print_line, tell))


@app.command(rich_help_panel=TO_BEGIN)
def demo(
    script_only: Annotated[bool, typer.Option("--script-only", help="End after the script.")] = False,
    voice: Annotated[
        bool, typer.Option("--voice", help="Say the script aloud and hear it (needs the voice extra and espeak-ng).")
    ] = False,
    config: Config = None,
) -> None:
    """Run a house in software over a real MQTT broker, and talk to it."""
    settings = _settings(config)
    from hub import demo as showing
    from hub import logs

    logs.set_up("error")
    _finish(lambda: showing.demo(settings, talk=not script_only and sys.stdin.isatty(), voice=voice))


@app.command(rich_help_panel=TO_BEGIN)
def setup(
    steps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STEP", help="board, broker, models, sound, devices, sensitive, service, command; all without one."
        ),
    ] = None,
    answers: Annotated[
        Path | None, typer.Option("--answers", metavar="FILE", help="Ask nobody: the answers are in this TOML file.")
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Set the hub up, a step after the other; what was begun goes on. 0 means that all steps were taken."""
    from hub import logs
    from hub.setup import wizard
    from hub.setup.asking import Terminal

    logs.set_up("error")
    with _reported(2):
        if answers is None and (as_json or not sys.stdin.isatty()):
            raise HubError("hub setup needs a terminal, or a file of answers: hub setup --answers FILE [--json]")
        file = wizard.place(config)
        if answers is None:
            report = wizard.attended(file, steps or (), Terminal())
        else:
            report = wizard.unattended(file, answers, steps or (), lambda text: typer.echo(text, err=True))
    if report is None:
        raise typer.Exit(130)
    if answers is not None:
        typer.echo(report.as_json() if as_json else report.as_text())
    raise typer.Exit(0 if report.well else 1)


@app.command(rich_help_panel=TO_BEGIN)
def doctor(
    as_json: Json = False,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Write a report without secrets, to be passed on.")
    ] = None,
    config: Config = None,
) -> None:
    """Look at everything from the settings to a device's answer, and say what mends what is wrong; 0 means that all is well."""
    from hub import installed

    found = list(installed.findings())
    if not as_json:
        for finding in found:
            typer.echo(_folded(finding.in_words(), 20))
    if installed.blocked(found):
        if as_json:
            typer.echo(json.dumps({"well": False, "findings": [finding.as_dict() for finding in found]}, indent=1))
        raise typer.Exit(1)
    from hub import doctor as looking
    from hub import logs

    logs.set_up("error")
    place = looking.Place(config)

    async def work() -> int:
        async for finding in looking.examine(place):
            found.append(finding)
            if not as_json:
                typer.echo(_folded(finding.in_words(), 20))
        typer.echo(looking.as_json(found) if as_json else f"\n{looking.verdict(found)}")
        if bundle is not None:
            looking.write(bundle, looking.bundle(place, found))
        return 0 if looking.is_well(found) else 1

    _finish(work)


@app.command(rich_help_panel=TO_LOOK_AFTER)
def bundle(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, or one made before.")],
    extras: Annotated[
        str, typer.Option("--extras", metavar="LIST", help="What else to pack: voice, find, demo, wyoming.")
    ] = "voice,find",
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="A model to pack, as hub model list has it.")
    ] = None,
    mirror: Annotated[
        str, typer.Option("--mirror", metavar="URL|FOLDER", help="Where models come from that are not here.")
    ] = "",
    machine: Annotated[
        str, typer.Option("--machine", metavar="NAME", help="Its processor: aarch64 or x86_64; as here without it.")
    ] = "",
    config: Config = None,
) -> None:
    """Pack all that a machine without a network needs, for install.sh there."""
    settings = _settings(config)
    from hub import bundle as packing

    with _reported(1):
        wanted = [extra for extra in extras.split(",") if extra]
        said = packing.bundle(settings, folder, wanted, models or (), mirror, _tell, machine)
        _tell("")
        typer.echo(said)


@settings_app.command("show")
def settings_show(as_json: Json = False, config: Config = None) -> None:
    """Print every setting as it is in effect, without the password and the PIN."""
    from hub import settings as files

    shown = _settings(config).model_dump(mode="json")
    if shown["broker"]["password"] is not None:
        shown["broker"]["password"] = "(not shown)"
    if shown["safety"]["pin"]:
        shown["safety"]["pin"] = "(not shown)"
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False) if as_json else files.as_toml(shown), nl=as_json)


@settings_app.command("check")
def settings_check(config: Config = None) -> None:
    """Say whether the settings can be used."""
    from hub import settings as files

    _settings(config)
    found = files.find(config)
    typer.echo(f"{found} is in order." if found else "There is no settings file; the defaults are used.")
    if found is not None and (said := files.older(found)):
        typer.echo(f"Only its form is old: {said}; hub settings migrate mends that.")


@settings_app.command("migrate")
def settings_migrate(config: Config = None) -> None:
    """Bring the settings file into the newest form; as it was, it is kept beside it with a date."""
    from hub import settings as files
    from hub import settings_file

    with _reported(2):
        found = files.find(config)
        kept = settings_file.migrate(found) if found is not None else None
    if found is None:
        typer.echo("There is no settings file, so there is nothing to migrate.")
    elif kept is None:
        typer.echo(f"{found} has the newest form already.")
    else:
        typer.echo(f"{found} has the newest form now; as it was, it is {kept}.")


@settings_app.command("path")
def settings_path(config: Config = None) -> None:
    """Print the settings file that is used, or where to put one."""
    from hub import settings as files

    with _reported(2):
        found = files.find(config)
    typer.echo(found or files.user_file())
    if found is None:
        typer.echo("(this file does not exist: the defaults are used)", err=True)


Preset = Annotated[
    str, typer.Option("--preset", help="The shape, where the checkpoint does not say it; or config.json.")
]


@model_app.command("inspect")
def model_inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint (a file or a folder) or a GGUF.")],
    preset: Preset = "",
    as_json: Json = False,
) -> None:
    """Say what a checkpoint or a model file is, and whether it can be exported."""
    with _reported(1):
        from hub import export

        typer.echo(export.describe(file, preset, as_json))


@model_app.command("export")
def model_export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A file or a folder; hub model inspect looks at it.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.gguf", help="Where to write it; a card goes beside it.")],
    kind: Annotated[str, typer.Option("--type", help="f16, q8_0, q5_k_m, q4_k_m, q4_k_s, q4_0 or iq4_nl.")] = "q4_k_m",
    tokenizer: Annotated[
        Path | None,
        typer.Option("--tokenizer", help="tokenizer.model or tokenizer.json; else the one beside the checkpoint."),
    ] = None,
    imatrix: Annotated[
        Path | None, typer.Option("--imatrix", metavar="TEXT", help="A text file whose activations weigh the rounding.")
    ] = None,
    preset: Preset = "",
    license: Annotated[str, typer.Option("--license", help="The licence of the weights, as an SPDX name.")] = "",
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Do not ask that plain sentences are likely to the model.")
    ] = False,
) -> None:
    """Make a GGUF of a checkpoint, and compare what llama.cpp computes from it with PyTorch."""
    with _reported(1):
        from hub import export

        said = export.run(
            checkpoint, out, kind=kind, tokenizer=tokenizer, imatrix=imatrix, preset=preset, license=license,
            trained=not untrained,
        )  # fmt: skip
        typer.echo(said)


@model_app.command("train")
def model_train(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where checkpoints and the model are written.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="CHECKPOINT", help="What to tune; without it, the shipped model is made."),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", metavar="FILE", help="Its tokenizer.model, where it is not beside it.")
    ] = None,
    preset: Preset = "",
    lora: Annotated[
        int, typer.Option("--lora", metavar="RANK", help="Train adapters only, of this rank.", show_default=False)
    ] = 0,
    processes: Annotated[
        int,
        typer.Option("--processes", metavar="N", help="As many as GPUs where it is not said.", show_default=False),
    ] = 0,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="1000, or 10400 from nothing.")] = None,
    batch_tokens: Annotated[
        int | None, typer.Option("--batch-tokens", metavar="N", help="Tokens a step: 8192, or 6400 from nothing.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="R", help="Of learning: 2e-5, 2e-4 for adapters, 3e-3 from nothing."),
    ] = None,
    fall: Annotated[
        str | None,
        typer.Option("--fall", metavar="cosine|linear", help="How the rate falls: cosine, or linear from nothing."),
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Keep no activations: less memory, a third more time.")
    ] = False,
    save_every: Annotated[int, typer.Option("--save-every", metavar="N", help="Steps between checkpoints.")] = 100,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in the folder.")] = False,
) -> None:
    """Train the shipped model from nothing, or tune a checkpoint on home commands.

    Several machines: torchrun --nnodes ... -m hub.train, with the options of this command, on each of them.
    """
    from hub import train

    with _reported(2):
        order = train.Order(
            out=out,
            source=source,
            tokenizer=tokenizer,
            preset=preset,
            lora=lora,
            processes=processes,
            steps=steps,
            batch_tokens=batch_tokens,
            rate=rate,
            fall=fall,
            recompute=recompute,
            save_every=save_every,
            resume=resume,
        )
    with _reported(1):
        code = train.run(order, _print_line)
    raise typer.Exit(code)


@model_app.command("verify")
def model_verify(file: Annotated[Path, typer.Argument(metavar="FILE", help="A GGUF with its card beside it.")]) -> None:
    """Say whether a model file is the one that the card beside it describes."""
    with _reported(1):
        from models.export import check

        typer.echo(f"{file} is as {check.check_card(file)['file']}'s card says.")


@model_app.command("fetch")
def model_fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As hub model list has it.")],
    mirror: Annotated[
        str, typer.Option("--mirror", metavar="URL|FOLDER", help="Another server, or a folder such as a USB stick.")
    ] = "",
    config: Config = None,
) -> None:
    """Fetch a model, or go on where an earlier try stopped; nothing is kept whose digest is wrong."""
    settings = _settings(config)
    from hub import fetching

    with _reported(1):
        try:
            place = fetching.fetched(fetching.shelf(settings), name, mirror, _tell)
        except KeyboardInterrupt:
            _tell("")
            typer.echo("Stopped; what has come is kept, and the same command goes on from there.", err=True)
            raise typer.Exit(130) from None
        finally:
            if sys.stderr.isatty():
                typer.echo(err=True)
        typer.echo(f"{name} is in {place}.")


@model_app.command("list")
def model_list(as_json: Json = False, config: Config = None) -> None:
    """List the models that can be had: size, licence, which are here, and which one is used."""
    settings = _settings(config)
    from hub import fetching

    with _reported(1):
        shown = fetching.table(fetching.entries(fetching.shelf(settings)), as_json)
        typer.echo(shown if as_json else _folded(shown, 57))


@model_app.command("use")
def model_use(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help='A fetched model, "home", or a GGUF file.')] = "",
    previous: Annotated[bool, typer.Option("--previous", help="The one that it was before.")] = False,
    config: Config = None,
) -> None:
    """Make this the hub's model if it is sound: in the running hub at once, and in the settings file, kept as it was beside it."""
    if bool(name) is previous:
        raise typer.BadParameter("give the name of a model, or --previous")
    settings = _settings(config)
    from hub import fetching, logs, using

    logs.set_up("warning")

    async def work() -> int:
        wanted = using.previous(settings) if previous else name
        try:
            said = await using.use(settings, config, wanted, fetching.shelf(settings), _tell)
        finally:
            _tell("")
        typer.echo(said)
        return 0

    _finish(work)


@model_app.command("remove")
def model_remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As hub model list has it.")], config: Config = None
) -> None:
    """Delete a fetched model that is not used."""
    settings = _settings(config)
    from hub import fetching

    with _reported(1):
        typer.echo(fetching.removed(fetching.shelf(settings), name))


def _tell(text: str) -> None:
    """What is being done now, in one line that is written over; nothing where nobody looks."""
    if sys.stderr.isatty():
        typer.echo(f"\r\033[K{text}", err=True, nl=False)


def _folded(text: str, indent: int = 0, *, error: bool = False) -> str:
    """The text with its long lines broken between words where a terminal would break them anywhere; whole in a pipe.

    A line that is indented already stays whole: it is a command to be copied.
    """
    if not (sys.stderr if error else sys.stdout).isatty():
        return text
    width = shutil.get_terminal_size().columns
    room = indent if indent + 30 < width else 2
    fold = textwrap.TextWrapper(width, subsequent_indent=" " * room, break_on_hyphens=False)
    return "\n".join(line if line.startswith("      ") else fold.fill(line) for line in text.splitlines())


def _print_line(line: str) -> None:
    typer.echo(line)


def _settings(config: Path | None) -> Settings:
    """The settings, or the end of the program with code 2 and what is wrong with them."""
    from hub import settings as files

    with _reported(2):
        return files.load(config)


@contextmanager
def _reported(code: int) -> Iterator[None]:
    """Ends the program with this code and one line on stderr where one of our own errors is raised inside."""
    from devices.device import DeviceError
    from models import ModelError

    try:
        yield
    except (HubError, DeviceError, ModelError) as error:
        typer.echo(_folded(f"hub: {error}", error=True), err=True)
        raise typer.Exit(code) from None


def _finish(work: Callable[[], Awaitable[int]]) -> None:
    """Runs it to its end and leaves with its exit code. Ctrl-C ends it, with everything closed."""

    async def whole() -> int:
        return await work()

    with _reported(1):
        try:
            code = asyncio.run(whole())
        except KeyboardInterrupt:
            code = 130
    raise typer.Exit(code)
