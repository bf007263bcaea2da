#!/bin/sh
# Makes a base image from Debian's packages alone, for where no image registry is reached:
#
#   docker/debian_base.sh localhost/debian-python && BASE_IMAGE=localhost/debian-python make images
#
# Needs root, debootstrap and buildah.
set -eu
name=${1:?which name the image gets}
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
debootstrap --variant=minbase --include=python3,ca-certificates "${SUITE:-bookworm}" "$root" >"$root.log" 2>&1 ||
  { tail -5 "$root.log" >&2; exit 1; }
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
container=$(buildah from scratch)
# Through tar, since the container engine may not read what debootstrap left below /proc.
tar --directory "$root" --one-file-system --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* --create . |
  tar --directory "$(buildah mount "$container")" --extract
buildah umount "$container" >/dev/null
buildah config --cmd python3 "$container"
buildah commit --quiet --rm "$container" "$name"
