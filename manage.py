#!/usr/bin/env python
"""The platform's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "readerstudy.settings")
    from readerstudy.web.command_line import run

    run(sys.argv)


if __name__ == "__main__":
    main()
