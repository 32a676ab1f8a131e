{{- /*
The operator's settings as environment variables. The program's own checks and defaults are in
operator/loadstar/settings.py; the values' defaults are the same.
*/}}
{{- define "loadstar.settings" -}}
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
LOADSTAR_GPU_WEIGHT: {{ .Values.load.weights.gpu | quote }}
LOADSTAR_GPU_MEMORY_WEIGHT: {{ .Values.load.weights.gpuMemory | quote }}
LOADSTAR_CPU_WEIGHT: {{ .Values.load.weights.cpu | quote }}
LOADSTAR_MEMORY_WEIGHT: {{ .Values.load.weights.memory | quote }}
LOADSTAR_TRAINER_IMAGE: {{ include "loadstar.image" (list .Values.trainer.image .Chart.AppVersion) | quote }}
LOADSTAR_PIN_TIMEOUT_SECONDS: {{ .Values.pinTimeoutSeconds | quote }}
LOADSTAR_RESYNC_SECONDS: {{ .Values.resyncSeconds | quote }}
LOADSTAR_RELIST_SECONDS: {{ .Values.relistSeconds | quote }}
LOADSTAR_LEASE_NAME: {{ include "loadstar.fullname" . | quote }}
LOADSTAR_LEASE_DURATION_SECONDS: {{ .Values.leaderElection.leaseDurationSeconds | quote }}
LOADSTAR_LEASE_RENEW_SECONDS: {{ .Values.leaderElection.renewSeconds | quote }}
LOADSTAR_LEASE_RETRY_SECONDS: {{ .Values.leaderElection.retrySeconds | quote }}
LOADSTAR_LOG_LEVEL: {{ .Values.log.level | quote }}
LOADSTAR_LOG_FORMAT: {{ .Values.log.format | quote }}
{{- end }}
