"""`python -m streams.cli`, the same as `twin`."""

import sys

from streams.cli import main

sys.exit(main())
