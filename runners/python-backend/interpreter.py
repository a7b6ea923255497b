"""Says plainly when the Python at hand is not the one that the application needs, before anything is fetched or built.

The Python to install for (`python`) is asked where it is given. To import what was laid out (import-check is `run`) it has to
be at hand as well.
"""
import json
import os
import pathlib
import re
import shutil
import sys
import tomllib


def fits(version, clause):
    """Whether a version (a tuple) satisfies one clause of requires-python, such as `>=3.11` or `==3.14.*`."""
    operator, wanted, star = re.fullmatch(r"(~=|===?|!=|<=|>=|<|>)\s*([\d.]+?)(\.\*)?", clause.strip()).groups()
    wanted = tuple(int(part) for part in wanted.split("."))
    short = version[: len(wanted)]
    return {
        "~=": version >= wanted and version[: len(wanted) - 1] == wanted[:-1],
        "==": short == wanted,
        "===": short == wanted,
        "!=": short != wanted,
        "<=": short <= wanted,
        ">=": version >= wanted,
        "<": version < wanted,
        ">": version > wanted and not (star or short == wanted),
    }[operator]


parameters = json.loads(os.environ["WITH"])
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text("utf-8"))["project"]
wanted = project.get("requires-python", ">=3")
found = sys.version_info[:3]
target = str(parameters["python"])
if target:
    if not re.fullmatch(r"\d+(\.\d+)+", target):
        sys.exit(f"`python` is a version such as 3.14, not `{target}`")
    found = tuple(int(part) for part in target.split("."))
    at_hand = found[:2] == sys.version_info[:2] or shutil.which(f"python{found[0]}.{found[1]}")
    if parameters["import-check"] == "run" and not at_hand:
        sys.exit(
            f"Python {target} is to be installed for, and {'.'.join(map(str, sys.version_info[:2]))} is at hand, which can't import it\n"
            f"either put Python {target} first on PATH, or lay the files out without running them: --with import-check=none"
        )
shown = ".".join(str(part) for part in found[:2])
if not all(fits(found, clause) for clause in wanted.split(",")):
    needed = re.sub(r"^==(.*)\.\*$", r"\1", wanted)
    sys.exit(
        f"Python {needed} needed, {shown} found (requires-python is `{wanted}`)\n"
        f"either put that Python first on PATH, or lay the files out for it without running them:\n"
        f"  --with python={re.sub('[^0-9.]', '', needed.split(',')[0])} --with import-check=none"
    )
