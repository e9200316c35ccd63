{{- define "certfleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "certfleet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "certfleet.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "certfleet.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a part's pods are chosen by. Takes a dict of root and component. */}}
{{- define "certfleet.selector" -}}
app.kubernetes.io/name: {{ include "certfleet.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "certfleet.labels" -}}
{{ include "certfleet.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: certfleet
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "certfleet.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the database's URI, and the same for the migrations, which come before the release's own Secrets. */}}
{{- define "certfleet.databaseSecret" -}}
{{- .Values.database.existingSecret | default (printf "%s-database" (include "certfleet.fullname" .)) -}}
{{- end -}}

{{- define "certfleet.migrationSecret" -}}
{{- .Values.database.existingSecret | default (printf "%s-migrate" (include "certfleet.fullname" .)) -}}
{{- end -}}

{{- define "certfleet.kekSecret" -}}
{{- .Values.kek.existingSecret | default (printf "%s-kek" (include "certfleet.fullname" .)) -}}
{{- end -}}

{{- define "certfleet.adapterSecret" -}}
{{- if eq .Values.metricsAdapter.tls.source "existingSecret" -}}
{{- .Values.metricsAdapter.tls.existingSecret -}}
{{- else -}}
{{- printf "%s-metrics-adapter-tls" (include "certfleet.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "certfleet.host" -}}
{{- (urlParse .Values.externalUrl).host | splitList ":" | first -}}
{{- end -}}

{{/* The settings file that all services read: what the values say, and over it what settings says. */}}
{{- define "certfleet.settings" -}}
{{- $values := .Values -}}
{{- $listen := dict "server" (dict
      "listen" "0.0.0.0:8443"
      "external_url" $values.externalUrl
      "trusted_proxies" $values.tls.trustedProxies
      "shutdown_timeout" (printf "%ds" (int $values.api.shutdownSeconds))) -}}
{{- $tls := dict "mode" (ternary "off" $values.tls.mode (eq $values.tls.mode "proxy")) -}}
{{- if eq $values.tls.mode "files" -}}
{{- $_ := set $tls "certificate" "/etc/certfleet/tls/tls.crt" -}}
{{- $_ := set $tls "key" "/etc/certfleet/tls/tls.key" -}}
{{- end -}}
{{- if and (eq $values.tls.mode "managed") $values.tls.names -}}
{{- $_ := set $tls "names" $values.tls.names -}}
{{- end -}}
{{- $kek := dict -}}
{{- if $values.kek.key -}}
{{- $_ := set $kek "key" $values.kek.key -}}
{{- else -}}
{{- $_ := set $kek "file" (printf "/etc/certfleet/kek/%s" $values.kek.secretKey) -}}
{{- end -}}
{{- with $values.kek.otherSecretKeys -}}
{{- $others := list -}}
{{- range . -}}
{{- $others = append $others (printf "file:/etc/certfleet/kek/%s" .) -}}
{{- end -}}
{{- $_ := set $kek "others" $others -}}
{{- end -}}
{{- $derived := dict
      "tls" $tls
      "kek" $kek
      "management" (dict "listen" "0.0.0.0:9090")
      "database" (dict "name" $values.database.name "max_pool_size" (int $values.database.maxPoolSize))
      "worker" (dict "concurrency" (int $values.worker.concurrency) "drain_timeout" (printf "%ds" (int $values.worker.drainSeconds)))
      "log" (dict "format" "json")
      "state" (dict "dir" "/var/lib/certfleet") -}}
{{- if $values.worker.allowNetworks -}}
{{- $_ := set $derived "validation" (dict "allow_networks" $values.worker.allowNetworks) -}}
{{- end -}}
{{- if $values.publicHttp.url -}}
{{- $_ := set $derived "revocation" (dict "url" $values.publicHttp.url "listen" "0.0.0.0:8080") -}}
{{- end -}}
{{- if $values.agents.url -}}
{{- $_ := set $derived "agents" (dict "url" $values.agents.url "listen" "0.0.0.0:8446") -}}
{{- end -}}
{{- toYaml (mergeOverwrite (merge $listen $derived) (deepCopy $values.settings)) -}}
{{- end -}}

{{/* Environment: where the settings are, and what is secret in them. */}}
{{- define "certfleet.env" -}}
- name: CERTFLEET_CONFIG
  value: /etc/certfleet/settings/certfleet.yaml
- name: CERTFLEET_DATABASE_URI
  valueFrom:
    secretKeyRef:
      name: {{ include "certfleet.databaseSecret" . }}
      key: {{ .Values.database.secretKey }}
{{- with .Values.monitoring.metricsTokenSecret }}
- name: CERTFLEET_MANAGEMENT_METRICS_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.monitoring.metricsTokenKey }}
{{- end }}
{{- end -}}
