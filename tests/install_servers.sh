#!/usr/bin/env bash
# Tests talk to real servers and a real browser. This installs those that are missing where it may
# (Debian, root), and otherwise says what to install.
set -euo pipefail

packages=()
command -v chromium >/dev/null || packages+=(chromium)
[ -n "$(compgen -G '/usr/lib/postgresql/*/bin/postgres')" ] || packages+=(postgresql)
# Kafka comes from an address in the environment, from Docker, or else from its own jars; schemas of
# what the manifests say come from Strimzi's classes and KEDA's Go module.
command -v javac >/dev/null || packages+=(default-jdk-headless)
command -v mvn >/dev/null || packages+=(maven)
command -v go >/dev/null || packages+=(golang-go)
command -v promtool >/dev/null || packages+=(prometheus)
# Images take minutes to build, so their tests run where somebody asks for them.
if [ -n "${HOROSCOPE_TEST_IMAGES:-}" ] && ! docker info >/dev/null 2>&1; then
  command -v buildah >/dev/null || packages+=(buildah)
  command -v debootstrap >/dev/null || packages+=(debootstrap)
fi
[ ${#packages[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "The tests need these programs; install them first: ${packages[*]}" >&2
  exit 1
fi
echo "Installing what the tests talk to (once): ${packages[*]} ..."
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# Debian would start a cluster of its own at once; the tests start theirs.
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/horoscope-tests.conf
apt-get -qq install --no-install-recommends --yes "${packages[@]}" >/dev/null
