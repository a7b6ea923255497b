"""Puts prerequisites' folders in the place of vendored packages: `$WITH`'s `replace` {import path: folder}.

The vendored files are links, and Go does not embed links: those that are not Go files are made real first.
"""
import json
import os
import pathlib
import shutil
import sys

for path in [path for path in pathlib.Path("vendor").rglob("*") if path.suffix != ".go" and path.is_symlink()]:
    target = path.resolve()
    path.unlink()
    shutil.copyfile(target, path)

for package, folder in json.loads(os.environ["WITH"])["replace"].items():
    place = pathlib.Path("vendor", package)
    if not place.is_dir():
        sys.exit(f"vendor/{package}: there is nothing to replace; does go.mod require it, and does a Go file import it?")
    new = pathlib.Path(os.environ["REQUIRES"], folder)
    if not new.is_dir():
        sys.exit(f"{folder}: no such folder in a prerequisite's artifact (for vendor/{package})")
    shutil.rmtree(place)
    # Without the modes of the store, whose files are read-only.
    shutil.copytree(new, place, copy_function=shutil.copyfile)
    print(f"vendor/{package}: {sum(1 for path in place.rglob('*.go'))} Go files from {folder}")
