"""The OCI runtime of the private engine: runc, asked for no capability that this machine cannot give.

`docker run --privileged`, which kind uses, asks for all capabilities. Where we lack CAP_SYS_RESOURCE
ourselves, runc refuses ("unable to apply caps"), so the capability is taken out of what it is asked for.
"""

import sys
from pathlib import Path

_WRAPPER = '''\
#!{python} -IS
"""runc, with CAP_SYS_RESOURCE removed from the process that it is asked to start."""
import json, os, sys

def option(name):
    for index, word in enumerate(sys.argv):
        if word == name:
            return sys.argv[index + 1]
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return None

def strip(path, of_bundle):
    with open(path) as file:
        document = json.load(file)
    process = document.get("process") or {{}} if of_bundle else document
    for granted in (process.get("capabilities") or {{}}).values():
        if "CAP_SYS_RESOURCE" in granted:
            granted.remove("CAP_SYS_RESOURCE")
    with open(path, "w") as file:
        json.dump(document, file)

if "create" in sys.argv or "run" in sys.argv:
    strip(os.path.join(option("--bundle") or ".", "config.json"), of_bundle=True)
if option("--process"):
    strip(option("--process"), of_bundle=False)
os.execvp("runc", ["runc", *sys.argv[1:]])
'''

_CAP_SYS_RESOURCE = 24  # its bit in a capability mask


def lacks_sys_resource() -> bool:
    """True if this process could not hand CAP_SYS_RESOURCE to a container."""
    fields = dict(
        line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    return not int(fields["CapBnd"], 16) >> _CAP_SYS_RESOURCE & 1


def write_wrapper(path: Path) -> None:
    """Write the runtime as an executable; it finds runc on the PATH that the engine was started with."""
    path.write_text(_WRAPPER.format(python=Path(sys.executable).resolve()))
    path.chmod(0o755)
