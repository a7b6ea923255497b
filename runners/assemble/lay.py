"""Copies each part into the tree; two parts that give one file are an error, since one of them would be lost."""
import json
import os
import pathlib
import shutil
import sys

out = pathlib.Path(os.environ["OUT"])


def lay(source, place):
    if source.is_symlink() or source.is_file():
        if place.exists() or place.is_symlink():
            sys.exit(f"{place.relative_to(out)}: two parts give this file")
        shutil.copy(source, place, follow_symlinks=False)
        return
    place.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        lay(entry, place / entry.name)


for part in json.loads(os.environ["WITH"])["parts"]:
    source = pathlib.Path(os.environ["REQUIRES"], part["from"])
    if not source.is_dir():
        sys.exit(f"{part['from']}: no such folder in a prerequisite's artifact")
    lay(source.resolve(), out / part["to"])
