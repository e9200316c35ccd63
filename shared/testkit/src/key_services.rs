//! Services that keep keys, run for real: Vault's own core and transit engine, and AWS KMS as moto emulates it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::replica_set::tools_directory;
use crate::server::{READY_WITHIN, Server};

/// Vault, in memory, unsealed, with a transit engine at `transit`.
pub struct VaultServer {
    server: Server,
    client: Client,
    root_token: String,
    unseal_key: String,
}

impl VaultServer {
    /// Starts it.
    pub async fn start() -> Self {
        let program = tools_directory().join("go/vault/certfleet-test-vault");
        let server = Server::start("vault", program, &[], |port, _| {
            vec![format!("127.0.0.1:{port}")]
        })
        .await;
        let mut vault = Self {
            server,
            client: client(),
            root_token: String::new(),
            unseal_key: String::new(),
        };
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let made = vault.ask(Method::PUT, "sys/init", shares).await;
        made["root_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut vault.root_token);
        made["keys"][0]
            .as_str()
            .unwrap()
            .clone_into(&mut vault.unseal_key);
        vault.unseal().await;
        let transit = json!({ "type": "transit" });
        vault.ask(Method::POST, "sys/mounts/transit", transit).await;
        vault
    }

    /// Makes a key.
    pub async fn make_key(&self, name: &str) {
        self.make_key_of(name, json!({})).await;
    }

    /// Makes a key of another kind.
    pub async fn make_key_of(&self, name: &str, kind: Value) {
        self.ask(Method::POST, &format!("transit/keys/{name}"), kind)
            .await;
    }

    /// The key gets a new version; the former ones go on to open what they have encrypted.
    pub async fn rotate_key(&self, name: &str) {
        let rotate = format!("transit/keys/{name}/rotate");
        self.ask(Method::POST, &rotate, json!({})).await;
    }

    /// A file with a token that may use the key, as the documentation has it, and nothing else.
    pub async fn token_file(&self, name: &str) -> PathBuf {
        let policy = format!(
            r#"path "transit/keys/{name}" {{ capabilities = ["read"] }}
path "transit/encrypt/{name}" {{ capabilities = ["update"] }}
path "transit/decrypt/{name}" {{ capabilities = ["update"] }}"#
        );
        let path = format!("sys/policies/acl/{name}");
        self.ask(Method::PUT, &path, json!({ "policy": policy }))
            .await;
        let wanted = json!({ "policies": [name], "no_parent": true });
        let made = self.ask(Method::POST, "auth/token/create", wanted).await;
        let token = made["auth"]["client_token"].as_str().unwrap();
        let file = self.server.directory().join(format!("{name}.token"));
        write_privately(&file, token);
        file
    }

    /// The KEK's place, as settings name it.
    pub fn source(&self, name: &str) -> String {
        format!("vault:{}/transit/{name}", self.server.url())
    }

    /// It forgets how to read what it keeps, and answers nothing else.
    pub async fn seal(&self) {
        self.ask(Method::PUT, "sys/seal", json!({})).await;
    }

    /// It knows again.
    pub async fn unseal(&self) {
        let key = json!({ "key": self.unseal_key });
        let state = self.ask(Method::PUT, "sys/unseal", key).await;
        assert_eq!(state["sealed"], false, "{state}");
        // The engines are mounted a little later.
        let until = Instant::now() + READY_WITHIN;
        while !self.is_active().await {
            assert!(Instant::now() < until, "Vault does not become active");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// It is killed, with all that it kept in memory.
    pub async fn kill(&mut self) {
        self.server.stop().await;
    }

    async fn is_active(&self) -> bool {
        let url = format!("{}/v1/sys/health", self.server.url());
        let answer = self.client.get(url).send().await.unwrap();
        answer.status().as_u16() == 200
    }

    async fn ask(&self, method: Method, path: &str, question: Value) -> Value {
        let url = format!("{}/v1/{path}", self.server.url());
        let request = self.client.request(method, url).json(&question);
        let request = request.header("X-Vault-Token", &self.root_token);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "Vault, {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// AWS KMS, as moto emulates it.
pub struct Kms {
    server: Server,
    client: Client,
}

impl Kms {
    /// The region of its keys.
    pub const REGION: &'static str = "eu-central-1";

    /// Starts it.
    pub async fn start() -> Self {
        let program = tools_directory().join("venv/bin/moto_server");
        let args = |port: u16, _: &Path| {
            vec![
                "-H".into(),
                "127.0.0.1".into(),
                "-p".into(),
                port.to_string(),
            ]
        };
        let server = Server::start("moto", program, &[], args).await;
        Self {
            server,
            client: client(),
        }
    }

    /// Its endpoint.
    pub fn endpoint(&self) -> String {
        self.server.url()
    }

    /// What processes have to have in their environment, to be somebody to it.
    pub fn environment() -> [(String, String); 2] {
        [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-nobody"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// Makes a key; the answer is its place, as settings name it.
    pub async fn make_key(&self) -> String {
        let made = self.ask("CreateKey", json!({})).await;
        format!("aws-kms:{}", made["KeyMetadata"]["Arn"].as_str().unwrap())
    }

    async fn ask(&self, act: &str, question: Value) -> Value {
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/{}/kms/aws4_request, SignedHeaders=host, Signature=0",
            Self::REGION
        );
        let answer = self
            .client
            .post(self.server.url())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{act}"))
            .header("authorization", credential)
            .body(question.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "KMS, {act}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

fn client() -> Client {
    // It wants one though it never encrypts; whoever is first installs it.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    Client::builder().build().unwrap()
}

fn write_privately(file: &Path, content: &str) {
    fs::write(file, content).unwrap();
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}
