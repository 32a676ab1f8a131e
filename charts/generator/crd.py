"""The chart's CRD template: manifests/crd.yaml with switches around it."""

import re

_HEAD = """\
{{- /* Generated from manifests/crd.yaml; do not edit. Make it again with: python -m charts.generator */}}
{{- if .Values.crds.enabled }}
"""
_TAIL = "{{- end }}\n"
_LABELS = """\
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
  labels:
    {{- include "loadstar.labels" . | nindent 4 }}
"""
_OWN_LABELS = re.compile(r"^  labels:\n(?:    .*\n)+", re.MULTILINE)


def crd_template(crd: str) -> str:
    """The template for the text of a CRD. Raises ValueError where the text has not the one block of labels."""
    body = "".join(line for line in crd.splitlines(keepends=True) if not line.startswith("#"))
    body = body.replace("{{", '{{ "{{" }}')
    body, replaced = _OWN_LABELS.subn(lambda _: _LABELS, body)
    if replaced != 1:
        raise ValueError(f"manifests/crd.yaml has {replaced} blocks of labels at the top, expected 1")
    return _HEAD + body + _TAIL
