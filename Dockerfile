# Builds console and puts it alone into a small image that does not run as root.
# SQLite is inside the program, so it needs nothing but the C library and the certificate authorities.
#
#   docker build -t postrider .
#   docker run --rm -p 127.0.0.1:8080:8080 -e POSTRIDER_INSECURE=true postrider     (a sandbox to look at)

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin console \
    && strip target/release/console

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates busybox \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/postrider --create-home postrider
COPY --from=build /source/target/release/console /usr/local/bin/console
USER postrider
WORKDIR /var/lib/postrider
VOLUME /var/lib/postrider
# Inside a container loopback is of no use; serve then asks for keys, or for a clear word that it needs none.
ENV POSTRIDER_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["console"]
CMD ["serve"]
