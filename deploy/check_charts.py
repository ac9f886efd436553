"""Lints, renders and validates the Helm charts without a cluster, and holds compose.yaml against them.

Every process that was built judges the settings that both give it: `config check`, with the secrets of secrets.sh.
Prints one line per check and exits 1 on any fault. Needs helm-python-sdk and kubernetes-validate.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = ["gateway", "auth", "catalog", "enrollment", "notification", "video-progress", "exam", "reporting"]
KUBERNETES = ["1.29", kubernetes_validate.latest_version()]
# Kinds that no Kubernetes release defines; their shape is checked by their operator only.
FOREIGN_KINDS = {"ServiceMonitor", "PrometheusRule"}
# Names that compose leaves to its user: without a mail relay it writes mail to files, without a bucket reports to a volume.
# Its processes are one each, and need one connection to each other.
ONLY_IN_CHARTS = {"SC_MAIL__SMTP_URL", "SC_RPC__CONNECTIONS", "SC_DATABASE__MAX_CONNECTIONS", "SC_STORAGE__ACCESS_KEY_ID", "SC_STORAGE__SECRET_ACCESS_KEY"}
# Connections to PostgreSQL that all pods may have together, of the 200 that it takes.
CONNECTIONS = 150
# Without these no process starts in production, and no migration either: it checks all settings first.
REQUIRED = {"SC_ENV", "SC_PAGE_TOKEN_KEY"}
PROGRAM = ROOT / "target/debug/sc"
# Stand-ins for secrets that secrets.sh does not make.
EXAMPLES = {
    "notification_smtp_url": "smtps://user:password@relay.example:465",
    "reporting_storage_access_key_id": "example",
    "reporting_storage_secret_access_key": "example",
}

EVERYTHING = {
    "process": {
        "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
        "config": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "SC_NUMBER": 5, "SC_SWITCH": True},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "scratch": {"enabled": True},
        "autoscaling": {"extraMetrics": [{"type": "External", "external": {
            "metric": {"name": "a"}, "target": {"type": "Value", "value": "500m"}}}]},
        "service": {"annotations": {"a": "b"}},
        "serviceAccount": {"annotations": {"a": "b"}},
        "podAnnotations": {"a": "b"},
        "podLabels": {"a": "b"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
        "priorityClassName": "high",
        "networkPolicy": {
            "extraIngress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
        },
    }
}
NOTHING = {
    "process": {
        "fullnameOverride": "other",
        "autoscaling": {"enabled": False},
        "replicas": 1,
        "migration": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
    }
}
# No secret at all, which only a process without a migration can be.
BARE = {"process": {"migration": {"enabled": False}, "secrets": {key: None for key in (
    "SC_DATABASE__URL", "SC_REDIS__URL", "SC_AMQP__URL", "SC_SERVICE_SECRET", "SC_KEYS__ENCRYPTION_KEY",
    "SC_MAIL__SMTP_URL", "SC_PAGE_TOKEN_KEY", "SC_STORAGE__ACCESS_KEY_ID", "SC_STORAGE__SECRET_ACCESS_KEY",
    *(f"SC_SERVICE_SECRETS__{name.upper().replace('-', '_')}" for name in PROCESSES))}}}
MUTUAL_TLS = {"process": {"tls": {"enabled": True, "secret": "certificates"}}}
COMBINATIONS = {"defaults": {}, "everything": EVERYTHING, "nothing": NOTHING, "bare": BARE, "mutual TLS": MUTUAL_TLS}
BEHIND_PROXIES = {"process": {"config": {"SC_HTTP__TRUSTED_PROXIES": "10.0.0.0/8"}}}
INGRESS = BEHIND_PROXIES | {"dashboard": {"enabled": True}, "ingress": {"enabled": True, "className": "nginx", "annotations": {"a": "b"}, "tlsSecret": "school-tls"}}

REFUSED = {
    "unknown key": {"nope": 1},
    "unknown key of the process": {"process": {"nope": 1}},
    "unknown nested key": {"process": {"image": {"tagg": "1"}}},
    "one replica under autoscaling": {"process": {"autoscaling": {"minReplicas": 1}}},
    "maximum below minimum": {"process": {"autoscaling": {"minReplicas": 5, "maxReplicas": 3}}},
    "secret without a key": {"process": {"secrets": {"SC_EXTRA": {"name": "a"}}}},
    "setting of another program": {"process": {"config": {"PATH": "/tmp"}}},
    "port out of range": {"process": {"ports": {"admin": 70000}}},
    "no image": {"process": {"image": {"repository": ""}}},
    "an ingress whose clients all have its address": {"ingress": {"enabled": True}},
}


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice: the last one would win in silence."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key stands twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def manifests(chart, values, name):
    """Every object of a rendered chart."""
    objects = []
    for text in chart.render(values, name=name, namespace="sc").values():
        objects += [item for item in yaml.load_all(text, Loader=StrictLoader) if item]
    return objects


def faults_of(objects):
    """What Kubernetes would refuse, and what it would accept though it cannot work."""
    faults = []
    seen = [(item["kind"], item["metadata"]["name"]) for item in objects]
    faults += [f"{kind}/{name} stands twice" for kind, name in set(seen) if seen.count((kind, name)) > 1]
    for item in objects:
        where = f"{item['kind']}/{item['metadata']['name']}"
        # Prometheus 3 calls it "1.0", and an alert that finds no bucket is silent.
        faults += [f"{where}: {bound} is no bucket of Prometheus 3" for bound in re.findall(r'\ble="\d+"', str(item))]
        if item["kind"] not in FOREIGN_KINDS:
            for version in KUBERNETES:
                try:
                    kubernetes_validate.validate(item, version, strict=True)
                except Exception as fault:  # its classes share no base
                    faults.append(f"{where} on {version}: {getattr(fault, 'message', fault)}")
    kinds = {item["kind"]: item for item in objects}
    pod = kinds["Deployment"]["spec"]["template"]
    selector = kinds["Service"]["spec"]["selector"].items()
    if not selector <= pod["metadata"]["labels"].items():
        faults.append("the Service does not select the servers")
    if "Job" in kinds and selector <= kinds["Job"]["spec"]["template"]["metadata"]["labels"].items():
        faults.append("the Service selects the migration")
    if ("replicas" in kinds["Deployment"]["spec"]) == ("HorizontalPodAutoscaler" in kinds):
        faults.append("either the Deployment or the autoscaler has to say how many pods there are")
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    wanted = {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    wanted |= {port["targetPort"] for port in kinds["Service"]["spec"]["ports"]}
    faults += [f"port {port} is not open" for port in wanted - ports]
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    faults += [f"volume {mount['name']} is missing" for mount in container["volumeMounts"] if mount["name"] not in volumes]
    return faults


def tls_faults_of(objects):
    """What a pod of mutual TLS lacks: files, their variables, addresses that go with them."""
    faults = []
    for kind in {item["kind"] for item in objects} & {"Deployment", "Job"}:
        environment = environment_of(objects, kind)
        pod = {item["kind"]: item for item in objects}[kind]["spec"]["template"]["spec"]
        folders = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        if "certificates" not in {volume.get("secret", {}).get("secretName") for volume in pod["volumes"]}:
            faults.append(f"{kind}: the Secret is not mounted")
        for name in ("CERT", "KEY", "CA"):
            if not environment.get(f"SC_GRPC__TLS_{name}", "").startswith(folders.get("tls", "nowhere")):
                faults.append(f"{kind}: SC_GRPC__TLS_{name} is not among the files")
        faults += [f"{kind}: {key} is {value}" for key, value in environment.items()
                   if key.startswith("SC_SERVICES__") and not value.startswith("https://")]
    return faults


def environment_of(objects, kind):
    """What the container of the Deployment or of the Job is given."""
    kinds = {item["kind"]: item for item in objects}
    container = kinds[kind]["spec"]["template"]["spec"]["containers"][0]
    environment = dict(kinds["ConfigMap"]["data"]) if container.get("envFrom") else {}
    return environment | {entry["name"]: entry["value"] for entry in container.get("env", [])}


def secrets_of(objects, kind):
    """Paths in the container of the Deployment or of the Job, each with the Secret and the key that are mounted there."""
    pod = {item["kind"]: item for item in objects}[kind]["spec"]["template"]["spec"]
    folders = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    return {f"{folders[volume['name']]}/{item['path']}": (source["secret"]["name"], item["key"])
            for volume in pod["volumes"] for source in volume.get("projected", {}).get("sources", [])
            for item in source["secret"]["items"]}


def settings_of(environment):
    """Names of the settings, whether given by value or by file."""
    return {key.removesuffix("_FILE") for key in environment}


def interpolated(environment):
    """The environment as compose passes it on when neither the shell nor a .env file says anything."""
    return {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)).replace("$$", "$")
            for key, value in environment.items() if value is not None}


def verdict(name, environment, contents, folder):
    """Faults that `config check` of the process finds; `contents` is what stands in which file of its container."""
    environment = dict(environment)
    for key, value in environment.items():
        if key.endswith("_FILE") and value in contents:
            path = Path(tempfile.mkdtemp(dir=folder)) / "value"
            path.write_text(contents[value])
            environment[key] = str(path)
    try:
        run = subprocess.run([PROGRAM, name, "config", "check"], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as fault:
        return [str(fault)]
    if run.returncode == 0:
        return []
    # A binary that is older than the settings can be wrong about them.
    built = time.strftime("%Y-%m-%d %H:%M", time.localtime(PROGRAM.stat().st_mtime))
    return [f"target/debug/sc {name}, built {built}, exits with {run.returncode}: {run.stderr.strip()}"]


def main():
    failed = 0

    def report(name, faults, started, good="ok"):
        nonlocal failed
        failed += bool(faults)
        print(f"{'FAIL' if faults else good:<5}{name} ({time.monotonic() - started:.1f} s)", flush=True)
        for fault in faults:
            print("       " + fault.replace("\n", "\n       "))

    compose = yaml.load((ROOT / "deploy/compose.yaml").read_text(), Loader=StrictLoader)
    made = {entry.name: entry.read_text() for entry in Path(sys.argv[1]).iterdir()}
    # Every container that runs a process: what it is called in the checks, the process, its environment, its files.
    containers = {"compose": [], "charts": []}
    for name, service in compose["services"].items():
        process = re.fullmatch(r"sc-([a-z-]+):.*", service["image"])
        if process:
            mounted = {f"/run/secrets/{secret}": made.get(secret, "") for secret in service.get("secrets", [])}
            containers["compose"].append((name, process[1], interpolated(service["environment"]), mounted))
    secret_faults = []
    connections = {}
    with tempfile.TemporaryDirectory() as folder:
        # A copy, so that the vendored library never reaches the tree.
        charts = Path(folder) / "k8s"
        shutil.copytree(ROOT / "k8s", charts, ignore=shutil.ignore_patterns("charts", "Chart.lock", "*.tgz"))

        started = time.monotonic()
        findings = helm.lint(charts / "sc-service", {}, strict=True)
        report("chart sc-service: lint", findings["errors"], started)

        for name in PROCESSES:
            started = time.monotonic()
            path = charts / name
            helm.dependency_update(path, skip_refresh=True)
            findings = helm.lint(path, {}, strict=True)
            bad = [message["error"] for message in findings["messages"] if message["severity"] >= 2]
            report(f"chart {name}: lint", findings["errors"] or bad, started)

            with helm.Chart.load(path) as chart:
                started = time.monotonic()
                combinations = COMBINATIONS | ({"ingress": INGRESS} if name == "gateway" else {})
                faults, objects = [], 0
                for title, values in combinations.items():
                    try:
                        rendered = manifests(chart, values, name)
                        objects += len(rendered)
                        faults += [f"{title}: {fault}" for fault in faults_of(rendered)]
                        if values is MUTUAL_TLS:
                            faults += [f"{title}: {fault}" for fault in tls_faults_of(rendered)]
                    except (helm.HelmError, yaml.YAMLError) as fault:
                        faults.append(f"{title}: {fault}")
                report(f"chart {name}: {len(combinations)} sets of values, {objects} objects on "
                       f"{' and '.join(KUBERNETES)}", faults, started)

                started = time.monotonic()
                faults = []
                for title, values in REFUSED.items():
                    try:
                        chart.render(values, name=name, namespace="sc")
                        faults.append(f"accepted: {title}")
                    except helm.HelmError:
                        pass
                report(f"chart {name}: {len(REFUSED)} wrong sets of values refused", faults, started)

                started = time.monotonic()
                faults = []
                try:
                    rendered = manifests(chart, {}, name)
                except (helm.HelmError, yaml.YAMLError):
                    continue  # told above
                if "SC_DATABASE__URL" in settings_of(environment_of(rendered, "Deployment")):
                    kinds = {item["kind"]: item.get("spec") for item in rendered}
                    scaler = kinds.get("HorizontalPodAutoscaler")
                    pods = scaler["maxReplicas"] if scaler else kinds["Deployment"]["replicas"]
                    connections[name] = pods * int(environment_of(rendered, "Deployment")["SC_DATABASE__MAX_CONNECTIONS"])
                in_chart = settings_of(environment_of(rendered, "Deployment")) - ONLY_IN_CHARTS
                in_compose = settings_of(compose["services"][name]["environment"])
                faults += [f"only in the chart: {key}" for key in sorted(in_chart - in_compose)]
                migrates = any(item["kind"] == "Job" for item in rendered)
                if migrates != (f"{name}-migrate" in compose["services"]):
                    faults.append(f"a migration only in {'the chart' if migrates else 'compose.yaml'}")
                report(f"chart {name}: its settings are those of compose.yaml", faults, started)

                for kind in ["Deployment", "Job"] if migrates else ["Deployment"]:
                    title = f"{name}-migrate" if kind == "Job" else name
                    mounted = {}
                    for path, (secret, key) in secrets_of(rendered, kind).items():
                        prefix = "" if secret == "sc-shared" else secret.removeprefix("sc-") + "-"
                        file = f"{prefix}{key}".replace("-", "_")
                        mounted[path] = made.get(file) or EXAMPLES.get(file, "")
                        if not mounted[path]:
                            secret_faults.append(f"{title}: secrets.sh has no match for {key} of {secret}")
                    containers["charts"].append((title, name, environment_of(rendered, kind), mounted))

        all_of_them = sum(connections.values())
        report(f"charts: at most {all_of_them} connections to PostgreSQL, of {CONNECTIONS}",
               [f"{name}: {count}" for name, count in connections.items()] if all_of_them > CONNECTIONS else [], time.monotonic())

        for source, those in containers.items():
            started = time.monotonic()
            faults = [f"{title} is not given {key}" for title, _, environment, _ in those
                      for key in sorted(REQUIRED - settings_of(environment))]
            faults += [f"{name} is missing" for name in PROCESSES if name not in {title for title, *_ in those}]
            report(f"{source}: all {len(those)} containers are given {' and '.join(sorted(REQUIRED))}", faults, started)

            started = time.monotonic()
            built = [each for each in those if PROGRAM.exists()]
            faults = list(secret_faults) if source == "charts" else []
            for title, name, environment, mounted in built:
                faults += [f"{title}: {fault}" for fault in verdict(name, environment, mounted, folder)]
            report(f"{source}: `config check` accepts the settings of {len(built)} containers, "
                   f"{len(those) - len(built)} not built", faults, started, "ok" if built else "skip")

    started = time.monotonic()
    declared = set(compose["secrets"])
    used, faults = set(), []
    for name, service in compose["services"].items():
        mounted = {entry if isinstance(entry, str) else entry["source"] for entry in service.get("secrets", [])}
        used |= mounted
        named = set(re.findall(r"/run/secrets/(\w+)", str(service)))
        faults += [f"{name} names {secret} without mounting it" for secret in sorted(named - mounted)]
    faults += [f"not made by secrets.sh: {secret}" for secret in sorted(declared - set(made))]
    faults += [f"not used: {secret}" for secret in sorted(declared - used)]
    report("compose: secrets are made, mounted and used", faults, started)

    started = time.monotonic()
    roles = ROOT / "deploy/roles.sql"
    wanted = set(re.findall(r":'(\w+)'", roles.read_text())) if roles.exists() else {"(roles.sql is missing)"}
    own = {name for line in re.findall(r"(.*)\\gset", roles.read_text()) for name in re.findall(r" AS (\w+)", line)}
    given = own | set(re.findall(r"--set (\w+)=", (ROOT / "deploy/init-roles.sh").read_text()))
    report("compose: init-roles.sh gives roles.sql its variables",
           [f"not given: {name}" for name in sorted(wanted - given)], started)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
