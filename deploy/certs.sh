#!/bin/sh
# Certificates of Seaway's xDS port with nothing but openssl: an authority of its own and a server certificate, as manifests on stdout.
# README.md beside this file says what becomes of them.
set -eu

# Every name by which proxies reach the Services of deploy/base. Those of role `node` verify seaway.seaway.svc wherever they connect to.
NAMES='seaway seaway.seaway seaway.seaway.svc seaway.seaway.svc.cluster.local
    seaway-xds seaway-xds.seaway seaway-xds.seaway.svc seaway-xds.seaway.svc.cluster.local'
NAMESPACE=seaway

usage() {
    cat <<'USAGE'
usage: certs.sh issue --dir DIR [--days N] [--ca-days N] [--dns NAME]... [--ip ADDRESS]...
       certs.sh ca --dir DIR --namespace NAMESPACE

  issue     makes a new key and certificate for Seaway, signed by the authority in DIR, which is made if there is none; prints
            Secret seaway-tls and ConfigMap seaway-ca of namespace seaway
  ca        prints ConfigMap seaway-ca for another namespace that has proxies

  --dir DIR       keeps ca.key, ca.crt, tls.key and tls.crt; keep it where you keep secrets, and nowhere in the cluster
  --days N        how long the certificate is valid (default 365)
  --ca-days N     how long the authority is, when it is made (default 3650)
  --dns, --ip     further names and addresses of Seaway

Run `issue` again to renew: the authority stays, so proxies notice nothing. Needs openssl.
USAGE
}

fail() {
    echo "certs.sh: $*" >&2
    exit 2
}

key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

make_authority() {
    key "$dir/ca.key"
    openssl req -new -x509 -sha256 -key "$dir/ca.key" -days "$ca_days" -config "$work/authority.cnf" -out "$dir/ca.crt"
}

make_certificate() {
    key "$work/tls.key"
    openssl req -new -sha256 -key "$work/tls.key" -config "$work/server.cnf" -out "$work/tls.csr"
    openssl x509 -req -sha256 -in "$work/tls.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
        -days "$days" -extfile "$work/server.cnf" -extensions server -out "$work/tls.crt" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
    openssl verify -CAfile "$dir/ca.crt" "$work/tls.crt" >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
    mv "$work/tls.key" "$work/tls.crt" "$dir/"
}

configurations() {
    cat >"$work/authority.cnf" <<'CNF'
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = seaway-ca
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CNF
    alternatives=''
    for name in $NAMES $dns; do alternatives="$alternatives, DNS:$name"; done
    for address in $ip; do alternatives="$alternatives, IP:$address"; done
    cat >"$work/server.cnf" <<CNF
[req]
distinguished_name = name
prompt = no
[name]
CN = seaway.seaway.svc
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${alternatives#, }
CNF
}

# A file as the value of a block scalar.
indented() {
    sed 's/^/    /' "$1"
}

secret() {
    cat <<YAML
apiVersion: v1
kind: Secret
metadata:
  name: seaway-tls
  namespace: $NAMESPACE
type: kubernetes.io/tls
stringData:
  tls.crt: |
$(indented "$dir/tls.crt")
  tls.key: |
$(indented "$dir/tls.key")
  ca.crt: |
$(indented "$dir/ca.crt")
---
YAML
}

authority() {
    cat <<YAML
apiVersion: v1
kind: ConfigMap
metadata:
  name: seaway-ca
  namespace: $1
data:
  ca.crt: |
$(indented "$dir/ca.crt")
YAML
}

dir='' days=365 ca_days=3650 dns='' ip='' namespace=''
command=${1:-help}
[ $# -eq 0 ] || shift
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "$1 needs a value (see certs.sh help)"
    case $1 in
    --dir) dir=$2 ;;
    --days) days=$2 ;;
    --ca-days) ca_days=$2 ;;
    --dns) dns="$dns $2" ;;
    --ip) ip="$ip $2" ;;
    --namespace) namespace=$2 ;;
    *) fail "unknown argument $1 (see certs.sh help)" ;;
    esac
    shift 2
done

case $command in
issue | ca) ;;
help | -h | --help) usage; exit 0 ;;
*) fail "unknown command $command (see certs.sh help)" ;;
esac
[ -n "$dir" ] || fail "$command needs --dir DIR"
command -v openssl >/dev/null || fail "openssl is needed"

if [ "$command" = ca ]; then
    [ -n "$namespace" ] || fail "ca needs --namespace NAMESPACE"
    [ -e "$dir/ca.crt" ] || fail "$dir/ca.crt does not exist; run certs.sh issue --dir $dir first"
    authority "$namespace"
    exit 0
fi

[ -z "$namespace" ] || fail "issue is for namespace $NAMESPACE; certs.sh ca is for others"
umask 077
mkdir -p "$dir"
work=$(mktemp -d "$dir/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
configurations
if [ ! -e "$dir/ca.key" ]; then
    [ ! -e "$dir/ca.crt" ] || fail "$dir/ca.crt exists without its key $dir/ca.key"
    make_authority
fi
openssl x509 -in "$dir/ca.crt" -noout -checkend "$((days * 86400))" >/dev/null \
    || fail "the authority $dir/ca.crt ends before the new certificate would: fewer --days, or a new authority"
make_certificate
secret
authority "$NAMESPACE"
