{{/* Every object of one process: the one line in its chart includes this. */}}
{{- define "sc-service.all" -}}
{{- $process := .Values.process -}}
{{- if $process.migration.enabled }}
{{ include "sc-service.migration" . }}
---
{{- end }}
{{ include "sc-service.serviceaccount" . }}
---
{{ include "sc-service.configmap" . }}
---
{{ include "sc-service.service" . }}
---
{{ include "sc-service.deployment" . }}
{{- if $process.autoscaling.enabled }}
---
{{ include "sc-service.autoscaler" . }}
{{- end }}
{{- if $process.podDisruptionBudget.enabled }}
---
{{ include "sc-service.disruptionbudget" . }}
{{- end }}
{{- if $process.networkPolicy.enabled }}
---
{{ include "sc-service.networkpolicy" . }}
{{- end }}
{{- if $process.serviceMonitor.enabled }}
---
{{ include "sc-service.servicemonitor" . }}
{{- end }}
{{- if $process.prometheusRule.enabled }}
---
{{ include "sc-service.prometheusrule" . }}
{{- end }}
{{- end -}}
