#!/usr/bin/env bash
# Sees to it that the base images of the Dockerfile and of deploy/docker/compose.yaml are there: those that are, stay; those that are not
# are pulled; and where no registry can be reached, stand-ins under the same names are made from Debian packages, from this machine's Rust
# toolchain ($(rustc --print sysroot)) and from the Envoy of `make envoy` ($ENVOY). Needs root and debootstrap for the latter.
set -euo pipefail
cd "$(dirname "$0")/../.."

rust=rust:1.95-bookworm debian=debian:bookworm-slim distroless=gcr.io/distroless/base-nossl-debian12:nonroot
envoy=envoyproxy/envoy:v1.40.0 busybox=busybox:1.37
ENVOY=${ENVOY:-$PWD/.tools/envoy-1.40.0/envoy}
# For the Dockerfiles below: one that has BuildKit's own registry look-ups would ask for the names made here.
export DOCKER_BUILDKIT=0

say() { echo "base image $1: $2" >&2; }

# An image of the files in the archive on standard input.
import() { docker import "$@" >/dev/null; }

# An image from a Dockerfile on standard input, without a context. The network is the machine's, as Debian's mirror may be reached by it alone.
make_image() { docker build --quiet --network host --tag "$1" - >/dev/null; }

make_debian() {
    command -v debootstrap >/dev/null || { echo "missing: debootstrap, to make $debian without a registry" >&2; exit 1; }
    local root
    root=$(mktemp -d)
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" http://deb.debian.org/debian >&2
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/usr/share/{doc,man,locale}/*
    # A machine behind a proxy has certificates of its own.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    tar -C "$root" --numeric-owner -c . | import -c 'CMD ["bash"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$debian"
    rm -rf "$root"
}

make_rust() {
    local sysroot
    sysroot=$(rustc --print sysroot)
    tar -C "$sysroot" --numeric-owner -c bin/cargo bin/rustc lib | import - seaway-test/toolchain
    make_image "$rust" <<DOCKERFILE
FROM $debian
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY --from=seaway-test/toolchain / /usr/local/
ENV CARGO_HOME=/usr/local/cargo
DOCKERFILE
}

make_distroless() {
    make_image "$distroless" <<DOCKERFILE
FROM $debian AS files
WORKDIR /packages
RUN apt-get update -qq && apt-get download -qq base-files netbase tzdata libc6 ca-certificates \
    && for package in *.deb; do dpkg-deb -x \$package /root-folder; done \
    && rm -rf /root-folder/usr/share/doc /root-folder/usr/share/lintian \
    && mkdir -p /root-folder/etc/ssl/certs && cp /etc/ssl/certs/ca-certificates.crt /root-folder/etc/ssl/certs/ \
    && printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' > /root-folder/etc/passwd \
    && printf 'root:x:0:\nnonroot:x:65532:\n' > /root-folder/etc/group \
    && mkdir -p /root-folder/home/nonroot && chown 65532:65532 /root-folder/home/nonroot
FROM scratch
COPY --from=files /root-folder /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532
WORKDIR /home/nonroot
DOCKERFILE
}

make_envoy() {
    tar -C "$(dirname "$ENVOY")" --numeric-owner -c "$(basename "$ENVOY")" | import - seaway-test/envoy-binary
    make_image "$envoy" <<DOCKERFILE
FROM $debian
COPY --from=seaway-test/envoy-binary /$(basename "$ENVOY") /usr/local/bin/envoy
ENTRYPOINT ["/usr/local/bin/envoy"]
DOCKERFILE
}

make_busybox() {
    make_image "$busybox" <<DOCKERFILE
FROM $debian AS files
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends busybox-static \
    && mkdir -p /root-folder/bin /root-folder/etc && mkdir --mode 1777 /root-folder/tmp && cp /bin/busybox /root-folder/bin/ && chroot /root-folder /bin/busybox --install -s /bin
FROM scratch
COPY --from=files /root-folder /
CMD ["sh"]
DOCKERFILE
}

# $1: the image; $2: what makes a stand-in.
ensure() {
    if docker image inspect "$1" >/dev/null 2>&1; then return; fi
    if timeout 120 docker pull --quiet "$1" >/dev/null 2>&1; then say "$1" pulled; return; fi
    say "$1" "cannot be pulled, so a stand-in is made"
    "$2"
}

for image in "$debian:make_debian" "$rust:make_rust" "$distroless:make_distroless" "$envoy:make_envoy" "$busybox:make_busybox"; do
    ensure "${image%:*}" "${image##*:}"
done
