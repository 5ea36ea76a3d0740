"""`python -m gateway.cli` is `fieldpost`: for places where the script is not on the path."""

import sys

from gateway.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
