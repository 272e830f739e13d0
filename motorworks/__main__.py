"""`python -m motorworks` is `motorworks`."""

import sys

from motorworks.factory.cli import main

if __name__ == "__main__":
    sys.exit(main())
