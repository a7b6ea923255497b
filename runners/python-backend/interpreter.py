"""Says plainly when the Python at hand is not the one that the application needs, before anything is fetched or built.

Where only files are laid out (import-check is not `run`), the Python to install for (`python`) is asked instead.
"""
import json
import os
import pathlib
import re
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
if target and parameters["import-check"] != "run":
    found = tuple(int(part) for part in target.split("."))
shown = ".".join(str(part) for part in found[:2])
if not all(fits(found, clause) for clause in wanted.split(",")):
    needed = re.sub(r"^==(.*)\.\*$", r"\1", wanted)
    sys.exit(
        f"Python {needed} needed, {shown} found (requires-python is `{wanted}`)\n"
        f"either put that Python first on PATH, or lay the files out for it without running them:\n"
        f"  --with python={re.sub('[^0-9.]', '', needed.split(',')[0])} --with import-check=none"
    )
