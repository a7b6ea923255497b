"""Runs openapi-generator once for each client that the card asks for, from the action's `work/` into `$OUT`."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

# What the generators add for a repository of the client's own.
LEFT_OVERS = ["test", ".travis.yml", "git_push.sh"]


def configured(client):
    """The client's configuration with /local, a container's mount, replaced by the folder that it stands for."""
    path = pathlib.Path(client["config"])
    text = path.read_text("utf-8")
    place = pathlib.Path(client.get("mount", ".")).resolve()
    copy = pathlib.Path(os.environ["TMPDIR"], f"{client['into']}-{path.name}")
    copy.write_text(text.replace("/local", str(place)), "utf-8")
    return copy


def complaint(generator, spec, log):
    """The generator's log without its stack traces and repetitions, and the place that it names."""
    lines = [line for line in log.splitlines() if not re.match(r"\s+(at \w|\.\.\. \d)|\[main\] INFO", line)]
    place = re.search(r"line:? (\d+), column:? (\d+)", log)
    where = f"{spec}:{place[1]}:{place[2]}" if place else spec
    return "\n".join([*dict.fromkeys(lines), f"the {generator} client could not be generated from `{where}`"])


def keep(client, into):
    for name in client.get("keep", []):
        shutil.copyfile(pathlib.Path(client.get("mount", "."), name), into / name)


def generate(client, spec):
    into = pathlib.Path(os.environ["OUT"], client["into"])
    into.mkdir()
    keep(client, into)  # before: the generator obeys an .openapi-generator-ignore that it finds
    command = ["openapi-generator-cli", "generate", "-i", spec, "-g", client["generator"], "-o", str(into)]
    log = subprocess.run(
        [*command, "-c", str(configured(client)), *client.get("options", [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if log.returncode:
        sys.exit(complaint(client["generator"], spec, log.stdout))
    for name in [*LEFT_OVERS, *client.get("drop", [])]:
        path = into / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    keep(client, into)
    print(f"{client['into']}: {sum(1 for path in into.rglob('*') if path.is_file())} files")


parameters = json.loads(os.environ["WITH"])
for wanted in parameters["clients"]:
    generate(wanted, parameters["spec"])
