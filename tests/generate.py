"""`make generate`: write every generated file anew. Tests compare each of them with its source.

manifests/crd.yaml and docs/reference/trainingjob.md come from the API models, docs/reference/settings.md from the
settings, the chart's CRD template, README and manifests/install.yaml from those and the chart.
"""

import sys
from pathlib import Path

from charts.generator import __main__ as chart
from loadstar.api.crd import to_yaml
from loadstar.api.reference import to_markdown
from loadstar.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]


def settings_reference() -> str:
    """docs/reference/settings.md."""
    lines = [
        "<!-- Generated from operator/loadstar/settings.py; make it again with: make generate -->",
        "# Settings of the operator",
        "",
        "Each is an environment variable of `loadstar run`; the chart sets them. A flag wins over its variable.",
        "",
        "| Variable | Default | Meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        lines.append(f"| `{PREFIX}{name.upper()}` | {f'`{default}`' if default else ''} | {meaning} |")
    return "\n".join(lines) + "\n"


def own_files() -> dict[Path, str]:
    """The generated files besides the chart's."""
    return {
        ROOT / "manifests" / "crd.yaml": to_yaml(),
        ROOT / "docs" / "reference" / "trainingjob.md": to_markdown(),
        ROOT / "docs" / "reference" / "settings.md": settings_reference(),
    }


def main() -> int:
    """Write all of them."""
    for path, text in own_files().items():
        path.write_text(text)
    chart.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
