{{- /*
The operator's settings as environment variables. The program's own checks and defaults are in
operator/loadstar/settings.py; the values' defaults are the same.
*/}}
{{- define "loadstar.settings" -}}
{{- include "loadstar.checkSettings" . -}}
LOADSTAR_WATCH_NAMESPACES: {{ join "," .Values.watchNamespaces | quote }}
LOADSTAR_API_TIMEOUT_SECONDS: {{ .Values.api.timeoutSeconds | quote }}
LOADSTAR_API_CONCURRENCY: {{ .Values.api.concurrency | quote }}
LOADSTAR_PROMETHEUS_URL: {{ .Values.prometheus.url | quote }}
LOADSTAR_PROMETHEUS_TIMEOUT_SECONDS: {{ .Values.prometheus.timeoutSeconds | quote }}
LOADSTAR_PROMETHEUS_TOKEN_FILE: {{ ternary "/etc/loadstar/prometheus-token/token" "" (ne .Values.prometheus.tokenSecret.name "") | quote }}
LOADSTAR_PROMETHEUS_CA_FILE: {{ ternary "/etc/loadstar/prometheus-ca/ca.crt" "" (ne .Values.prometheus.caConfigMap.name "") | quote }}
LOADSTAR_SCRAPE_INTERVAL_SECONDS: {{ .Values.prometheus.scrapeIntervalSeconds | quote }}
LOADSTAR_METRICS_INTERVAL_SECONDS: {{ .Values.load.metricsIntervalSeconds | quote }}
LOADSTAR_FRESH_SCRAPES: {{ .Values.load.freshScrapes | quote }}
LOADSTAR_STALE_SECONDS: {{ .Values.load.staleSeconds | quote }}
LOADSTAR_WARMUP_SECONDS: {{ .Values.load.warmupSeconds | quote }}
LOADSTAR_HOT_THRESHOLD: {{ .Values.load.hotThreshold | quote }}
LOADSTAR_TOPOLOGY_LEVELS: {{ join "," .Values.topologyLevels | quote }}
LOADSTAR_GPU_WEIGHT: {{ .Values.load.weights.gpu | quote }}
LOADSTAR_GPU_MEMORY_WEIGHT: {{ .Values.load.weights.gpuMemory | quote }}
LOADSTAR_CPU_WEIGHT: {{ .Values.load.weights.cpu | quote }}
LOADSTAR_MEMORY_WEIGHT: {{ .Values.load.weights.memory | quote }}
{{- $weights := list }}
{{- range $group, $weight := .Values.queue.weights }}
{{- $weights = append $weights (printf "%s=%v" $group $weight) }}
{{- end }}
LOADSTAR_QUEUE_ORDER: {{ .Values.queue.order | quote }}
LOADSTAR_QUEUE_WEIGHTS: {{ join "," $weights | quote }}
LOADSTAR_FAIR_SHARE_HALF_LIFE_SECONDS: {{ .Values.queue.fairShareHalfLifeSeconds | quote }}
LOADSTAR_PREEMPTION_PROTECTED_SECONDS: {{ .Values.queue.preemptionProtectedSeconds | quote }}
LOADSTAR_TRAINER_IMAGE: {{ include "loadstar.image" (list .Values.trainer.image .Chart.AppVersion) | quote }}
LOADSTAR_PIN_TIMEOUT_SECONDS: {{ .Values.pinTimeoutSeconds | quote }}
LOADSTAR_RESYNC_SECONDS: {{ .Values.resyncSeconds | quote }}
LOADSTAR_RELIST_SECONDS: {{ .Values.relistSeconds | quote }}
{{- if .Values.progress.enabled }}
LOADSTAR_PROGRESS_URL: {{ printf "https://%s-progress.%s.svc:%v" (include "loadstar.fullname" .) .Release.Namespace .Values.progress.service.port | quote }}
LOADSTAR_PROGRESS_SECRET: {{ include "loadstar.fullname" . }}-progress-tls
{{- end }}
LOADSTAR_LEASE_NAME: {{ include "loadstar.fullname" . | quote }}
LOADSTAR_LEASE_DURATION_SECONDS: {{ .Values.leaderElection.leaseDurationSeconds | quote }}
LOADSTAR_LEASE_RENEW_SECONDS: {{ .Values.leaderElection.renewSeconds | quote }}
LOADSTAR_LEASE_RETRY_SECONDS: {{ .Values.leaderElection.retrySeconds | quote }}
LOADSTAR_LOG_LEVEL: {{ .Values.log.level | quote }}
LOADSTAR_LOG_FORMAT: {{ .Values.log.format | quote }}
{{- end }}

{{- /* Rules between values, which the schema cannot say: the operator would refuse to start. */}}
{{- define "loadstar.checkSettings" -}}
{{- with .Values.leaderElection }}
{{- if not (and (gt (float64 .leaseDurationSeconds) (float64 .renewSeconds)) (gt (float64 .renewSeconds) (float64 .retrySeconds))) }}
{{- fail "leaderElection: leaseDurationSeconds > renewSeconds > retrySeconds must hold, so that a holder gives up before it is replaced" }}
{{- end }}
{{- end }}
{{- $fresh := mulf .Values.load.freshScrapes .Values.prometheus.scrapeIntervalSeconds }}
{{- if lt (float64 .Values.load.staleSeconds) $fresh }}
{{- fail (printf "load.staleSeconds must not be less than load.freshScrapes × prometheus.scrapeIntervalSeconds = %v" $fresh) }}
{{- end }}
{{- with .Values.load.weights }}
{{- if not (or .gpu .gpuMemory .cpu .memory) }}
{{- fail "load.weights: at least one must be greater than 0" }}
{{- end }}
{{- end }}
{{- end }}
