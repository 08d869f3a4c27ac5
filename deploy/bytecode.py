"""Makes the bytecode of an image: FOLDER... are compiled to where PYTHONPYCACHEPREFIX says.

It is never checked against its source. The Kubernetes client is compiled without docstrings, which are a tenth of all
the memory that an idle service takes.
"""

import py_compile
import sys
from compileall import compile_dir
from importlib.util import cache_from_source
from pathlib import Path

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
CLIENT = "kubernetes_asyncio/client"  # models and calls, made by a generator: it has no assert that would be lost, too


def main(folders: list[str]) -> int:
    for folder in folders:
        if not compile_dir(folder, quiet=1, workers=0, invalidation_mode=UNCHECKED):
            return 1
        for source in Path(folder).rglob(f"{CLIENT}/**/*.py"):
            bare = cache_from_source(str(source))  # where the other was put
            py_compile.compile(str(source), cfile=bare, doraise=True, optimize=2, invalidation_mode=UNCHECKED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
