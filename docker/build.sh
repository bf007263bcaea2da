#!/bin/sh
# Builds the images `bot` and `generator` with the first of Docker, Podman and Buildah that works.
#
#   BUILDER=buildah          choose the builder
#   BASE_IMAGE=...           any Debian-based image with Python 3.11 or newer
#   MODEL=runs/best          another model, a directory in this source tree
#   TAG=0.2.0                what comes after the colon (default: the version)
#   BUILD_OPTIONS='...'      more options for the builder
set -eu
cd "$(dirname "$0")/.."

if [ -z "${BUILDER:-}" ]; then
  if docker info >/dev/null 2>&1; then BUILDER=docker
  elif command -v podman >/dev/null; then BUILDER=podman
  elif command -v buildah >/dev/null; then BUILDER=buildah
  else
    echo "Building images needs Docker, Podman or Buildah (Debian: apt-get install buildah)." >&2
    exit 1
  fi
fi
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)

case $BUILDER in
  *docker) build="docker buildx build --load" ;;
  # The OCI format has no health check; what both images share is built once.
  *) build="$BUILDER build --format docker --layers" ;;
esac
set -- --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
[ -z "${BASE_IMAGE:-}" ] || set -- "$@" --build-arg "BASE_IMAGE=$BASE_IMAGE"
[ -z "${MODEL:-}" ] || set -- "$@" --build-arg "MODEL=$MODEL"
for target in ${TARGETS:-bot generator}; do
  # shellcheck disable=SC2086 # options are words
  $build "$@" ${BUILD_OPTIONS:-} --target "$target" --tag "horoscope-$target:${TAG:-$version}" .
done
