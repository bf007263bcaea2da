#!/usr/bin/env bash
# Builds a kube-apiserver for tests/test_deployment_api_server.py out of its Go module, where no
# Kubernetes release can be downloaded (five minutes of two cores): build_apiserver.sh DIRECTORY
set -euo pipefail
version=36.3 # of 1.36.3; a staging module of version 0.36.3 belongs to it
directory=$(realpath -m "${1:?where to put it}")
mkdir -p "$directory/build"
cd "$directory/build"
module=$(go mod download -json "k8s.io/kubernetes@v1.$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
{
  printf 'module apiserver\n\n%s\n\n' "$(grep '^go ' "$module/go.mod")"
  printf 'require k8s.io/kubernetes v1.%s\n\n' "$version"
  # The module finds its staging modules in its own source tree, which the proxy does not serve.
  sed -n 's|^\t*\(k8s.io/[a-z0-9-]*\) => ./staging.*|replace \1 => \1 v0.'"$version"'|p' "$module/go.mod"
} >go.mod
printf 'package main\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver/app"\n\nfunc main() {}\n' >main.go
GOFLAGS=-mod=mod go mod tidy
GOFLAGS=-mod=mod go build -o "$directory/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
echo "Now: HOROSCOPE_TEST_APISERVER=$directory/kube-apiserver python -m pytest tests/test_deployment_api_server.py"
