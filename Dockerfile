# Two images of one source: `bot`, which talks to Telegram, and `generator`, which writes.
# `make images` builds both with whichever of Docker, Podman and Buildah is there.

# Any Debian-based image with Python 3.11 or newer.
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS base
# Everything the programs write goes to /data; the rest of the file system may be read-only.
RUN groupadd --gid 10001 horoscope \
    && useradd --uid 10001 --gid 10001 --no-log-init --home-dir /data --shell /usr/sbin/nologin horoscope \
    && install --directory --owner 10001 --group 10001 /data
ENV PATH=/opt/horoscope/bin:$PATH \
    HOROSCOPE_DATA=/data \
    HOROSCOPE_HTTP_PORT=8081
WORKDIR /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["horoscope"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['HOROSCOPE_HTTP_PORT'] + '/live', timeout=2)"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="horoscope" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# What is installed here stays here: no compiler, no package manager's cache reaches an image.
FROM base AS build
# hadolint ignore=DL3008,DL3009
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils \
    && { python3 -c "import ensurepip" 2>/dev/null || apt-get install --yes --no-install-recommends python3-venv; } \
    && python3 -m venv /opt/horoscope
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE docker/install.sh docker/slim.sh ./
COPY src src

FROM build AS build-bot
RUN --mount=type=cache,target=/root/.cache/pip ./install.sh bot && ./slim.sh /opt/horoscope

FROM build AS build-generator
RUN --mount=type=cache,target=/root/.cache/pip ./install.sh generator && ./slim.sh /opt/horoscope

FROM base AS bot
LABEL org.opencontainers.image.title="horoscope-bot" \
      org.opencontainers.image.description="Talks to Telegram, and passes wishes on through Kafka"
COPY --from=build-bot /opt/horoscope /opt/horoscope
USER 10001:10001
CMD ["bot"]

FROM base AS generator
LABEL org.opencontainers.image.title="horoscope-generator" \
      org.opencontainers.image.description="Writes horoscopes in Russian with a small language model"
COPY --from=build-generator /opt/horoscope /opt/horoscope
# Another model: build with MODEL=a directory of this source tree, or mount one at /model.
ARG MODEL=src/horoscope/models/best
COPY ${MODEL} /model
USER 10001:10001
CMD ["worker"]
