{{/* Runs before anything else of the release, so it may rely on nothing of it: no ConfigMap, no ServiceAccount. */}}
{{- define "sc-service.migration" -}}
{{- $process := .Values.process -}}
{{- $secrets := dict -}}
{{- range $key := $process.migration.secrets -}}
{{- $entry := required (printf "process.migration.secrets names %s, which process.secrets lacks" $key) (get $process.secrets $key) -}}
{{- $_ := set $secrets $key $entry -}}
{{- end -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "sc-service.fullname" . }}-migrate
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
    app.kubernetes.io/component: migration
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    # A failed job stays, so that its log can be read; the next try removes it.
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 2
  activeDeadlineSeconds: {{ $process.migration.timeoutSeconds }}
  template:
    metadata:
      labels:
        {{- include "sc-service.labels" . | nindent 8 }}
        app.kubernetes.io/component: migration
    spec:
      restartPolicy: Never
      {{- include "sc-service.podBase" . | nindent 6 }}
      containers:
        - name: migrate
          image: {{ include "sc-service.image" . | quote }}
          imagePullPolicy: {{ $process.image.pullPolicy }}
          args: [migrate]
          securityContext:
            {{- include "sc-service.containerSecurity" . | nindent 12 }}
          env:
            {{- range $key, $value := include "sc-service.config" . | fromYaml }}
            - name: {{ $key }}
              value: {{ $value | quote }}
            {{- end }}
            {{- include "sc-service.secretEnv" (dict "secrets" $secrets) | trim | nindent 12 }}
          resources:
            {{- toYaml $process.migration.resources | nindent 12 }}
          volumeMounts:
            - name: secrets
              mountPath: /run/secrets/sc
              readOnly: true
            {{- if $process.tls.enabled }}
            {{- include "sc-service.tlsMount" . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "sc-service.secretVolume" (dict "secrets" $secrets) | nindent 8 }}
        {{- if $process.tls.enabled }}
        {{- include "sc-service.tlsVolume" . | nindent 8 }}
        {{- end }}
{{- end -}}
