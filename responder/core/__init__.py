"""What we know and decide, as pure functions over frozen values.

LAW: no await, no clock (``now`` is an argument), no environment, no logging, no I/O.
"""
