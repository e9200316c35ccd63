{{/*
What the pods of all parts have in common. Takes a dict: root, component, part (its values), kek (whether it opens secrets),
after (the services it waits for in an upgrade), program, ports, args.
*/}}
{{- define "certfleet.podMetadata" -}}
labels:
  {{- include "certfleet.labels" . | nindent 2 }}
  certfleet/metrics: "true"
annotations:
  checksum/settings: {{ include "certfleet.settings" .root | sha256sum }}
  kubectl.kubernetes.io/default-container: {{ .component }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "certfleet.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.securityContext.user }}
runAsGroup: {{ .Values.securityContext.group }}
fsGroup: {{ .Values.securityContext.group }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "certfleet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "certfleet.scheduling" -}}
{{- $values := .root.Values -}}
{{- if $values.zones.enabled }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ $values.zones.topologyKey }}
    whenUnsatisfiable: {{ $values.zones.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "certfleet.selector" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "certfleet.selector" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "certfleet.mounts" -}}
- name: settings
  mountPath: /etc/certfleet/settings
  readOnly: true
- name: state
  mountPath: /var/lib/certfleet
{{- if .kek }}
- name: kek
  mountPath: /etc/certfleet/kek
  readOnly: true
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "certfleet.volumes" -}}
- name: settings
  configMap:
    name: {{ include "certfleet.fullname" .root }}
- name: state
  emptyDir:
    sizeLimit: 64Mi
{{- if .kek }}
- name: kek
  secret:
    secretName: {{ include "certfleet.kekSecret" .root }}
    # Kubernetes lets the group read it as well, because of fsGroup; nobody else.
    defaultMode: 0400
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Whether this part opens secrets, and the KEK is in a Secret. */}}
{{- define "certfleet.mountsKek" -}}
{{- if and .opens (or (not .root.Values.kek.key) .root.Values.kek.otherSecretKeys) -}}true{{- end -}}
{{- end -}}

{{- define "certfleet.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: management}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /livez, port: management}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: management}
  periodSeconds: 3
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{/* In an upgrade: waits until the services before it are of this version, or gone. */}}
{{- define "certfleet.await" -}}
{{- if .root.Values.rollout.inOrder }}
initContainers:
  - name: in-order
    image: {{ include "certfleet.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args:
      - certfleet
      - rollout
      - wait
      {{- range .after }}
      - --for={{ . }}
      {{- end }}
      - --timeout={{ int .root.Values.rollout.waitSeconds }}s
    env:
      {{- include "certfleet.env" .root | nindent 6 }}
    securityContext:
      {{- include "certfleet.containerSecurity" .root | nindent 6 }}
    resources:
      requests: {cpu: 10m, memory: 32Mi}
      limits: {memory: 128Mi}
    volumeMounts:
      {{- include "certfleet.mounts" (dict "root" .root "kek" "") | nindent 6 }}
{{- end }}
{{- end -}}
