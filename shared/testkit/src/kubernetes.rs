//! Kubernetes' own API server and controllers over etcd, without nodes: what extends its API stands before it for real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use certfleet_supervisor::{find_on_path, pick_free_ports};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::replica_set::tools_directory;
use crate::server::{READY_WITHIN, Server};

/// A cluster's control plane: deployments, replica sets and autoscalers are carried out, and no pod ever runs.
pub struct Kubernetes {
    files: Files,
    api: Server,
    // They die with this.
    _etcd: Server,
    _controllers: Server,
}

/// A certificate and its key, PEM, in files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Somebody who signs identities.
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    directory: PathBuf,
    /// The own certificate, PEM.
    pub certificate: PathBuf,
}

/// What a control plane goes by.
struct Files {
    directory: TempDir,
    /// Whom the API server believes itself.
    clients: Signer,
    /// Who vouches for its front proxy.
    front_proxies: Signer,
    server: Identity,
    admin: Identity,
    controllers: Identity,
    front_proxy: Identity,
    /// What service accounts' tokens are signed with: without its extension, `key` or `pub`.
    accounts: PathBuf,
}

/// The name that the front proxy may have.
const FRONT_PROXY: &str = "front-proxy-client";

impl Signer {
    /// Somebody of this name, with a certificate in this directory.
    pub fn new(name: &str, directory: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap();
        let certificate = directory.join(format!("{name}.crt"));
        fs::write(&certificate, own.pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            directory: directory.to_owned(),
            certificate,
        }
    }

    /// Vouches for somebody, of whom a user's name, groups and a server's names are known.
    pub fn vouch(&self, name: &str, groups: &[&str], names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        for group in groups {
            params
                .distinguished_name
                .push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let file = |suffix: &str| {
            let name = name.replace([':', '/'], "-");
            self.directory.join(format!("{name}.{suffix}"))
        };
        let identity = Identity {
            certificate: file("pem"),
            key: file("key"),
        };
        fs::write(&identity.certificate, signed.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

impl Files {
    fn make() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("certfleet-kubernetes-")
            .tempdir()
            .unwrap();
        let clients = Signer::new("kubernetes-ca", directory.path());
        let front_proxies = Signer::new("front-proxy-ca", directory.path());
        let names = ["kubernetes.default.svc", "127.0.0.1"];
        let accounts = directory.path().join("accounts");
        let key = KeyPair::generate().unwrap();
        fs::write(accounts.with_extension("key"), key.serialize_pem()).unwrap();
        fs::write(accounts.with_extension("pub"), key.public_key_pem()).unwrap();
        Self {
            server: clients.vouch("kube-apiserver", &[], &names),
            admin: clients.vouch("admin", &["system:masters"], &[]),
            controllers: clients.vouch("system:kube-controller-manager", &[], &[]),
            front_proxy: front_proxies.vouch(FRONT_PROXY, &[], &[]),
            clients,
            front_proxies,
            accounts,
            directory,
        }
    }

    /// What clients find the API server by.
    fn kubeconfig(&self, name: &str, identity: &Identity, url: &str) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": { "server": url, "certificate-authority": self.clients.certificate } }],
            "users": [{ "name": "test", "user": { "client-certificate": identity.certificate, "client-key": identity.key } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        });
        let file = self.directory.path().join(format!("{name}.kubeconfig"));
        fs::write(&file, config.to_string()).unwrap();
        file
    }

    fn api(&self, port: u16, etcd: u16) -> Vec<String> {
        let shown = |path: &Path| path.display().to_string();
        [
            ("etcd-servers", format!("http://127.0.0.1:{etcd}")),
            ("bind-address", "127.0.0.1".to_owned()),
            ("secure-port", port.to_string()),
            ("tls-cert-file", shown(&self.server.certificate)),
            ("tls-private-key-file", shown(&self.server.key)),
            ("client-ca-file", shown(&self.clients.certificate)),
            ("authorization-mode", "RBAC".to_owned()),
            (
                "service-account-issuer",
                "https://kubernetes.default.svc".to_owned(),
            ),
            (
                "service-account-key-file",
                shown(&self.accounts.with_extension("pub")),
            ),
            (
                "service-account-signing-key-file",
                shown(&self.accounts.with_extension("key")),
            ),
            ("service-cluster-ip-range", "10.96.0.0/16".to_owned()),
            (
                "requestheader-client-ca-file",
                shown(&self.front_proxies.certificate),
            ),
            ("requestheader-allowed-names", FRONT_PROXY.to_owned()),
            ("requestheader-username-headers", "X-Remote-User".to_owned()),
            ("requestheader-group-headers", "X-Remote-Group".to_owned()),
            (
                "requestheader-extra-headers-prefix",
                "X-Remote-Extra-".to_owned(),
            ),
            (
                "proxy-client-cert-file",
                shown(&self.front_proxy.certificate),
            ),
            ("proxy-client-key-file", shown(&self.front_proxy.key)),
            ("endpoint-reconciler-type", "none".to_owned()),
        ]
        .into_iter()
        .map(|(flag, value)| format!("--{flag}={value}"))
        .collect()
    }

    fn controllers(&self, port: u16, url: &str) -> Vec<String> {
        let config = self.kubeconfig("controllers", &self.controllers, url);
        let config = config.display();
        vec![
            format!("--kubeconfig={config}"),
            format!("--authentication-kubeconfig={config}"),
            format!("--authorization-kubeconfig={config}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--leader-elect=false".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            "--controllers=horizontal-pod-autoscaler-controller,deployment-controller,replicaset-controller,\
             serviceaccount-controller,garbage-collector-controller"
                .to_owned(),
            // By default 15 s, which is long for a test.
            "--horizontal-pod-autoscaler-sync-period=2s".to_owned(),
        ]
    }
}

/// Waits until the API server says that it is ready.
async fn await_ready(config: &Path, api: &Server) {
    let until = Instant::now() + READY_WITHIN;
    loop {
        let asked = kubectl(config, &["get", "--raw", "/readyz"], "");
        if asked.status.success() {
            return;
        }
        let why = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(Instant::now() < until, "{why}\n{}", last_of(api));
        sleep(Duration::from_millis(100)).await;
    }
}

/// What it said last.
fn last_of(api: &Server) -> String {
    let log = fs::read_to_string(api.log()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(10)..];
    format!("the API server said last:\n{}", last.join("\n"))
}

fn kubectl(config: &Path, arguments: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    let mut kubectl = Command::new("kubectl")
        .arg(format!("--kubeconfig={}", config.display()))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl: run scripts/get-test-tools");
    let mut to = kubectl.stdin.take().unwrap();
    // It may have refused its arguments already.
    let _ = to.write_all(input.as_bytes());
    drop(to);
    kubectl.wait_with_output().unwrap()
}

impl Kubernetes {
    /// Starts one.
    pub async fn start() -> Self {
        let files = Files::make();
        let etcd = find_on_path("etcd").expect("no etcd: run scripts/get-test-tools");
        let etcd = Server::start("etcd", etcd, &[], |port, directory| {
            let peers = pick_free_ports(1).unwrap()[0];
            let (clients, peers) = (
                format!("http://127.0.0.1:{port}"),
                format!("http://127.0.0.1:{peers}"),
            );
            [
                ("data-dir", directory.join("data").display().to_string()),
                ("listen-client-urls", clients.clone()),
                ("advertise-client-urls", clients),
                ("listen-peer-urls", peers.clone()),
                ("initial-advertise-peer-urls", peers.clone()),
                ("initial-cluster", format!("default={peers}")),
            ]
            .into_iter()
            .map(|(flag, value)| format!("--{flag}={value}"))
            .collect()
        })
        .await;
        let program = tools_directory().join("go/kubernetes/certfleet-test-kubernetes");
        let named = |name: &str, flags: Vec<String>| [vec![name.to_owned()], flags].concat();
        let api = Server::start("kube-apiserver", program.clone(), &[], |port, _| {
            named("kube-apiserver", files.api(port, etcd.port()))
        })
        .await;
        let url = format!("https://127.0.0.1:{}", api.port());
        let config = files.kubeconfig("admin", &files.admin, &url);
        await_ready(&config, &api).await;
        let controllers = Server::start("kube-controller-manager", program, &[], |port, _| {
            named("kube-controller-manager", files.controllers(port, &url))
        })
        .await;
        Self {
            files,
            api,
            _etcd: etcd,
            _controllers: controllers,
        }
    }

    /// Where its API server is.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api.port())
    }

    /// Whom clients believe, PEM; and who vouches for clients.
    pub fn clients(&self) -> &Signer {
        &self.files.clients
    }

    /// Who vouches for front proxies.
    pub fn front_proxies(&self) -> &Signer {
        &self.files.front_proxies
    }

    /// The front proxy's own certificate.
    pub fn front_proxy(&self) -> &Identity {
        &self.files.front_proxy
    }

    /// A user who may do everything.
    pub fn admin(&self) -> &Identity {
        &self.files.admin
    }

    /// Runs kubectl as somebody who may do everything, with this on its standard input.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let config = self.files.directory.path().join("admin.kubeconfig");
        kubectl(&config, arguments, input)
    }

    /// The same, which has to succeed.
    pub fn did(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl(arguments, input);
        let said = String::from_utf8_lossy(&output.stderr);
        let did = output.status.success();
        assert!(did, "kubectl {arguments:?}: {said}\n{}", last_of(&self.api));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is at this path.
    pub fn read(&self, path: &str) -> Value {
        serde_json::from_str(&self.did(&["get", "--raw", path], "")).unwrap()
    }

    /// A token of this service account.
    pub fn token_of(&self, namespace: &str, account: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let wish =
            json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        let made = self.did(&["create", "--raw", &path, "-f", "-"], &wish.to_string());
        let made: Value = serde_json::from_str(&made).unwrap();
        made["status"]["token"].as_str().unwrap().to_owned()
    }
}
