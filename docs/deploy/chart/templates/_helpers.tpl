{{- define "tarkeep.name" -}}
{{ if contains "tarkeep" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-tarkeep" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tarkeep.selector" -}}
app.kubernetes.io/name: tarkeep
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tarkeep.labels" -}}
{{ include "tarkeep.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}
