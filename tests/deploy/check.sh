#!/usr/bin/env bash
# Checks deploy/ without a cluster: builds what people would apply, holds it against the schemas of Kubernetes and the project's own
# rules (check.py), tries the scripts, and lints every script of the project. What this machine cannot check is said in a line with `skipped:`.
set -euo pipefail
cd "$(dirname "$0")/../.."

here=tests/deploy
tools=.tools/deploy-check
ENVOY=${ENVOY:-.tools/envoy-1.40.0/envoy}
# Where make built it.
export SEAWAY=${SEAWAY:-target/debug/seaway}
for binary in "$SEAWAY" "$ENVOY"; do
    [ -x "$binary" ] || { echo "missing: $binary (make deploy-check makes it)" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A virtual environment, made anew when the requirements change.
install() {
    local mark=$tools/venv/requirements.txt
    cmp -s "$here/requirements.txt" "$mark" && return
    rm -rf "$tools/venv"
    mkdir -p "$tools"
    if ! python3 -m venv "$tools/venv" >"$work/said" 2>&1; then
        cat "$work/said" >&2
        echo "missing: venv for python3 (package python3-venv)" >&2
        exit 1
    fi
    "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$mark"
}

# The types of custom resources, and a compiler that holds objects against them. `packages` stays empty without npm.
install_types() {
    packages=()
    command -v node >/dev/null && command -v npm >/dev/null || return 0
    local wanted="@kubernetes-models/prometheus-operator@6.0.0 @kubernetes-models/cert-manager@6.0.0 typescript@5.6.3"
    if [ "$(cat "$tools/npm/wanted" 2>/dev/null)" != "$wanted" ]; then
        rm -rf "$tools/npm"
        mkdir -p "$tools/npm"
        echo '{"type": "module"}' >"$tools/npm/package.json"
        # shellcheck disable=SC2086 # words
        npm install --prefix "$tools/npm" --silent --no-save --no-audit --no-fund --ignore-scripts $wanted 2>"$work/said" \
            || { cat "$work/said" >&2; exit 1; }
        echo "$wanted" >"$tools/npm/wanted"
    fi
    packages=("$tools/npm")
}

# kustomize 5, by itself or as part of kubectl 1.27 and newer. KUBECTL= and KUSTOMIZE= name others.
find_kustomize() {
    local kustomize=${KUSTOMIZE:-kustomize} kubectl=${KUBECTL:-kubectl}
    if "$kustomize" version 2>/dev/null | grep -q 'v5\.'; then
        build=("$kustomize" build)
    elif "$kubectl" version --client 2>/dev/null | grep -q 'Kustomize Version: v5\.'; then
        build=("$kubectl" kustomize)
    else
        build=()
    fi
}

# A kustomization on top of others, built: combination NAME RESOURCE COMPONENT... [-- what follows in it]
combination() {
    local folder=$work/combinations/$1 name=$1 resource=$2
    shift 2
    mkdir -p "$folder"
    {
        printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n'
        printf -- '- %s\n' "$(realpath --relative-to "$folder" "deploy/$resource")"
        printf 'components:\n'
        while [ $# -gt 0 ] && [ "$1" != -- ]; do
            printf -- '- %s\n' "$(realpath --relative-to "$folder" "deploy/components/$1")"
            shift
        done
        printf '%s\n' "${2:-}"
    } >"$folder/kustomization.yaml"
    built "combination-$name" "$folder"
}

built() {
    "${build[@]}" "$2" >"$work/built/$1.yaml" || { echo "$2 cannot be built" >&2; exit 1; }
}

build_all() {
    mkdir -p "$work/built"
    local folder
    for folder in deploy/base deploy/overlays/* deploy/examples/*; do
        built "${folder//\//-}" "$folder"
    done
    combination monitoring base monitoring
    combination cert-manager base cert-manager
    combination node-cert-manager overlays/node monitoring cert-manager
    combination node-no-keep-source overlays/node no-keep-source
    combination node-redirect overlays/node capture-redirect
    combination node-bind overlays/node capture-bind
    combination node-bind-no-keep-source overlays/node capture-bind no-keep-source
    combination ingress-hpa overlays/ingress ingress-hpa
    combination gateway-services overlays/ingress gateway-services
    combination everything overlays/node capture-redirect ingress ingress-hpa gateway-services monitoring cert-manager
    settings
}

# What README.md says to set is all there is to set.
settings() {
    local literals
    literals=$(awk '/^   configMapGenerator:/ { on = 1 } /^   ```/ { on = 0 } on { print substr($0, 4) }' deploy/README.md)
    combination settings overlays/node capture-redirect ingress monitoring -- "$literals"
    combination settings-node overlays/node -- "$literals"
    combination settings-bind overlays/node capture-bind -- "$literals"
    if grep -n 'SET-ME' "$work/built/combination-settings.yaml" || ! grep -q 'SEAWAY_SERVICE_CIDR: 10.96.0.0/12' "$work/built/combination-settings.yaml"; then
        echo "deploy/README.md does not set all of overlays/node/cluster.env" >&2
        exit 1
    fi
}

certificates() {
    mkdir "$work/certs"
    deploy/certs.sh issue --dir "$work/certs" --ip 192.0.2.1 --dns seaway.example >"$work/built/certs-issue.yaml"
    local first
    first=$(openssl x509 -in "$work/certs/ca.crt" -noout -fingerprint)
    deploy/certs.sh issue --dir "$work/certs" --days 30 >/dev/null
    [ "$(openssl x509 -in "$work/certs/ca.crt" -noout -fingerprint)" = "$first" ] || { echo "certs.sh: a renewal changed the authority" >&2; exit 1; }
    for name in seaway.seaway.svc seaway-xds.seaway.svc; do
        openssl verify -CAfile "$work/certs/ca.crt" -purpose sslserver -verify_hostname "$name" "$work/certs/tls.crt" >/dev/null
    done
    deploy/certs.sh ca --dir "$work/certs" --namespace shop >"$work/built/certs-ca.yaml"
}

# What Prometheus and Grafana make of deploy/components/monitoring. PROMTOOL= names another promtool.
monitoring() {
    local promtool=${PROMTOOL:-promtool}
    if ! command -v "$promtool" >/dev/null; then
        echo "skipped: alerts and expressions of the board: promtool (package prometheus) is not installed"
        return
    fi
    mkdir "$work/monitoring"
    "$tools/venv/bin/python" -B "$here/alerts.py" "$work/monitoring" "$(command -v "$promtool")"
}

# What the pods run, as the root of a private network.
pods() {
    local python=(tests/support/in-namespaces.sh "$tools/venv/bin/python" -B)
    mkdir "$work/run"
    cp "$work"/built/{combination-settings,combination-settings-bind,deploy-overlays-ingress,deploy-examples-mesh-sidecar}.yaml "$work/run"
    "${python[@]}" "$here/run.py" "$work/run" "$work/certs" "$ENVOY"
    "${python[@]}" "$here/hooks.py" "$ENVOY"
    local built
    for built in settings-node settings-bind; do
        "${python[@]}" "$here/privileges.py" "$work/built/combination-$built.yaml" "$work/certs" "$ENVOY"
        "${python[@]}" "$here/beside.py" "$work/built/combination-$built.yaml" "$work/certs" "$ENVOY"
    done
}

install
install_types
find_kustomize
mkdir -p "$work/built"
if [ ${#build[@]} -gt 0 ]; then
    build_all
else
    echo "skipped: kustomizations of deploy/: neither kustomize 5 nor kubectl 1.27 or newer is installed; their files are checked one by one"
fi
certificates
"$tools/venv/bin/python" -B "$here/check.py" "$work/built" "${packages[@]}"
monitoring
[ ${#build[@]} -eq 0 ] || pods
git ls-files --cached --others --exclude-standard | while read -r file; do
    if [ -f "$file" ] && head -n 1 "$file" | grep -qE '^#!.*[/ ](ba)?sh'; then echo "$file"; fi
done | xargs "$tools/venv/bin/shellcheck"
echo "deploy: scripts are clean"
