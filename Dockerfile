# Two images (deploy/docker/README.md says how to build and use them, also for another architecture):
#
#   docker build --tag seaway .                                       Seaway alone: no shell, not root, nothing to write to
#   docker build --tag seaway-node-setup --target node-setup .        what prepares a node for an Envoy of role node
#
# Nothing here needs BuildKit; with it, the stages that an image does not need are left out.
ARG RUST=1.95

FROM rust:${RUST}-bookworm AS builder
WORKDIR /seaway
ENV CARGO_PROFILE_RELEASE_STRIP=symbols

# The dependencies are a layer of their own, which stays while Cargo.lock does: they are built around empty packages.
COPY Cargo.toml Cargo.lock ./
COPY proto/Cargo.toml proto/
COPY translator/Cargo.toml translator/
COPY xds/Cargo.toml xds/
COPY tests/support/Cargo.toml tests/support/
RUN set -eu; \
    for file in src/main.rs benches/translate.rs benches/cluster.rs proto/build.rs; do mkdir -p "$(dirname "$file")"; echo 'fn main() {}' > "$file"; done; \
    for package in proto translator xds tests/support; do mkdir -p "$package/src"; touch "$package/src/lib.rs"; done; \
    cargo fetch --locked; \
    cargo build --locked --offline --release --package seaway; \
    cargo clean --offline --release --package seaway --package seaway-proto --package seaway-translator --package seaway-xds

COPY proto proto
COPY translator translator
COPY xds xds
COPY src src
# What goes into the images, in place. Of the libraries the binary wants glibc and this one, which the smallest base with glibc lacks.
RUN set -eu; \
    cargo build --locked --offline --release --package seaway; \
    install -D target/release/seaway /image/usr/local/bin/seaway; \
    install -D --mode 644 "$(gcc -print-file-name=libgcc_s.so.1)" /image/usr/lib/libgcc_s.so.1

FROM debian:bookworm-slim AS node-setup
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends iproute2 nftables \
    && rm -rf /var/lib/apt/lists/*
COPY --from=builder /image/usr/local/bin/seaway /usr/local/bin/seaway
COPY deploy/node/setup.sh /usr/local/bin/seaway-node-setup
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="seaway-node-setup" \
      org.opencontainers.image.description="Prepares a node for an Envoy of Seaway's role node" \
      org.opencontainers.image.source="https://github.com/seaway-dev/seaway" \
      org.opencontainers.image.documentation="https://github.com/seaway-dev/seaway/tree/main/deploy/node" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["/usr/local/bin/seaway-node-setup"]
CMD ["help"]

# The last stage is what `docker build` makes when it is not told a target. Its base has no OpenSSL, since Seaway's TLS is rustls.
FROM gcr.io/distroless/base-nossl-debian12:nonroot AS seaway
COPY --from=builder /image /
COPY LICENSE /usr/share/doc/seaway/
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="seaway" \
      org.opencontainers.image.description="An Envoy xDS control plane for Kubernetes Services" \
      org.opencontainers.image.source="https://github.com/seaway-dev/seaway" \
      org.opencontainers.image.documentation="https://github.com/seaway-dev/seaway/blob/main/README.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Loopback, the default outside of containers, would be out of everybody's reach. Proxies still need TLS or --insecure.
ENV SEAWAY_XDS_LISTEN=0.0.0.0:18000 SEAWAY_ADMIN_LISTEN=0.0.0.0:18001
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 18000 18001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["/usr/local/bin/seaway", "ready"]
ENTRYPOINT ["/usr/local/bin/seaway"]
CMD ["serve"]
