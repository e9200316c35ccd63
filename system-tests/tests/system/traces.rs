//! Traces by OTLP (OPS-5), as a receiver with OpenTelemetry's own messages gets them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_system_tests::acme::Acme;
use certfleet_system_tests::{Cluster, Plan, fresh_name};
use certfleet_testkit::tools_directory;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// The longest to wait for spans that are to come.
const COMES_WITHIN: Duration = Duration::from_secs(60);
/// An address of this machine that the API takes for a proxy's; requests come from another unless they say so.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ABOVE: &str = "00f067aa0ba902b7";

#[derive(Debug, Clone, Deserialize)]
struct Span {
    service: String,
    instance: String,
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: String,
    status: String,
    attributes: Map<String, Value>,
}

/// The receiver, and what it got until now. It ends with this.
struct Receiver {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    port: u64,
    spans: Vec<Span>,
}

impl Receiver {
    async fn start() -> Result<Self> {
        let python = tools_directory().join("venv/bin/python3");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers/otlp.py");
        let mut child = Command::new(python)
            .arg(program)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("no receiver: `make test` installs what it needs")?;
        let said = child.stdout.take().context("no pipe")?;
        let mut said = BufReader::new(said).lines();
        let first = said.next_line().await?.context("it said nothing")?;
        let first: Value = serde_json::from_str(&first)?;
        let port = first["port"].as_u64().context("no port")?;
        Ok(Self {
            child,
            said,
            port,
            spans: Vec::new(),
        })
    }

    /// Waits for spans until they are what is due; gives those of one trace.
    async fn until(
        &mut self,
        what: &str,
        trace: &str,
        due: impl Fn(&[Span]) -> bool,
    ) -> Result<Vec<Span>> {
        let waited = timeout(COMES_WITHIN, async {
            loop {
                let all = self.spans.iter().filter(|span| span.trace == trace);
                let all: Vec<Span> = all.cloned().collect();
                if due(&all) {
                    return Ok(all);
                }
                let line = self.said.next_line().await?.context("the receiver ended")?;
                let span = serde_json::from_str(&line).with_context(|| line.clone())?;
                self.spans.push(span);
            }
        });
        match waited.await {
            Ok(found) => found,
            Err(_) => anyhow::bail!("waited in vain for {what}: {:#?}", self.spans),
        }
    }

    /// The span of a request, by the id that its answer told.
    async fn of_request(&mut self, id: &str) -> Result<Span> {
        let find = |spans: &[Span]| {
            let found = spans
                .iter()
                .find(|span| span.attributes.get("request_id") == Some(&id.into()));
            found.cloned()
        };
        loop {
            if let Some(span) = find(&self.spans) {
                return Ok(span);
            }
            let count = self.spans.len();
            let next = timeout(COMES_WITHIN, self.said.next_line()).await;
            let line = next.with_context(|| format!("no span of {id} among {count}"))??;
            let line = line.context("the receiver ended")?;
            self.spans.push(serde_json::from_str(&line)?);
        }
    }
}

async fn cluster(receiver: &Receiver) -> Result<Cluster> {
    let endpoint = format!("http://127.0.0.1:{}", receiver.port);
    let plan = Plan::new("traces")
        .with("CERTFLEET_TELEMETRY_OTLP_ENDPOINT", endpoint)
        .with("CERTFLEET_SERVER_TRUSTED_PROXIES", PROXY.to_string())
        // 5 s otherwise.
        .with("OTEL_BSP_SCHEDULE_DELAY", "100");
    Cluster::start(plan).await
}

/// A client at this address, which would have all of its requests go on with the one trace.
fn http(cluster: &Cluster, from: Ipv4Addr) -> Result<reqwest::Client> {
    let parent = format!("00-{TRACE}-{ABOVE}-01");
    let headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("traceparent"),
        HeaderValue::from_str(&parent)?,
    )]);
    Ok(cluster
        .http_builder()?
        .http1_only()
        .pool_max_idle_per_host(0)
        .local_address(IpAddr::from(from))
        .resolve("localhost", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .default_headers(headers)
        .build()?)
}

#[tokio::test]
async fn an_issuance_through_all_replicas_is_one_trace_and_a_receiver_that_is_gone_stops_nothing()
-> Result<()> {
    let mut receiver = Receiver::start().await?;
    let cluster = cluster(&receiver).await?;
    one_trace(&cluster, &mut receiver).await?;
    strangers_bring_no_traces_along(&cluster, &mut receiver).await?;
    receiver.child.kill().await?;
    work_goes_on_without_a_receiver(&cluster).await?;
    let logs = cluster.stop().await?;
    for service in ["api-0", "api-1", "worker-0", "worker-1"] {
        let log = std::fs::read_to_string(logs.join(format!("{service}.log")))?;
        let told = log.matches("traces are not sent;").count();
        ensure!(told <= 1, "{service}: told {told} times");
        ensure!(log.contains("has ended"), "{service}: not ended by itself");
    }
    Ok(())
}

/// Asks for the directory; gives the request's id.
async fn asked(http: &reqwest::Client, cluster: &Cluster) -> Result<String> {
    let answer = http.get(cluster.directory()).send().await?;
    Ok(answer.headers()["x-request-id"].to_str()?.to_owned())
}

async fn one_trace(cluster: &Cluster, receiver: &mut Receiver) -> Result<()> {
    let http = http(cluster, PROXY)?;
    let acme = Acme::connect(http.clone(), cluster.directory()).await?;
    let account = acme.new_account().await?;
    let name = fresh_name("traced");
    let issued = acme.issue(&account, &[&name], cluster.answers()).await?;
    // The kernel chooses which replica a connection leads to: both have to be in.
    let mut replicas = BTreeSet::new();
    while replicas.len() < 2 {
        replicas.insert(
            receiver
                .of_request(&asked(&http, cluster).await?)
                .await?
                .instance,
        );
    }
    let names = |spans: &[Span], service: &str| -> BTreeSet<String> {
        let of_service = spans.iter().filter(|span| span.service == service);
        of_service.map(|span| span.name.clone()).collect()
    };
    let in_worker = [
        "validateChallenge",
        "http-01",
        "signCertificate",
        "sign",
        "group-commit",
    ];
    let in_api = [
        "POST /acme/{authority}/new-order",
        "POST /acme/{authority}/order/{id}/finalize",
        "group-commit",
    ];
    let spans = receiver
        .until("the issuance", TRACE, |spans| {
            let (api, worker) = (
                names(spans, "certfleet-api"),
                names(spans, "certfleet-worker"),
            );
            in_api.iter().all(|due| api.contains(*due))
                && in_worker.iter().all(|due| worker.contains(*due))
        })
        .await?;
    // Each hangs below one that was asked for: the proxy's, or another of the same trace.
    let above = |span: &Span| spans.iter().find(|above| above.id == span.parent).cloned();
    for job in spans
        .iter()
        .filter(|span| span.kind == "SPAN_KIND_CONSUMER")
    {
        let commit = above(job).context("a job whose parent is missing")?;
        ensure!(commit.service == "certfleet-api", "{commit:?}");
        ensure!(job.attributes["job.attempt"] == 1, "{job:?}");
        ensure!(job.attributes["job.outcome"] == "done", "{job:?}");
    }
    for request in spans.iter().filter(|span| span.kind == "SPAN_KIND_SERVER") {
        ensure!(request.parent == ABOVE, "{request:?}");
        ensure!(request.status == "STATUS_CODE_UNSET", "{request:?}");
        let status = request.attributes["http.response.status_code"].as_i64();
        ensure!(
            status.is_some_and(|status| (200..300).contains(&status)),
            "{request:?}"
        );
    }
    // Paths name accounts, orders and the tokens of challenges: the routes are told instead.
    let text = format!("{spans:?}");
    ensure!(!text.contains(&issued.url), "a URL: {text}");
    Ok(())
}

async fn strangers_bring_no_traces_along(cluster: &Cluster, receiver: &mut Receiver) -> Result<()> {
    for (from, trusted) in [(PROXY, true), (Ipv4Addr::LOCALHOST, false)] {
        let id = asked(&http(cluster, from)?, cluster).await?;
        let span = receiver.of_request(&id).await?;
        ensure!((span.trace == TRACE) == trusted, "{from}: {span:?}");
        ensure!((span.parent == ABOVE) == trusted, "{from}: {span:?}");
    }
    Ok(())
}

async fn work_goes_on_without_a_receiver(cluster: &Cluster) -> Result<()> {
    let acme = Acme::connect(http(cluster, PROXY)?, cluster.directory()).await?;
    let account = acme.new_account().await?;
    acme.issue(&account, &[fresh_name("untraced")], cluster.answers())
        .await?;
    timeout(COMES_WITHIN, async {
        loop {
            let failed = cluster
                .counters("worker", "certfleet_trace_spans_total", "failed")
                .await?;
            if failed.values().any(|count| *count > 0) {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await?
}
