"""Builds a plugin: `python3 -m nozzle_plugin build [plugin.py] [-o plugin.wasm] [--wit DIR]`."""

from __future__ import annotations

import argparse
import importlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from nozzle_plugin.plugin import Plugin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 -m nozzle_plugin")
    build_parser = parser.add_subparsers(dest="command", required=True).add_parser("build", help="builds a component")
    build_parser.add_argument("entry", nargs="?", default="plugin.py", type=Path, help="default: plugin.py")
    build_parser.add_argument("-o", "--out", default="plugin.wasm", type=Path, help="default: plugin.wasm")
    build_parser.add_argument("--wit", default="wit", type=Path, help="the folder of the contract; default: wit")
    options = parser.parse_args()
    build(options.entry, options.out, options.wit)


def build(entry: Path, out: Path, wit: Path) -> None:
    if not entry.is_file():
        fail(f"there is no `{entry}`")
    if not (wit / "worlds.wit").is_file():
        fail(f"the contract is not in `{wit}`: name its folder with `--wit`")
    kind = plugin_in(entry)
    world = "sink" if kind.handles() else "shaper"
    sdk = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory(prefix="nozzle-plugin-") as folder:
        glue = Path(folder, "nozzle_component.py")
        glue.write_text(
            "from nozzle_plugin.component import connect\n"
            f"from {entry.stem} import {kind.__name__}\n\n"
            f"Shaping, Handling = connect({kind.__name__})\n"
        )
        command = [componentize_py(), "--quiet", "--wit-path", str(wit), "--world", f"nozzle:plugin/{world}"]
        command += ["componentize", glue.stem, "--output", str(out)]
        for path in (folder, str(entry.resolve().parent), str(sdk)):
            command += ["--python-path", path]
        out.parent.mkdir(parents=True, exist_ok=True)
        if subprocess.run(command, check=False).returncode != 0:
            fail("componentize-py could not build the component")
    print(f"{out}: world `{world}`, {out.stat().st_size / 1024 / 1024:.1f} MB")


def plugin_in(entry: Path) -> type[Plugin[Any]]:
    """The one plugin in a file, which is run for it."""
    sys.path.insert(0, str(entry.resolve().parent))
    module = importlib.import_module(entry.stem)
    found: list[type[Plugin[Any]]] = [one for one in vars(module).values() if is_plugin(one) and one.__module__ == module.__name__]
    if len(found) != 1:
        fail(f"`{entry}` has {len(found)} subclasses of `Plugin`, and not one")
    return found[0]


def is_plugin(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Plugin) and value is not Plugin


def componentize_py() -> str:
    """Beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("componentize-py")
    path = str(beside) if beside.is_file() else shutil.which("componentize-py")
    if path is None:
        fail("componentize-py is not installed: `pip install --requirement requirements.txt`")
    return path


def fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
