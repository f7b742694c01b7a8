"""``python -m link`` is ``link-avvp``."""

from link.cli import main

main()
