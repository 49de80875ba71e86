"""Whether the objects of deploy/ that name each other exist, and whether selectors find what they are for."""

import json

from policy import containers, pods

# Made before, by certs.sh or cert-manager, and by Kubernetes.
GIVEN = {("Secret", "seaway-tls"), ("ConfigMap", "seaway-ca")}


def check(objects):
    for object, pod in pods(objects):
        kind, metadata = object["kind"], object["metadata"]
        for error in [*of_workload(objects, object, pod), *of_identity(objects, object, pod)]:
            yield f"{kind} {metadata['name']}: {error}"
    for object in objects:
        for error in of_selector(objects, object):
            yield f"{object['kind']} {object['metadata']['name']}: {error}"


def exists(objects, kind, namespace, name):
    return (kind, name) in GIVEN or any(
        object["kind"] == kind and object["metadata"]["name"] == name and object["metadata"].get("namespace") == namespace
        for object in objects
    )


def of_workload(objects, object, pod):
    namespace = object["metadata"]["namespace"]
    labels = object["spec"]["template"]["metadata"]["labels"]
    if not object["spec"]["selector"]["matchLabels"].items() <= labels.items():
        yield "its selector does not find its own pods"
    account = pod.get("serviceAccountName")
    if account and not exists(objects, "ServiceAccount", namespace, account):
        yield f"no ServiceAccount {account}"
    for kind, name in named(pod):
        if not exists(objects, kind, namespace, name):
            yield f"no {kind} {name}"
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    mounted = set()
    for container in containers(pod):
        mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
        mounted |= mounts
        for name in sorted(mounts - volumes):
            yield f"{container['name']}: no volume {name}"
    for name in sorted(volumes - mounted):
        yield f"nobody mounts volume {name}"
    for spread in pod.get("topologySpreadConstraints", []):
        if not spread["labelSelector"]["matchLabels"].items() <= labels.items():
            yield f"the spread by {spread['topologyKey']} does not count its own pods"


def named(pod):
    """ConfigMaps and Secrets that a pod needs."""
    for volume in pod.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
    for container in containers(pod):
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]


def of_identity(objects, object, pod):
    """A proxy's token is for Seaway, and Seaway lets its ServiceAccount be what its bootstrap says."""
    for bootstrap in (container for container in containers(pod) if container["name"] == "bootstrap"):
        [seaway] = [other for deployment, other in pods(objects) if deployment["metadata"]["name"] == "seaway"]
        arguments = seaway["containers"][0]["args"]
        for volume in pod["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                if f"--token-audience={source['serviceAccountToken']['audience']}" not in arguments:
                    yield f"its token {volume['name']} is not for Seaway"
        [role] = [argument.removeprefix("--role=") for argument in bootstrap["args"] if argument.startswith("--role=")]
        identity = f"{role}=serviceaccount:{object['metadata']['namespace']}/{pod['serviceAccountName']}"
        if f"--allow-proxy={identity}" not in arguments:
            yield f"Seaway has no --allow-proxy={identity}"


def found(objects, namespace, selector):
    """The pods that a selector of labels finds."""
    return [
        pod
        for object, pod in pods(objects)
        if object["metadata"]["namespace"] == namespace
        and selector.items() <= object["spec"]["template"]["metadata"]["labels"].items()
    ]


def ports(pod):
    return {port["name"] for container in containers(pod) for port in container.get("ports", [])}


def of_selector(objects, object):
    spec, namespace = object.get("spec", {}), object["metadata"].get("namespace")
    if object["kind"] == "Service":
        selected = found(objects, namespace, spec["selector"])
        names = {port["targetPort"] for port in spec["ports"]}
    elif object["kind"] == "PodDisruptionBudget":
        selected, names = found(objects, namespace, spec["selector"]["matchLabels"]), set()
    elif object["kind"] == "NetworkPolicy":
        selected = found(objects, namespace, spec["podSelector"]["matchLabels"])
        # Pods need not say which numbers they listen at.
        named = [port["port"] for rule in spec["ingress"] for port in rule["ports"]]
        names = {port for port in named if isinstance(port, str)}
    elif object["kind"] == "ServiceMonitor":
        yield from of_monitor(objects, object)
        return
    elif object["kind"] == "ConfigMap":
        yield from of_board(object)
        return
    elif object["kind"] == "HorizontalPodAutoscaler":
        target = spec["scaleTargetRef"]
        if not exists(objects, target["kind"], namespace, target["name"]):
            yield f"no {target['kind']} {target['name']}"
        return
    else:
        return
    if len(selected) != 1:
        yield f"its selector finds {len(selected)} workloads"
    for pod in selected:
        for name in sorted(names - ports(pod)):
            yield f"its pods have no port {name}"


def of_monitor(objects, monitor):
    """A ServiceMonitor selects Services, by their labels."""
    spec = monitor["spec"]
    services = [
        object
        for object in objects
        if object["kind"] == "Service"
        and object["metadata"].get("namespace") == monitor["metadata"]["namespace"]
        and spec["selector"]["matchLabels"].items() <= object["metadata"]["labels"].items()
    ]
    if len(services) != 1:
        yield f"its selector finds {len(services)} Services"
    for service in services:
        names = {port["name"] for port in service["spec"]["ports"]}
        for endpoint in spec["endpoints"]:
            if endpoint["port"] not in names:
                yield f"Service {service['metadata']['name']} has no port {endpoint['port']}"


def of_board(config):
    """What Grafana loads is JSON, and no larger than `kubectl apply` keeps in an annotation."""
    if "grafana_dashboard" not in config["metadata"].get("labels", {}):
        return
    for name, text in config["data"].items():
        if not name.endswith(".json"):
            yield f"{name} is not loaded by Grafana"
        if len(text) > 200_000:
            yield f"{name} is too large to be applied"
        try:
            json.loads(text)
        except ValueError as error:
            yield f"{name} is no JSON: {error}"
