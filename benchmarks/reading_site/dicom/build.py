"""Bundles the comparison page with the packages of the front end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from frontend.build import node_commands

FOLDER = Path(__file__).resolve().parent
FRONTEND = FOLDER.parents[2] / "frontend"
MODULES = FRONTEND / "node_modules"
WORKER = "@cornerstonejs/dicom-image-loader/dist/esm/decodeImageFrameWorker.js"


def build(target: Path) -> None:
    """`app.js`, and beside it the worker that it starts, as the loader's own address asks for."""
    node, _ = node_commands()
    if not (MODULES / WORKER).exists():
        raise SystemExit("Build the front end first: python frontend/build.py")
    subprocess.run(
        [
            *(node, MODULES / "esbuild" / "bin" / "esbuild"),
            *(FOLDER / "app.js", MODULES / WORKER),
            *("--bundle", "--minify", "--format=esm", "--target=chrome111", "--log-level=error"),
            *(f"--outdir={target}", "--entry-names=[name]", "--loader:.wasm=file"),
            *("--external:fs", "--external:path", "--external:node:*"),
            f"--alias:xmlbuilder2={FOLDER / 'absent.js'}",
            *("--define:global=globalThis", '--define:process.env.NODE_ENV="production"'),
        ],
        check=True,
        env={**os.environ, "NODE_PATH": str(MODULES)},
    )
