{{/* Name of every object of the process. */}}
{{- define "sc-service.fullname" -}}
{{- default .Release.Name .Values.process.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that never change in the life of a release. Migration pods carry them too; only servers have the component. */}}
{{- define "sc-service.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sc-service.serverSelector" -}}
{{ include "sc-service.selector" . }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "sc-service.labels" -}}
{{ include "sc-service.selector" . }}
app.kubernetes.io/part-of: student-coaching
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sc-service.image" -}}
{{- $image := .Values.process.image -}}
{{- $repository := required "process.image.repository is required" $image.repository -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $repository $image.digest }}
{{- else -}}
{{ printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) }}
{{- end -}}
{{- end -}}
