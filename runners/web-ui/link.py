"""Lays `node_modules` as folders of links into the fetched ones, and links the generated clients in as packages.

Packages are linked and not copied, since there may be 70,000 files. A link inside the fetched folders (`.bin`, a
workspace's own package) is made anew with the same text, so that it points into this tree.
"""
import json
import os
import pathlib
import shutil

parameters = json.loads(os.environ["WITH"])
folder = pathlib.Path(parameters["folder"])
fetched = pathlib.Path(os.environ["FETCH"], "node-modules").resolve()


def link(source, place):
    """One entry of a node_modules; scopes (@name) and .bin become folders here, to which names can be added."""
    if source.is_symlink():
        place.symlink_to(os.readlink(source))
    elif source.is_dir() and (source.name.startswith("@") or source.name == ".bin"):
        place.mkdir()
        for entry in source.iterdir():
            link(entry, place / entry.name)
    else:
        place.symlink_to(source)


for modules in [path for path, _, _ in os.walk(fetched) if path.endswith("/node_modules") and path.count("/node_modules") == 1]:
    place = folder / pathlib.Path(modules).relative_to(fetched)
    place.mkdir(parents=True)
    for entry in pathlib.Path(modules).iterdir():
        link(entry, place / entry.name)

for package, artifact in parameters["clients"].items():
    place = folder / "node_modules" / package
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    place.symlink_to(pathlib.Path(os.environ["REQUIRES"], artifact).resolve(strict=True))
    print(f"{package}: {artifact}")
