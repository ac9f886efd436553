{{/* What both the server and its migration have in their pod: identity, nothing writable, no API token. */}}
{{- define "sc-service.podBase" -}}
automountServiceAccountToken: false
# Kubernetes would otherwise set SC_... variables for every Service of the namespace whose name begins with sc-.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.process.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.process.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.process.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.process.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "sc-service.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where the ports listen; the chart's ports are the one place that says so. */}}
{{- define "sc-service.listen" -}}
{{- $ports := .Values.process.ports -}}
SC_ADMIN__LISTEN: {{ printf "0.0.0.0:%d" (int $ports.admin) }}
{{- if $ports.grpc }}
SC_GRPC__LISTEN: {{ printf "0.0.0.0:%d" (int $ports.grpc) }}
{{- end }}
{{- if $ports.http }}
SC_HTTP__LISTEN: {{ printf "0.0.0.0:%d" (int $ports.http) }}
{{- end }}
{{- end -}}

{{/* Data of the ConfigMap. */}}
{{- define "sc-service.config" -}}
{{- $config := merge (dict) .Values.process.config (include "sc-service.listen" . | fromYaml) -}}
{{- range $key, $value := $config -}}
{{ $key }}: {{ toString $value | quote }}
{{ end }}
{{- end -}}

{{/* process.secrets as JSON without those that were switched off by null. */}}
{{- define "sc-service.secrets" -}}
{{- $secrets := dict -}}
{{- range $key, $entry := .Values.process.secrets -}}
{{- if $entry }}{{ $_ := set $secrets $key $entry }}{{ end -}}
{{- end -}}
{{- toJson $secrets -}}
{{- end -}}

{{/* Call with (dict "secrets" names-to-entries): KEY_FILE variables that point at the mounted files. */}}
{{- define "sc-service.secretEnv" -}}
{{- range $key, $_ := .secrets -}}
- name: {{ $key }}_FILE
  value: /run/secrets/sc/{{ $key }}
{{ end }}
{{- end -}}

{{- define "sc-service.secretVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $key, $entry := .secrets }}
      - secret:
          name: {{ $entry.name }}
          items:
            - key: {{ $entry.key }}
              path: {{ $key }}
      {{- end }}
{{- end -}}
