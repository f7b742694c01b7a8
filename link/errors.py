"""The one thing all expected failures have in common."""


class LinkError(ValueError):
    """Input, or a file, that cannot be used: one sentence that names it and the remedy.

    The commands print the sentence and exit with 1. Anything else that is raised is a fault of the
    program.
    """
