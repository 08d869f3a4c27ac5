"""Exit codes of the command line."""

GOOD = 0
NO = 1  # the answer is no, or there are findings
BAD_INPUT = 2  # or bad configuration
NOT_YET = 3  # not known yet
COULD_NOT_ASK = 4
