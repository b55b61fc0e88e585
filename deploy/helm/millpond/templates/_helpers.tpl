{{- define "millpond.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "millpond.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Servers alone, not the jobs beside them. */}}
{{- define "millpond.serverLabels" -}}
{{ include "millpond.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "millpond.labels" -}}
{{ include "millpond.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "millpond.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "millpond.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "millpond.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "millpond.scheme" -}}
{{- if .Values.settings.tls_certificate }}https{{ else }}http{{ end -}}
{{- end -}}

{{/* Where clients reach the servers, for links in stream records. */}}
{{- define "millpond.publicUrl" -}}
{{- if .Values.settings.public_url -}}
{{- .Values.settings.public_url -}}
{{- else if and .Values.ingress.enabled .Values.ingress.hosts -}}
{{- printf "%s://%s" (ternary "https" "http" (gt (len .Values.ingress.tls) 0)) (first .Values.ingress.hosts) -}}
{{- else if and .Values.httpRoute.enabled .Values.httpRoute.hostnames -}}
{{- printf "https://%s" (first .Values.httpRoute.hostnames) -}}
{{- else -}}
{{- printf "%s://%s.%s.svc:%v" (include "millpond.scheme" .) (include "millpond.fullname" .) .Release.Namespace .Values.service.port -}}
{{- end -}}
{{- end -}}

{{- define "millpond.settings" -}}
{{- $settings := merge (dict "public_url" (include "millpond.publicUrl" .)) .Values.settings -}}
{{- toToml $settings -}}
{{- end -}}

{{/* What every container has. */}}
{{- define "millpond.container" -}}
image: {{ include "millpond.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{- define "millpond.pod" -}}
# A Service named millpond would set MILLPOND_PORT, among others.
enableServiceLinks: false
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* The image has these settings as variables, which win over the file. */}}
{{- define "millpond.env" -}}
- name: CREDENTIALS_DIRECTORY
  value: /run/millpond/credentials
{{- range $name := list "host" "log_format" }}
{{- with get $.Values.settings $name }}
- name: MILLPOND_{{ upper $name }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "millpond.secretVolume" -}}
- name: credentials
  projected:
    defaultMode: 0440
    sources:
    {{- range $setting, $key := .Values.secret.keys }}
      - secret:
          name: {{ $.Values.secret.name }}
          {{- if has $setting (list "hook_secret" "listen_store") }}
          optional: true
          {{- end }}
          items:
            - key: {{ $key | quote }}
              path: millpond.{{ $setting }}
    {{- end }}
{{- end -}}
