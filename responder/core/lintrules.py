"""Every lint rule, in the order in which they are told."""

from responder.core.lint import JOB_RULES
from responder.core.lintcommands import COMMAND_RULES
from responder.core.lintobjects import OBJECT_RULES

RULES = (*OBJECT_RULES, *COMMAND_RULES, *JOB_RULES)
