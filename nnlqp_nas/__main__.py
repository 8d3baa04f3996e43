"""``python -m nnlqp_nas`` is the command ``nnlqp-nas``."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
