{{/* Selects servers and migrations alike. Kubelet probes are not subject to it. */}}
{{- define "sc-service.networkpolicy" -}}
{{- $process := .Values.process -}}
{{- $policy := $process.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "sc-service.fullname" . }}
  labels:
    {{- include "sc-service.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "sc-service.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- if and $process.ports.grpc $policy.callers }}
    - from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/part-of: student-coaching
            matchExpressions:
              - key: app.kubernetes.io/name
                operator: In
                values: {{ toJson $policy.callers }}
      ports:
        - { protocol: TCP, port: grpc }
    {{- end }}
    {{- if $process.ports.http }}
    # The edge: whoever can reach the pod network may call it, as an ingress controller or load balancer has to.
    - ports:
        - { protocol: TCP, port: http }
    {{- end }}
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ $policy.monitoringNamespace }}
      ports:
        - { protocol: TCP, port: admin }
    {{- with $policy.extraIngress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
    - to:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: kube-system
      ports:
        - { protocol: UDP, port: 53 }
        - { protocol: TCP, port: 53 }
    # The receiving side decides which of them may call.
    - to:
        - podSelector:
            matchLabels:
              app.kubernetes.io/part-of: student-coaching
    {{- with $policy.egressPorts }}
    - ports:
        {{- range . }}
        - { protocol: TCP, port: {{ . }} }
        {{- end }}
    {{- end }}
    {{- with $policy.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
