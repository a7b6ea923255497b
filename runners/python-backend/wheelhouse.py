"""Downloads the locked dependencies as wheels into `$OUT`; every file is checked against the lock's hashes."""
import json
import os
import pathlib
import re
import subprocess
import sys

parameters = json.loads(os.environ["WITH"])


def exported(lock):
    """The lock as a list of hashed requirements, in-tree packages left out; comments below each say who asked for it."""
    if lock.name != "uv.lock":
        return lock.read_text("utf-8")
    export = ["uv", "export", "--offline", "--frozen", "--no-dev", "--no-emit-workspace", "--no-header"]
    return subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout


def requirements(text):
    """Each requirement with its continuation lines: {text: who asked for it}."""
    found = {}
    for block in re.split(r"\n(?=\S)", re.sub(r"(?m)^#.*\n", "", text)):
        lines = [line for line in block.splitlines() if line.strip()]
        asked = " ".join(line.strip(" #") for line in lines if line.lstrip().startswith("#"))
        kept = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
        if kept:
            found[kept.rstrip(" \\")] = asked.removeprefix("via ")
    return found


def name(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


lock = next((path for path in map(pathlib.Path, parameters["lock"]) if path.exists()), None)
if lock is None:
    sys.exit(f"no lock of the dependencies: none of {', '.join(parameters['lock'])} is there")
left_out = {name(text) for text in parameters["without"]}
listed_there = requirements(exported(lock))
if unknown := left_out - {name(text) for text in listed_there}:
    sys.exit(f"`without` names {', '.join(f'`{text}`' for text in sorted(unknown))}, which {lock} does not have")
locked = {text: asked for text, asked in listed_there.items() if name(text) not in left_out}
listed, details = (pathlib.Path(os.environ["TMPDIR"], name) for name in ("requirements.txt", "pip.log"))
listed.write_text("\n".join([*locked, *parameters["requirements"]]) + "\n", "utf-8")
# The list is closed, so nothing is resolved; sources are refused, since building one would run its code.
download = ["pip", "download", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
if parameters["python"]:
    download += ["--python-version", str(parameters["python"])]
download += ["--dest", os.environ["OUT"], "--requirement", str(listed), "--log", str(details)]
log = subprocess.run(download, stderr=subprocess.PIPE, text=True)
print(log.stderr, end="", file=sys.stderr)
if log.returncode:
    # To a registry that refuses, pip says no more than that nothing was found.
    refusals = re.findall(r"Could not fetch URL .*", details.read_text("utf-8") if details.exists() else "")
    for refusal in dict.fromkeys(refusals):
        print(refusal, file=sys.stderr)
    for text, asked in locked.items():
        if re.search(rf"(?i)\b{re.escape(re.match(r'[^ ;]+', text)[0])}(?![\w.])", log.stderr):
            print(f"{text.split()[0]}: listed in {lock}" + (f", asked for by {asked}" if asked else ""), file=sys.stderr)
    sys.exit(f"the locked wheels of {lock} could not all be fetched")
