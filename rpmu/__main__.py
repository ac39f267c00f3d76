"""`python -m rpmu` is the `rpmu` command."""

import sys

from rpmu.cli.main import main

sys.exit(main())
