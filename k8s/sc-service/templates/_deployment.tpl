{{- define "sc-service.deployment" -}}
{{- $process := .Values.process -}}
{{- $secrets := include "sc-service.secrets" . | fromJson -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
spec:
  {{- if not $process.autoscaling.enabled }}
  replicas: {{ $process.replicas }}
  {{- end }}
  minReadySeconds: 5
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "sc-service.serverSelector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      # A new pod is ready before an old one leaves.
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        {{- include "sc-service.labels" . | nindent 8 }}
        app.kubernetes.io/component: server
        {{- with $process.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/config: {{ include "sc-service.config" . | sha256sum }}
        checksum/secret-names: {{ toJson $secrets | sha256sum }}
        {{- with $process.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "sc-service.fullname" . }}
      {{- include "sc-service.podBase" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ $process.terminationGracePeriodSeconds }}
      {{- with $process.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "sc-service.serverSelector" $ | nindent 14 }}
          # Each rollout is spread by itself.
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          image: {{ include "sc-service.image" . | quote }}
          imagePullPolicy: {{ $process.image.pullPolicy }}
          args: [serve]
          securityContext:
            {{- include "sc-service.containerSecurity" . | nindent 12 }}
          envFrom:
            - configMapRef:
                name: {{ include "sc-service.fullname" . }}
          {{- with $secrets }}
          env:
            {{- include "sc-service.secretEnv" (dict "secrets" .) | trim | nindent 12 }}
          {{- end }}
          ports:
            {{- range $name := list "http" "grpc" "admin" }}
            {{- with index $process.ports $name }}
            - name: {{ $name }}
              containerPort: {{ . }}
            {{- end }}
            {{- end }}
          # A minute to start, then the other two take over.
          startupProbe:
            httpGet: { path: /health/live, port: admin }
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 30
          livenessProbe:
            httpGet: { path: /health/live, port: admin }
            periodSeconds: 10
            timeoutSeconds: 3
            failureThreshold: 3
          readinessProbe:
            httpGet: { path: /health/ready, port: admin }
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          resources:
            {{- toYaml $process.resources | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {{- if $secrets }}
            - name: secrets
              mountPath: /run/secrets/sc
              readOnly: true
            {{- end }}
            {{- if $process.tls.enabled }}
            {{- include "sc-service.tlsMount" . | nindent 12 }}
            {{- end }}
            {{- if $process.scratch.enabled }}
            - name: scratch
              mountPath: /var/lib/sc
            {{- end }}
      volumes:
        - name: tmp
          emptyDir:
            medium: Memory
            sizeLimit: 16Mi
        {{- with $secrets }}
        {{- include "sc-service.secretVolume" (dict "secrets" .) | nindent 8 }}
        {{- end }}
        {{- if $process.tls.enabled }}
        {{- include "sc-service.tlsVolume" . | nindent 8 }}
        {{- end }}
        {{- if $process.scratch.enabled }}
        - name: scratch
          emptyDir:
            sizeLimit: {{ $process.scratch.sizeLimit }}
        {{- end }}
{{- end -}}
