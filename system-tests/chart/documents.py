"""Writes the chart's documents as JSON, rendered by Helm 3: for tests that give them to a Kubernetes API server.

    documents.py RELEASE NAMESPACE VALUES
"""

import json
import sys

import yaml
from check import CHART, helm_3

release, namespace, values = sys.argv[1:]
done = helm_3("template", release, CHART, "--namespace", namespace, "--kube-version", "1.37.0", "--values", values)
assert done.returncode == 0, done.stderr
documents = [document for document in yaml.safe_load_all(done.stdout) if document]
for document in documents:
    # What `helm install` does. Those of the whole cluster do not mind.
    document["metadata"].setdefault("namespace", namespace)
json.dump(documents, sys.stdout)
