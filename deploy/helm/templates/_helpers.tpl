{{- /* Names and labels that the manifests share. */ -}}

{{- define "assay.labels" -}}
{{ include "assay.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "assay.selector" -}}
app.kubernetes.io/name: assay
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "assay.image" -}}
{{ required "image.repository: build the Dockerfile, push it, and name it here" .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The config as an object, and the mistakes that a pod would not survive. */ -}}
{{- define "assay.config" -}}
{{- $config := fromYaml (required "config: no assay.yaml; --set-file config=assay.yaml" .Values.config) -}}
{{- with get $config "Error" }}{{ fail (printf "config: no YAML: %s" .) }}{{ end -}}
{{- $host := get ($config.metrics | default dict) "host" -}}
{{- if ne (toString $host) "0.0.0.0" }}{{ fail "config: say `metrics: {host: 0.0.0.0}` in it, or no probe reaches a pod" }}{{ end -}}
{{- toJson $config -}}
{{- end }}

{{- define "assay.port" -}}
{{- get (include "assay.config" . | fromJson).metrics "port" | default 9464 | int -}}
{{- end }}

{{- /* Seconds that a worker may take to drain and to flush, and some to leave its groups. */ -}}
{{- define "assay.grace" -}}
{{- $stop := (include "assay.config" . | fromJson).stop | default dict -}}
{{- $drain := hasKey $stop "drain_s" | ternary $stop.drain_s 10 -}}
{{- $flush := hasKey $stop "flush_s" | ternary $stop.flush_s 10 -}}
{{- addf $drain $flush 15 | ceil | int -}}
{{- end }}
