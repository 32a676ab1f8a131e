"""`python -m charts.generator` writes the derived files; with `--check` it only says which are not up to date."""

import sys
from collections.abc import Mapping
from pathlib import Path

from charts.generator.crd import crd_template
from charts.generator.manifest import install_manifest
from charts.generator.readme import readme
from tests.cluster.gotools import tool

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "loadstar"


def write() -> None:
    """Write all derived files; install.yaml last, as it is rendered from the others."""
    for path, text in chart_files().items():
        path.write_text(text)
    for path, text in manifest_files().items():
        path.write_text(text)


def outdated() -> list[Path]:
    """The derived files that are not what would be written now."""
    expected = {**chart_files(), **manifest_files()}
    return [path for path, text in expected.items() if not path.exists() or path.read_text() != text]


def chart_files() -> Mapping[Path, str]:
    """The derived files of the chart."""
    return {
        CHART / "templates" / "crd.yaml": crd_template((ROOT / "manifests" / "crd.yaml").read_text()),
        CHART / "README.md": readme(
            Path(__file__).with_name("README.md.in").read_text(), (CHART / "values.yaml").read_text()
        ),
    }


def manifest_files() -> Mapping[Path, str]:
    """What is rendered from the chart as it stands."""
    return {ROOT / "manifests" / "install.yaml": install_manifest(tool("helm"), CHART)}


def main(arguments: list[str]) -> int:
    """The command; 1 where `--check` finds an outdated file."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m charts.generator [--check]", file=sys.stderr)
        return 2
    if not arguments:
        write()
        return 0
    old = outdated()
    for path in old:
        print(f"{path.relative_to(ROOT)} is not up to date: run python -m charts.generator", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
