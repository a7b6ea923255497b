"""Imports or compiles what was laid out, as `import-check` says."""
import json
import os
import pathlib
import subprocess
import sys

parameters = json.loads(os.environ["WITH"])
artifact = pathlib.Path(os.environ["ARTIFACT"])
mode = parameters["import-check"]
if mode == "run":
    for module in parameters["imports"]:
        python = [artifact / "bin" / "python", "-c", f"import {module}; print({module})"]
        if subprocess.run(python, timeout=120).returncode:
            sys.exit(f"`{module}` can not be imported")
elif mode == "compile":
    faults = 0
    for module in parameters["modules"]:
        for path in sorted((artifact / module).resolve().rglob("*.py")):
            try:
                compile(path.read_bytes(), str(path.relative_to(artifact.resolve())), "exec")
            except SyntaxError as error:
                faults += 1
                print(f"{error.filename}:{error.lineno}: {error.msg}", file=sys.stderr)
    if faults:
        sys.exit(f"{faults} files do not compile with Python {sys.version.split()[0]}")
elif mode != "none":
    sys.exit(f"import-check is run, compile or none, not `{mode}`")
