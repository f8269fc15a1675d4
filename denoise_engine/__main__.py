"""The engine's command line: ``python -m denoise_engine``."""

import sys

from denoise_engine.cli import main

sys.exit(main())
