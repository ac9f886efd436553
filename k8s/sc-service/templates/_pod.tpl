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

{{/* Where the files of mutual TLS are mounted. */}}
{{- define "sc-service.tlsFiles" -}}
{{- if .Values.process.tls.enabled -}}
SC_GRPC__TLS_CERT: /run/secrets/tls/tls.crt
SC_GRPC__TLS_KEY: /run/secrets/tls/tls.key
SC_GRPC__TLS_CA: /run/secrets/tls/ca.crt
{{- end -}}
{{- end -}}

{{/* Data of the ConfigMap. */}}
{{- define "sc-service.config" -}}
{{- $tls := .Values.process.tls.enabled -}}
{{- $own := merge (include "sc-service.listen" . | fromYaml) (include "sc-service.tlsFiles" . | fromYaml) -}}
{{- $config := merge (dict) .Values.process.config $own -}}
{{- range $key, $value := $config -}}
{{- $text := toString $value -}}
{{- if and $tls (hasPrefix "SC_SERVICES__" $key) -}}
{{- $text = $text | replace "http://" "https://" -}}
{{- end -}}
{{ $key }}: {{ $text | quote }}
{{ end }}
{{- end -}}

{{/* The whole folder and no subPath: a renewed certificate would not arrive in one. */}}
{{- define "sc-service.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ .Values.process.tls.secret | default (printf "%s-tls" (include "sc-service.fullname" .)) }}
    defaultMode: 0440
{{- end -}}

{{- define "sc-service.tlsMount" -}}
- name: tls
  mountPath: /run/secrets/tls
  readOnly: true
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
