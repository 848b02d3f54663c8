# Builds console and copies it into a small image that does not run as root.
# SQLite is linked into the program, so it needs only the C library and the CA certificates.
#
#   docker build -t postrider .
#   docker run --rm -p 127.0.0.1:8080:8080 -e POSTRIDER_INSECURE=true postrider     (test mode, for a first look)

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# Commit and date for `console --version`: --build-arg POSTRIDER_COMMIT=$(git rev-parse --short HEAD)
ARG POSTRIDER_COMMIT=""
ARG POSTRIDER_COMMIT_DATE=""
# The caches keep downloaded and compiled dependencies between builds (BuildKit).
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo install --locked --path . --bin console --root /install --no-track \
    && strip /install/bin/console

FROM debian:12.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates busybox \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/postrider --create-home postrider
COPY --from=build /install/bin/console /usr/local/bin/console
USER postrider
WORKDIR /var/lib/postrider
VOLUME /var/lib/postrider
# Loopback is useless inside a container; on other addresses serve needs API keys or POSTRIDER_INSECURE=true.
ENV POSTRIDER_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["console"]
CMD ["serve"]
