{{/* The alerts of deploy/observability/alerts.yml that are about one process. Each `expr` is one line. */}}
{{- define "sc-service.prometheusrule" -}}
{{- $rule := .Values.process.prometheusRule -}}
{{- $job := printf "job=%q" (include "sc-service.fullname" .) -}}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
    {{- with $rule.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  groups:
    - name: {{ include "sc-service.fullname" . }}
      rules:
        - alert: ProcessDown
          expr: up{ {{ $job }} } == 0
          for: 1m
          labels: { severity: critical }
        - alert: MemoryHigh
          expr: 100 * max by (pod) (container_memory_working_set_bytes{container={{ .Chart.Name | quote }}} / (container_spec_memory_limit_bytes{container={{ .Chart.Name | quote }}} > 0)) > 85
          for: 10m
          labels: { severity: warning }
        {{- if .Values.process.ports.http }}
        - alert: ApiSlow
          expr: histogram_quantile(0.95, sum by (le) (rate(http_request_seconds_bucket{ {{ $job }} }[5m]))) > 0.5
          for: 5m
          labels: { severity: warning }
        - alert: RequestsSlow
          expr: 100 * (1 - sum(rate(http_request_seconds_bucket{ {{ $job }}, le=~"1|1[.]0" }[5m])) / sum(rate(http_request_seconds_count{ {{ $job }} }[5m]))) > 1
          for: 5m
          labels: { severity: warning }
        - alert: ApiErrors
          expr: 100 * sum(rate(http_request_seconds_count{ {{ $job }}, status=~"5.." }[5m])) / sum(rate(http_request_seconds_count{ {{ $job }} }[5m])) > 1
          for: 5m
          labels: { severity: critical }
        {{- end }}
        - alert: CircuitOpen
          expr: circuit_open{ {{ $job }} } == 1
          for: 2m
          labels: { severity: warning }
        {{- if .Values.process.migration.enabled }}
        - alert: DatabasePoolFull
          expr: 100 * db_pool_connections{ {{ $job }}, state="used" } / ignoring (state) db_pool_connections{ {{ $job }}, state="max" } > 80
          for: 5m
          labels: { severity: warning }
        - alert: OutboxOld
          expr: outbox_oldest_unpublished_seconds{ {{ $job }} } > 60
          for: 2m
          labels: { severity: critical }
        - alert: DeadLetters
          expr: max by (queue) (dead_letters{ {{ $job }} }) > 0
          for: 1m
          labels: { severity: warning }
        - alert: JobFailed
          expr: increase(scheduled_runs_total{ {{ $job }}, state="failed" }[1h]) > 0
          labels: { severity: warning }
        - alert: JobMissed
          expr: time() - max by (exported_job) (scheduled_job_next_due{ {{ $job }} }) > 3600
          for: 5m
          labels: { severity: warning }
        - alert: TasksWait
          expr: max by (lane) (task_queue_depth{ {{ $job }}, state="queued" }) > 1000
          for: 15m
          labels: { severity: warning }
        {{- end }}
{{- end -}}
