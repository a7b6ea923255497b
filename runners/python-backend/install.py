"""Installs wheels and modules below `$OUT` so that nothing there names the place or the time of the build."""
import configparser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

parameters = json.loads(os.environ["WITH"])
out = pathlib.Path(os.environ["OUT"])
version = str(parameters["python"]) or "{}.{}".format(*sys.version_info)
site = out / "lib" / f"python{version}" / "site-packages"
fetched = sorted(pathlib.Path(os.environ["FETCH"], "wheelhouse").glob("*.whl"))
built = sorted(pathlib.Path(os.environ["TMPDIR"], "wheels").glob("*.whl"))

PYTHON = """#!/bin/sh
# Python {version} with the packages that lie beside this file, wherever that is.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
export PYTHONPATH="$root/lib/python{version}/site-packages${{PYTHONPATH:+:$PYTHONPATH}}" PYTHONDONTWRITEBYTECODE=1
for python in python3 python{version}; do
    if "$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "{version}")' 2>/dev/null; then
        exec "$python" "$@"
    fi
done
echo "Python {version} needed: the packages in $root were installed for it" >&2
exit 1
"""
COMMAND = """#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/python" -c 'import sys; sys.argv[0] = "{name}"; from {module} import {function}; sys.exit({call}())' "$@"
"""


def executable(path, text):
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def refuse_empty_wheels():
    """hatchling makes a wheel of nothing where the folder that it was told to take is not there."""
    for wheel in built:
        if all(".dist-info/" in name for name in zipfile.ZipFile(wheel).namelist()):
            sys.exit(f"{wheel.name}: the wheel is empty; is there the folder that its pyproject.toml names?")


def install():
    command = ["pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    if parameters["python"]:
        command += ["--python-version", version]
    command += ["--disable-pip-version-check", "--root-user-action", "ignore", "--target", str(site)]
    if subprocess.run([*command, *map(str, [*fetched, *built])]).returncode:
        sys.exit("the wheels could not be installed")
    # pip writes scripts with its own interpreter's path, and where each wheel was found.
    shutil.rmtree(site / "bin", ignore_errors=True)
    for written in [*site.glob("*.dist-info/direct_url.json"), *site.glob("*.dist-info/REQUESTED")]:
        written.unlink()
    gone = ("bin/", "../../bin/", "../../../bin/")
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text("utf-8").splitlines()
        kept = [line for line in lines if not line.startswith(gone) and "/direct_url.json," not in line]
        record.write_text("\n".join(line for line in kept if "/REQUESTED," not in line) + "\n", "utf-8")


def commands():
    """A command for each that the fetched packages offer, found by its own place."""
    for path in sorted(site.glob("*.dist-info/entry_points.txt")):
        points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        points.optionxform = str
        points.read(path, "utf-8")
        for name, target in points["console_scripts"].items() if "console_scripts" in points else ():
            module, _, call = target.partition("[")[0].strip().partition(":")
            text = COMMAND.format(name=name, module=module, function=call.split(".")[0], call=call)
            executable(out / "bin" / name, text)


def lay(name, folder):
    source, place = pathlib.Path(name), folder / pathlib.Path(name).name
    shutil.copytree(source, place, symlinks=True) if source.is_dir() else shutil.copy(source, place)


(out / "bin").mkdir(parents=True)
refuse_empty_wheels()
install()
commands()
executable(out / "bin" / "python", PYTHON.format(version=version))
for module in parameters["modules"]:
    lay(module, site)
    (out / module).symlink_to(site.relative_to(out) / module)
for name in parameters["data"]:
    lay(name, out)
