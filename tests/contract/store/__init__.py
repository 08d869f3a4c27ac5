"""What every store must do, whichever database is under it: one suite, run on each adapter of ``conftest.ADAPTERS``."""
