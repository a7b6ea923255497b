"""Downloads the locked dependencies as wheels into `$OUT`; every file is checked against the lock's hashes."""
import json
import os
import pathlib
import re
import subprocess
import sys

parameters = json.loads(os.environ["WITH"])


def exported(lock):
    """The lock as a list of hashed requirements. Markers are kept, in-tree packages are left out."""
    if lock.name != "uv.lock":
        return lock.read_text("utf-8")
    export = ["uv", "export", "--offline", "--frozen", "--no-dev", "--no-emit-workspace", "--no-header", "--no-annotate"]
    return subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout


def requirements(text):
    """Each requirement with its continuation lines, without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.split(r"(?<!\\)\n", "\n".join(lines))


def name(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


lock = next((path for path in map(pathlib.Path, parameters["lock"]) if path.exists()), None)
if lock is None:
    sys.exit(f"no lock of the dependencies: none of {', '.join(parameters['lock'])} is there")
left_out = {name(text) for text in parameters["without"]}
wanted = [text for text in requirements(exported(lock)) if name(text) not in left_out] + parameters["requirements"]
listed = pathlib.Path(os.environ["TMPDIR"], "requirements.txt")
listed.write_text("\n".join(wanted) + "\n", "utf-8")
# The list is closed, so nothing is resolved; sources are refused, since building one would run its code.
download = ["pip", "download", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
if parameters["python"]:
    download += ["--python-version", str(parameters["python"])]
sys.exit(subprocess.run([*download, "--dest", os.environ["OUT"], "--requirement", str(listed)]).returncode)
