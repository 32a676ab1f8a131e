{{- /* Name of every object: fullnameOverride, else the release's name, with the chart's name if it is not in it. */}}
{{- define "loadstar.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "loadstar.serviceAccountName" -}}
{{- default (.Values.serviceAccount.create | ternary (include "loadstar.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "loadstar.subjects" -}}
- kind: ServiceAccount
  name: {{ include "loadstar.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "loadstar.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "loadstar.labels" -}}
{{- $own := include "loadstar.selectorLabels" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/part-of" "loadstar" }}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- toYaml (merge $own .Values.commonLabels) }}
{{- end }}

{{- /* Reference of an image, from (list <image's values> <tag where it has none>). */}}
{{- define "loadstar.image" -}}
{{- $image := index . 0 }}
{{- with $image.digest }}{{ $image.repository }}@{{ . }}{{ else }}{{ $image.repository }}:{{ default (index . 1) $image.tag }}{{ end }}
{{- end }}
