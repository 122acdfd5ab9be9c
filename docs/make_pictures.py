"""Makes the pictures of the terminal in docs/pictures: real commands at a real terminal, and what it showed, as SVG.

    python docs/make_pictures.py [NAME ...]      # all of them without a name; `make pictures`

The commands run in namespaces of their own: a network of nothing but loopback, a mosquitto on its usual port with a
home in software at it, and empty places for settings and state. So no picture holds a path, a name or an address of
the machine on which it was made, and nothing there is changed. What differs from run to run is what is measured.
Needs the `dev` extra, mosquitto, and Linux with namespaces for users.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import StringIO
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

import pexpect
import pyte
from pyte.screens import Char
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "pictures"
MOST = 60_000  # bytes of a picture
ROWS = 250  # more than any command shows, so that nothing scrolls away
WITHIN = 60.0  # seconds for what is waited for
USER, PASSWORD = "hub", "correct horse"  # at the pictures' own broker
PROMPT = "\x1b[1;32m$\x1b[m "

# An /etc that may be written, and an empty /var/lib with a home folder in it.
APART = """
ip link set lo up && hostname hub && mount -t tmpfs none /var/lib && mkdir -p /var/lib/etc /var/lib/you
cp -r /etc/. /var/lib/etc 2>/dev/null
mount --bind /var/lib/etc /etc && rm -rf /etc/hub && exec "$@"
"""

# Rich's own frame, without the fonts that it would have from the network.
FRAME = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px }}
.{unique_id}-title {{ font-family: sans-serif; font-size: 16px }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


# -- a terminal, and somebody at it


class Terminal:
    """A shell at a pseudo-terminal, and the screen as it stands."""

    def __init__(self, columns: int) -> None:
        self.screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.Stream(self.screen)
        shown = {"PS1": re.sub(r"(\x1b\[[\d;]*m)", r"\\[\1\\]", PROMPT), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._shell = pexpect.spawn(
            "bash", ["--noprofile", "--norc", "-i"], dimensions=(ROWS, columns), encoding="utf-8", timeout=WITHIN,
            env={**os.environ, **shown, "PATH": path, "INPUTRC": "/dev/null"},
        )  # fmt: skip
        self._shell.logfile_read = self
        self._shell.expect_exact(PROMPT)

    def write(self, text: str) -> None:
        """What the shell and its commands send to the terminal."""
        self._stream.feed(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def run(self, command: str, *answers: tuple[str, str], until: str = PROMPT) -> None:
        """Types a command, then each answer once its question has come, and returns at these words."""
        self._shell.sendline(command)
        for question, answer in answers:
            self._shell.expect_exact(question)
            self._shell.expect(r": $")
            self._shell.sendline(answer)
        self._shell.expect_exact(until)

    def close(self) -> None:
        self._shell.close(force=True)

    def lines(self) -> list[Text]:
        """What is on the screen, without the last prompt and what is empty at the end."""
        rows = [self._line(row) for row in range(ROWS)]
        while rows and rows[-1].plain.strip() in ("", "$"):
            rows.pop()
        return rows

    def _line(self, row: int) -> Text:
        line = Text(end="")
        there = (self.screen.buffer[row][column] for column in range(self.screen.columns))
        for style, signs in groupby(there, _style):
            line.append("".join(sign.data for sign in signs), style)
        line.rstrip()
        return line


def _style(there: Char) -> Style:
    color = None if there.fg == "default" else {"brown": "yellow"}.get(there.fg, there.fg)
    if color is not None and re.fullmatch(r"[0-9a-f]{6}", color):
        color = f"#{color}"
    return Style(color=color.replace("bright", "bright_") if color else None, bold=there.bold, italic=there.italics)


def draw(name: str, title: str, columns: int, lines: Sequence[Text]) -> str:
    """The lines in a window, as SVG."""
    console = Console(record=True, width=columns, file=StringIO(), color_system="truecolor", force_terminal=True)
    for line in lines:
        console.print(line, no_wrap=True, crop=False)
    drawn = console.export_svg(title=title, theme=SVG_EXPORT_THEME, code_format=FRAME, unique_id=name)
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


# -- what is shown


def say(terminal: Terminal) -> None:
    subprocess.run(
        [sys.executable, "-m", "hub", "say", "turn on all the lights"], stdout=subprocess.DEVNULL, check=True
    )
    for text in (
        "turn off all the lights but the desk lamp",
        "it is too dark in here",
        "dim the kitchen to 20 percent and close the bedroom blinds",
        "is the front door locked",
        "open the skylight",
        "turn on the lamp",
    ):
        room = " --room Kitchen" if "here" in text else ""
        terminal.run(f'hub say "{text}"{room}')


def demo(terminal: Terminal) -> None:
    terminal.run("hub demo --script-only")


def devices(terminal: Terminal) -> None:
    terminal.run("hub devices")


def doctor(terminal: Terminal) -> None:
    terminal.run("hub doctor")


def models(terminal: Terminal) -> None:
    terminal.run("hub model list")


def score(terminal: Terminal) -> None:
    Path("mine.txt").write_text(
        "turn on the hall light -> turn_on light.hall\n"
        "[Kitchen] blind to half -> set_position cover.kitchen_blind value=50\n"
        "give me light for cooking -> turn_on light.stove\n"
        "sing me a song -> none\n"
    )
    terminal.run("cat mine.txt")
    terminal.run("hub score mine.txt --home home.json")


TYPED = (("Which", "1"), ("Its name or address", ""), ("Its port", ""), ("(TLS)", ""), ("User name", USER))


def broker(terminal: Terminal) -> None:
    again = (("Its name", ""), ("Its port", ""), ("(TLS)", ""), ("User name", ""), ("Password", PASSWORD))
    terminal.run("hub setup broker", *TYPED, ("Password", "corect horse"), ("Keep this", ""), *again)


def command(terminal: Terminal) -> None:
    said = "turn the bathroom light on and close the garage door"
    terminal.run("hub setup command", ("Your command", said), ("Said in which room", ""))


def wrong(terminal: Terminal) -> None:
    Path("/etc/hub/hub.toml").write_text(
        'state_folder = "/var/lib/hub"\n[broker]\nhost = "localhost"\nusername = "hub"\npassword = "corect horse"\n'
    )
    terminal.run("hub doctor")
    terminal.run('hub say "turn on the kitchen light"')


Show = Callable[[Terminal], None]
# By the name of the picture: the title of the window, its columns, the last lines that are kept (0 for all), and what
# is done. In this order: one needs what an earlier one has set.
SHOWN: Mapping[str, tuple[str, int, int, Show]] = MappingProxyType(
    {
        "setup-broker": ("hub setup: the password was mistyped", 100, 0, broker),
        "setup-command": ("hub setup: a first command", 100, 0, command),
        "say": ("hub say", 84, 0, say),
        "devices": ("hub devices", 92, 0, devices),
        "demo": ("hub demo", 92, 40, demo),
        "doctor": ("hub doctor", 112, 0, doctor),
        "models": ("hub model list", 100, 0, models),
        "score": ("hub score", 92, 0, score),
        "doctor-wrong": ("hub doctor: something is wrong", 112, 0, wrong),
    }
)


def picture(name: str) -> None:
    """Does it and writes the picture."""
    title, columns, last, show = SHOWN[name]
    terminal = Terminal(columns)
    try:
        show(terminal)
        lines = terminal.lines()
    finally:
        terminal.close()
    drawn = draw(name, title, columns, lines[-last:])
    if len(drawn) > MOST:
        raise SystemExit(f"{name}: {len(drawn)} bytes are more than {MOST}; show less")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(drawn, encoding="utf-8")
    print(f"{name}.svg: {len(lines)} lines, {len(drawn) / 1000:.0f} kB", flush=True)


# -- the place where it is done


@contextmanager
def house() -> Iterator[None]:
    """A broker with a password, and a home in software at it."""
    folder = Path("/var/lib/you")
    (folder / "passwords").write_text(f"{USER}:{PASSWORD}\n")
    subprocess.run(["mosquitto_passwd", "-U", folder / "passwords"], check=True)
    config = folder / "mosquitto.conf"
    config.write_text(f"user root\nlistener 1883 127.0.0.1\npassword_file {folder}/passwords\n")
    with ExitStack() as running:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        _until_end(running, subprocess.Popen(["mosquitto", "-c", config], **quiet))  # type: ignore[call-overload]
        _wait_for(1883)
        home = [sys.executable, "-m", "devices.simulator", "--user", USER]
        variables = {**os.environ, "MQTT_PASSWORD": PASSWORD}
        simulator = subprocess.Popen(home, env=variables, stdout=subprocess.PIPE, text=True)
        _until_end(running, simulator)
        if simulator.stdout is None or "ready" not in simulator.stdout.readline():
            raise SystemExit("the home in software does not start")
        yield


def _wait_for(port: int) -> None:
    """Returns once somebody listens there."""
    ends = time.monotonic() + WITHIN
    while time.monotonic() < ends:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit("mosquitto does not start")


def _until_end(running: ExitStack, process: subprocess.Popen[str]) -> None:
    running.callback(process.wait)
    running.callback(process.terminate)


def inside(names: Sequence[str]) -> None:
    """Makes the pictures, where this is a place apart."""
    shutil.copy(HERE.parent / "tests" / "data" / "home.json", "/var/lib/you")
    os.chdir("/var/lib/you")
    with house(), ExitStack() as running:
        for name in names:
            if name == "say":  # from here on a hub runs, as it does in a house
                _until_end(running, subprocess.Popen([sys.executable, "-m", "hub", "run"], stderr=subprocess.DEVNULL))
            picture(name)


def main(arguments: Sequence[str]) -> None:
    names = [name for name in SHOWN if name in arguments] if arguments else list(SHOWN)
    if unknown := set(arguments) - set(SHOWN):
        raise SystemExit(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(SHOWN)}")
    for tool in ("unshare", "mosquitto", "ip"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing: apt-get install util-linux mosquitto iproute2")
    apart = ["unshare", "--mount", "--net", "--uts", "--map-root-user", "sh", "-c", APART, "sh"]
    variables = {**os.environ, "HOME": "/var/lib/you", "PYTHONPATH": str(HERE.parent), "APART": "yes"}
    done = subprocess.run([*apart, sys.executable, str(Path(__file__).resolve()), *names], env=variables, check=False)
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    if os.environ.get("APART"):
        inside(sys.argv[1:])
    else:
        main(sys.argv[1:])
