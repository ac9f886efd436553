{{- define "sc-service.configmap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
data:
  {{- include "sc-service.config" . | trim | nindent 2 }}
{{- end -}}

{{- define "sc-service.serviceaccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
  {{- with .Values.process.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{- define "sc-service.service" -}}
{{- $process := .Values.process -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
  {{- with $process.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if $process.service.headless }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "sc-service.serverSelector" . | nindent 4 }}
  ports:
    {{- with $process.ports.http }}
    - name: http
      port: {{ . }}
      targetPort: http
      appProtocol: http
    {{- end }}
    {{- with $process.ports.grpc }}
    - name: grpc
      port: {{ . }}
      targetPort: grpc
      appProtocol: {{ ternary "https" "kubernetes.io/h2c" $process.tls.enabled }}
    {{- end }}
    - name: admin
      port: {{ $process.ports.admin }}
      targetPort: admin
      appProtocol: http
{{- end -}}

{{- define "sc-service.autoscaler" -}}
{{- $scaling := .Values.process.autoscaling -}}
{{- if lt (int $scaling.maxReplicas) (int $scaling.minReplicas) -}}
{{- fail "process.autoscaling.maxReplicas is below minReplicas" -}}
{{- end -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "sc-service.fullname" . }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $scaling.targetCPUUtilizationPercentage }}
    {{- with $scaling.extraMetrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  behavior:
    scaleUp:
      stabilizationWindowSeconds: {{ $scaling.scaleUpWindowSeconds }}
      policies:
        - { type: Pods, value: 2, periodSeconds: 300 }
    scaleDown:
      stabilizationWindowSeconds: {{ $scaling.scaleDownWindowSeconds }}
      policies:
        - { type: Pods, value: 1, periodSeconds: 900 }
{{- end -}}

{{- define "sc-service.disruptionbudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .Values.process.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready anyway must not hold up the draining of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "sc-service.serverSelector" . | nindent 6 }}
{{- end -}}

{{- define "sc-service.servicemonitor" -}}
{{- $monitor := .Values.process.serviceMonitor -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
    {{- with $monitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "sc-service.selector" . | nindent 6 }}
  endpoints:
    - port: admin
      path: /metrics/prometheus
      interval: {{ $monitor.interval }}
{{- end -}}
