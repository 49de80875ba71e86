"""What every container and every permission of deploy/ must be, with the exceptions by name."""

import re
from pathlib import Path

import yaml

# Who may do what others may not. What is not used any more must not be listed.
EXCEPTIONS = {
    # Makes a network namespace for the host, before Envoy starts.
    ("DaemonSet seaway-node", "setup"): {"root", "privileged"},
    # Enters it for each listener (SYS_ADMIN, beside which Kubernetes refuses allowPrivilegeEscalation: false), or binds in the host's
    # (NET_BIND_SERVICE); keeps clients' addresses (NET_ADMIN).
    ("DaemonSet seaway-node", "envoy"): {"root", "SYS_ADMIN", "escalation", "NET_BIND_SERVICE", "NET_ADMIN"},
    ("DaemonSet seaway-node", "volume namespaces"): {"/run/netns"},
    ("DaemonSet seaway-node", "host network"): {"host network"},
    ("Deployment seaway", "host network"): {"host network"},
    ("Deployment seaway", "API token"): {"API token"},
    ("DaemonSet seaway-node-cleanup", "down"): {"root", "privileged"},
    ("DaemonSet seaway-node-cleanup", "volume namespaces"): {"/run/netns"},
    ("DaemonSet seaway-node-cleanup", "host network"): {"host network"},
}
USED = set()

# All that Seaway may ask of the API server: (group, resource, verb).
PERMISSIONS = {
    ("", "services", "list"),
    ("", "services", "watch"),
    ("", "nodes", "list"),
    ("", "nodes", "watch"),
    ("discovery.k8s.io", "endpointslices", "list"),
    ("discovery.k8s.io", "endpointslices", "watch"),
    # What ingress proxies serve.
    ("", "namespaces", "list"),
    ("", "namespaces", "watch"),
    *(
        (group, resource, verb)
        for group, resources in [
            ("networking.k8s.io", ["ingresses", "ingressclasses"]),
            ("gateway.networking.k8s.io", ["gatewayclasses", "gateways", "httproutes", "referencegrants"]),
        ]
        for resource in resources
        for verb in ["list", "watch"]
    ),
    ("events.k8s.io", "events", "create"),
    ("authentication.k8s.io", "tokenreviews", "create"),
}
# What it may do beside that where ingress proxies serve certificates.
CERTIFICATES = {("", "secrets", "list"), ("", "secrets", "watch")}
# What it may do beyond that where ingress is deployed: write status, if it holds the Lease.
STATUS_PERMISSIONS = {
    (group, f"{resource}/status", verb)
    for group, resources in [
        ("networking.k8s.io", ["ingresses"]),
        ("gateway.networking.k8s.io", ["gatewayclasses", "gateways", "httproutes"]),
    ]
    for resource in resources
    for verb in ["get", "patch"]
} | {("apiextensions.k8s.io", "customresourcedefinitions", "get")}
LEASE_PERMISSIONS = {("coordination.k8s.io", "leases", verb) for verb in ["create", "get", "update"]}
# What it may do beyond that in its own namespace where it makes Services for single Gateways.
SERVICE_PERMISSIONS = {("", "services", verb) for verb in ["get", "create", "patch", "delete"]}
# By the role that has them.
ROLES = {
    "ClusterRole seaway": PERMISSIONS,
    "ClusterRole seaway-certificates": CERTIFICATES,
    "ClusterRole seaway-status": STATUS_PERMISSIONS,
    "Role seaway-status": LEASE_PERMISSIONS,
    "Role seaway-gateway-services": SERVICE_PERMISSIONS,
}


def pods(objects):
    """Every workload with its pod."""
    for object in objects:
        template = object.get("spec", {}).get("template")
        if object["kind"] in {"Deployment", "DaemonSet"} and template:
            yield object, template["spec"]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def allowed(workload, where, what):
    """Whether an exception says so."""
    if what not in EXCEPTIONS.get((workload, where), set()):
        return False
    USED.add((workload, where, what))
    return True


def unused():
    """Exceptions that nobody needs."""
    for (workload, where), all in EXCEPTIONS.items():
        for what in all:
            if (workload, where, what) not in USED:
                yield f"policy.py: nobody needs the exception of {workload}, {where}: {what}"


def check(objects):
    for object, pod in pods(objects):
        workload = f"{object['kind']} {object['metadata']['name']}"
        restricted = enforced(objects, object["metadata"]["namespace"]) == "restricted"
        for error in of_pod(workload, pod, restricted):
            yield f"{workload}: {error}"
        for container in containers(pod):
            for error in of_container(workload, pod, container, restricted):
                yield f"{workload}: {container['name']}: {error}"
    yield from of_permissions(objects)


def enforced(objects, namespace):
    """The pod security standard of a namespace."""
    for object in objects:
        if object["kind"] == "Namespace" and object["metadata"]["name"] == namespace:
            return object["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
    return None


def of_pod(workload, pod, restricted):
    if pod.get("hostPID") or pod.get("hostIPC"):
        yield "shares more than the network with the host"
    if pod.get("hostNetwork") and (restricted or not allowed(workload, "host network", "host network")):
        yield "is in the host network"
    if pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks is not false: variables of Services look like those of flags"
    if pod.get("automountServiceAccountToken") is not False and not allowed(workload, "API token", "API token"):
        yield "automountServiceAccountToken is not false"
    for volume in pod.get("volumes", []):
        if "hostPath" in volume and not allowed(workload, f"volume {volume['name']}", volume["hostPath"]["path"]):
            yield f"volume {volume['name']} is a path of the host"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} has no sizeLimit"


def of_container(workload, pod, container, restricted):
    own, shared = container.get("securityContext", {}), pod.get("securityContext", {})
    setting = {**shared, **own}
    if setting.get("runAsUser", 0) == 0 or setting.get("runAsNonRoot") is not True:
        if restricted or not allowed(workload, container["name"], "root"):
            yield "may be root: runAsNonRoot with a runAsUser is needed"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    yield from of_mounts(pod, container)
    capabilities = own.get("capabilities", {})
    if own.get("privileged"):
        if restricted or not allowed(workload, container["name"], "privileged"):
            yield "is privileged"
    else:
        if own.get("allowPrivilegeEscalation") is not False:
            needed = "SYS_ADMIN" in capabilities.get("add", []) and "allowPrivilegeEscalation" not in own
            if restricted or not needed or not allowed(workload, container["name"], "escalation"):
                yield "allowPrivilegeEscalation is not false"
        if capabilities.get("drop") != ["ALL"]:
            yield "capabilities.drop is not [ALL]"
    for capability in capabilities.get("add", []):
        if restricted or not allowed(workload, container["name"], capability):
            yield f"has the capability {capability}"
    if setting.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccompProfile is not RuntimeDefault"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "needs requests of cpu and memory and a limit of memory"
    image = container["image"]
    if "/" not in image or ("@sha256:" not in image and (":" not in image or image.endswith(":latest"))):
        yield f"image {image} has no registry or no fixed tag"


def of_mounts(pod, container):
    """Paths of the host are read, but by privileged containers; and those alone may make mounts for it."""
    host = {volume["name"] for volume in pod.get("volumes", []) if "hostPath" in volume}
    for mount in container.get("volumeMounts", []):
        if container.get("securityContext", {}).get("privileged"):
            continue
        if mount["name"] in host and mount.get("readOnly") is not True:
            yield f"may write to {mount['name']} of the host"
        if mount.get("mountPropagation") == "Bidirectional":
            yield f"is not privileged, as Bidirectional of {mount['name']} needs"


def of_permissions(objects):
    """Seaway may do what is listed above and nobody anything else, and the documentation says the same."""
    text = (Path(__file__).parents[2] / "docs" / "kubernetes.md").read_text()
    documented = [yaml.safe_load(rules)["rules"] for rules in re.findall(r"```yaml\n(rules:.*?)```", text, re.DOTALL)]
    wanted = [PERMISSIONS, CERTIFICATES, STATUS_PERMISSIONS | LEASE_PERMISSIONS, SERVICE_PERMISSIONS]
    roles = [("docs/kubernetes.md", rules, all) for rules, all in zip(documented, wanted, strict=True)]
    for object in objects:
        if object["kind"] in {"Role", "ClusterRole"}:
            where = f"{object['kind']} {object['metadata']['name']}"
            roles.append((where, object["rules"], ROLES.get(where, set())))
    for where, rules, all in roles:
        has = {
            (group, resource, verb)
            for rule in rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        for group, resource, verb in sorted(has ^ all):
            more = "has" if (group, resource, verb) in has else "lacks"
            yield f"{where} {more} {verb} of {resource} in group {group!r}"
