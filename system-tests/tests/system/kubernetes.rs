//! The metrics adapter behind Kubernetes' own API server (K8S-3): with the objects of the chart, and a real autoscaler.
//!
//! No pod runs, for there is no node: the adapter is a process, and the Service of the chart, which would lead to its pods,
//! is one that leads to this machine. Everything else is as `helm install` has it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certfleet_supervisor::{Signal, pick_free_ports};
use certfleet_system_tests::acme::Proof;
use certfleet_system_tests::{Binaries, Cluster, Plan, fresh_name};
use certfleet_testkit::{Identity, Kubernetes, Signer};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::succeeded;

const NAMESPACE: &str = "pki";
const ADAPTER: &str = "certfleet-metrics-adapter";
const METRICS: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/pki";
/// Jobs that wait; with ten for each worker, they want four.
const JOBS: usize = 37;
/// Whatever is waited for here is there by then.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(200);

const VALUES: &str = "
externalUrl: https://acme.example.org
database: {existingSecret: certfleet-database}
kek: {existingSecret: certfleet-kek}
worker:
  autoscaling:
    minReplicas: 2
    maxReplicas: 12
    depthPerWorker: 10
    behavior:
      scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 20, periodSeconds: 15}]}
      scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 20, periodSeconds: 15}]}
";

/// The adapter, until this is dropped.
struct Adapter {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Adapter {
    /// Starts it with this certificate, over the cluster's database, before this Kubernetes.
    fn start(cluster: &Cluster, kubernetes: &Kubernetes, certificate: &Value) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = pick_free_ports(2)?;
        let (port, management) = (port[0], port[1]);
        let file = |name: &str| directory.path().join(name);
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            let text = certificate[name].as_str().context(name.to_owned())?;
            fs::write(file(name), STANDARD.decode(text)?)?;
        }
        fs::write(file("token"), kubernetes.token_of(NAMESPACE, ADAPTER))?;
        let shown = |path: &Path| path.display().to_string();
        let child = Command::new(Binaries::find()?.directory().join(ADAPTER))
            .env_clear()
            .envs([
                ("CERTFLEET_DATABASE_URI", cluster.mongo_uri().to_owned()),
                (
                    "CERTFLEET_DATABASE_NAME",
                    cluster.database_name().to_owned(),
                ),
                ("CERTFLEET_ADAPTER_LISTEN", format!("127.0.0.1:{port}")),
                ("CERTFLEET_ADAPTER_CERTIFICATE", shown(&file("tls.crt"))),
                ("CERTFLEET_ADAPTER_KEY", shown(&file("tls.key"))),
                ("CERTFLEET_ADAPTER_KUBERNETES_URL", kubernetes.url()),
                (
                    "CERTFLEET_ADAPTER_KUBERNETES_CA_FILE",
                    shown(&kubernetes.clients().certificate),
                ),
                (
                    "CERTFLEET_ADAPTER_KUBERNETES_TOKEN_FILE",
                    shown(&file("token")),
                ),
                (
                    "CERTFLEET_MANAGEMENT_LISTEN",
                    format!("127.0.0.1:{management}"),
                ),
                ("CERTFLEET_STATE_DIR", shown(&file("state"))),
            ])
            .stderr(fs::File::create(file("log"))?)
            .spawn()?;
        Ok(Self {
            child,
            port,
            directory,
        })
    }

    /// Asks it directly, as this user. Gives the HTTP status and what was said.
    async fn ask(
        &self,
        identity: Option<&Identity>,
        headers: &[(&str, &str)],
        path: &str,
    ) -> Result<(u16, Value)> {
        let root =
            reqwest::Certificate::from_pem(&fs::read(self.directory.path().join("ca.crt"))?)?;
        let name = format!("{ADAPTER}.{NAMESPACE}.svc");
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .tls_certs_only([root])
            .resolve(&name, ([127, 0, 0, 1], self.port).into());
        if let Some(identity) = identity {
            let both = [fs::read(&identity.certificate)?, fs::read(&identity.key)?].concat();
            client = client.identity(reqwest::Identity::from_pem(&both)?);
        }
        let url = format!("https://{name}:{}{path}", self.port);
        let mut request = client.build()?.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

/// The chart's documents, as the API server takes them.
fn documents() -> Result<Vec<Value>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let values = tempfile::NamedTempFile::new()?;
    fs::write(values.path(), VALUES)?;
    let output = Command::new(repository.join(".certfleet/tools/chart-venv/bin/python"))
        .arg(repository.join("system-tests/chart/documents.py"))
        .args(["certfleet", NAMESPACE])
        .arg(values.path())
        .output()
        .context("run scripts/get-test-tools")?;
    Ok(serde_json::from_str(&succeeded(&output)?)?)
}

fn named<'a>(documents: &'a mut [Value], kind: &str, name: &str) -> Result<&'a mut Value> {
    let found = documents
        .iter_mut()
        .find(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    found.with_context(|| format!("the chart has no {kind} {name}"))
}

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        ensure!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        sleep(PAUSE).await;
    }
    Ok(())
}

/// How many workers the autoscaler wants.
fn workers(kubernetes: &Kubernetes) -> i64 {
    let path = "/apis/apps/v1/namespaces/pki/deployments/certfleet-worker";
    kubernetes.read(path)["spec"]["replicas"]
        .as_i64()
        .unwrap_or(-1)
}

/// The values of a metric, by kind, as Kubernetes hands them on.
fn depth(kubernetes: &Kubernetes, selector: &str) -> Vec<(String, String)> {
    let list = kubernetes.read(&format!("{METRICS}/certfleet_queue_depth{selector}"));
    assert_eq!(list["kind"], "ExternalMetricValueList");
    assert_eq!(list["apiVersion"], "external.metrics.k8s.io/v1beta1");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            assert_eq!(item["metricName"], "certfleet_queue_depth");
            assert!(text(&item["timestamp"]).ends_with('Z'), "{item}");
            (text(&item["metricLabels"]["kind"]), text(&item["value"]))
        })
        .collect()
}

#[tokio::test]
async fn a_real_autoscaler_has_as_many_workers_as_the_queue_takes() -> Result<()> {
    let plan = Plan::new("kubernetes").with("CERTFLEET_ACME_ANSWER_WAIT", "1ms");
    let cluster = Cluster::start(plan).await?;
    // So that the queue has something in it. Workers see it within two seconds, and the control plane takes longer to start.
    succeeded(&cluster.certfleet(&["jobs", "pause", "validateChallenge"])?)?;
    let kubernetes = Kubernetes::start().await;

    // As `helm install` has it; the API server itself looks at each document.
    let mut documents = documents()?;
    let certificate = named(&mut documents, "Secret", &format!("{ADAPTER}-tls"))?["data"].clone();
    kubernetes.did(&["create", "namespace", NAMESPACE], "");
    let (accounts, others): (Vec<Value>, Vec<Value>) = documents
        .into_iter()
        .partition(|document| document["kind"] == "ServiceAccount");
    apply(&kubernetes, &accounts);
    let adapter = Adapter::start(&cluster, &kubernetes, &certificate)?;
    let mut documents = others;
    *named(&mut documents, "Service", ADAPTER)? = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": ADAPTER, "namespace": NAMESPACE },
        "spec": { "type": "ExternalName", "externalName": "localhost", "ports": [{ "port": adapter.port }] },
    });
    let service = named(
        &mut documents,
        "APIService",
        "v1beta1.external.metrics.k8s.io",
    )?;
    service["spec"]["service"]["port"] = json!(adapter.port);
    apply(&kubernetes, &documents);
    let available = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io";
    until("the APIService is available", || {
        let conditions = kubernetes.read(available)["status"]["conditions"].clone();
        let is_available =
            |condition: &Value| condition["type"] == "Available" && condition["status"] == "True";
        conditions
            .as_array()
            .is_some_and(|all| all.iter().any(is_available))
    })
    .await
    .with_context(|| adapter.log())?;
    discovered(&kubernetes).await?;
    nobody_else_is_answered(&kubernetes, &adapter).await?;

    until("two workers", || workers(&kubernetes) == 2).await?;
    queue_up(&cluster).await?;
    let due = [("validateChallenge".to_owned(), JOBS.to_string())];
    let told = || depth(&kubernetes, "?labelSelector=kind%3DvalidateChallenge");
    until("all jobs are told", || told() == due)
        .await
        .with_context(|| format!("{:?}", told()))?;
    until("four workers", || workers(&kubernetes) == 4).await?;
    // With the database away there is no answer, and it comes soon; nothing is changed.
    for index in 0..3 {
        cluster.signal("mongod", index, Signal::SIGSTOP)?;
    }
    // What is known counts for five seconds.
    sleep(Duration::from_secs(6)).await;
    let metric = format!("{METRICS}/certfleet_queue_depth");
    for _ in 0..3 {
        let began = Instant::now();
        let (status, said) = adapter.ask(Some(kubernetes.admin()), &[], &metric).await?;
        let took = began.elapsed();
        ensure!((status, &said["kind"]) == (503, &json!("Status")), "{said}");
        ensure!(took < Duration::from_secs(2), "it took {took:?}");
    }
    until("the autoscaler hears of it", || {
        let path = "/apis/autoscaling/v2/namespaces/pki/horizontalpodautoscalers/certfleet-worker";
        let status = kubernetes.read(path)["status"].to_string();
        status.contains("FailedGetExternalMetric")
    })
    .await?;
    ensure!(workers(&kubernetes) == 4, "it was scaled on a guess");
    for index in 0..3 {
        cluster.signal("mongod", index, Signal::SIGCONT)?;
    }
    succeeded(&cluster.certfleet(&["jobs", "resume", "validateChallenge"])?)?;
    until("two workers are left", || workers(&kubernetes) == 2).await?;
    certificate_is_exchanged(&kubernetes, &adapter).await?;
    cluster.stop().await?;
    Ok(())
}

fn apply(kubernetes: &Kubernetes, documents: &[Value]) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": documents });
    kubernetes.did(&["apply", "-f", "-"], &list.to_string());
}

/// What there is, as kubectl finds it. The API server tells of what is new after a moment.
async fn discovered(kubernetes: &Kubernetes) -> Result<()> {
    let wish = [
        "api-resources",
        "--api-group=external.metrics.k8s.io",
        "--output=name",
    ];
    until("kubectl discovers both metrics", || {
        let found = kubernetes.did(&wish, "");
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        found
            == [
                "certfleet_queue_depth.external.metrics.k8s.io",
                "certfleet_queue_oldest_age_seconds.external.metrics.k8s.io",
            ]
    })
    .await?;
    let age = kubernetes.read(&format!("{METRICS}/certfleet_queue_oldest_age_seconds"));
    assert_eq!(age["items"].as_array().map(Vec::len), Some(1), "{age}");
    for (path, due) in [
        ("certfleet_queue_deep", "there is no metric"),
        (
            "certfleet_queue_depth?labelSelector=kind%3Dmowing",
            "no kind of job",
        ),
        ("certfleet_queue_depth?labelSelector=zone%3Da", "no label"),
        (
            "certfleet_queue_depth?labelSelector=kind%3E1",
            "is not understood",
        ),
    ] {
        let output = kubernetes.kubectl(&["get", "--raw", &format!("{METRICS}/{path}")], "");
        let said = stderr(&output);
        assert!(
            !output.status.success() && said.contains(due),
            "{path}: {said}"
        );
    }
    Ok(())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asked directly, it answers those whom Kubernetes names, and who may.
async fn nobody_else_is_answered(kubernetes: &Kubernetes, adapter: &Adapter) -> Result<()> {
    let depth = format!("{METRICS}/certfleet_queue_depth");
    // 0: not even a handshake.
    let status = async |identity: Option<&Identity>, headers: &[(&str, &str)], path: &str| {
        let asked = adapter.ask(identity, headers, path).await;
        asked.map_or(0, |(status, _)| status)
    };
    let directory = adapter.directory.path();
    let proxy = Some(kubernetes.front_proxy());
    let autoscaler = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
    let for_autoscaler = [("x-remote-user", autoscaler)];
    // With kubectl, past the aggregation.
    let direct = Command::new("kubectl")
        .arg(format!("--server=https://127.0.0.1:{}", adapter.port))
        .arg(format!("--tls-server-name={ADAPTER}.{NAMESPACE}.svc"))
        .arg(format!(
            "--certificate-authority={}",
            directory.join("ca.crt").display()
        ))
        .arg(format!(
            "--client-certificate={}",
            kubernetes.admin().certificate.display()
        ))
        .arg(format!("--client-key={}", kubernetes.admin().key.display()))
        .args(["get", "--raw", "/apis/external.metrics.k8s.io/v1beta1"])
        .env("KUBECONFIG", "/dev/null")
        .output()?;
    let list: Value = serde_json::from_str(&succeeded(&direct)?)?;
    ensure!(list["kind"] == "APIResourceList", "{list}");

    ensure!(
        status(proxy, &for_autoscaler, &depth).await == 200,
        "the autoscaler, by the front proxy"
    );
    ensure!(
        status(proxy, &[("x-remote-user", "eve")], &depth).await == 403,
        "somebody, by the front proxy"
    );
    ensure!(
        status(proxy, &[], &depth).await == 401,
        "nobody, by the front proxy"
    );
    let in_group = [
        ("x-remote-user", "eve"),
        ("x-remote-group", "system:masters"),
    ];
    ensure!(
        status(proxy, &in_group, &depth).await == 200,
        "a group, by the front proxy"
    );

    // Another name than the front proxy may have, though the same authority vouches for it.
    let other = kubernetes.front_proxies().vouch("somebody-else", &[], &[]);
    ensure!(
        status(Some(&other), &for_autoscaler, &depth).await == 401,
        "another proxy"
    );
    // A client speaks for itself: its headers count for nothing.
    let eve = kubernetes.clients().vouch("eve", &[], &[]);
    ensure!(
        status(Some(&eve), &in_group, &depth).await == 403,
        "headers of a client"
    );
    // Of a stranger not even the handshake succeeds.
    let stranger =
        Signer::new("stranger", directory).vouch("front-proxy-client", &["system:masters"], &[]);
    ensure!(
        status(Some(&stranger), &for_autoscaler, &depth).await == 0,
        "a stranger"
    );

    ensure!(
        status(None, &for_autoscaler, &depth).await == 401,
        "headers alone"
    );
    ensure!(
        status(None, &[("authorization", "Bearer nonsense")], &depth).await == 401,
        "nobody's token"
    );
    let token = kubernetes.token_of(NAMESPACE, ADAPTER);
    let bearer = format!("Bearer {token}");
    ensure!(
        status(None, &[("authorization", &bearer)], &depth).await == 403,
        "a token that may not"
    );
    ensure!(
        status(None, &[("authorization", &bearer)], "/apis").await == 200,
        "a token that may"
    );
    ensure!(
        status(proxy, &in_group, "/metrics").await == 404,
        "another path"
    );
    Ok(())
}

/// Orders whose challenges wait to be looked at.
async fn queue_up(cluster: &Cluster) -> Result<()> {
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    for _ in 0..JOBS {
        let (_, order) = acme.order_for(&account, &[fresh_name("queued")]).await?;
        let url = &order.authorizations[0];
        let (_, challenge) = acme.challenge(&account, url, Proof::Http01).await?;
        acme.post(&account, &challenge.url, &json!({}))
            .await?
            .expect(200)?;
    }
    Ok(())
}

/// Another certificate in the files is served, without a restart.
async fn certificate_is_exchanged(kubernetes: &Kubernetes, adapter: &Adapter) -> Result<()> {
    let directory = adapter.directory.path();
    let name = format!("{ADAPTER}.{NAMESPACE}.svc");
    let authority = Signer::new("another-ca", directory);
    let next = authority.vouch("next", &[], &[&name]);
    fs::rename(&next.key, directory.join("tls.key"))?;
    fs::rename(&next.certificate, directory.join("tls.crt"))?;
    fs::rename(&authority.certificate, directory.join("ca.crt"))?;
    kill(
        Pid::from_raw(adapter.child.id().try_into()?),
        Signal::SIGHUP,
    )?;
    let end = Instant::now() + PATIENCE;
    loop {
        let asked = adapter.ask(Some(kubernetes.admin()), &[], "/apis").await;
        if asked.is_ok_and(|(status, _)| status == 200) {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "the new certificate is not served: {}",
            adapter.log()
        );
        sleep(PAUSE).await;
    }
}
