//! A relying party: who has to know of a certificate whether it is revoked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};

use crate::acme::Issued;
use crate::openssl::openssl;

/// How long the first list of a young cluster may take.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Somebody who has to know whether a certificate is revoked: with its chain in files, for openssl, and what it names.
pub struct RelyingParty {
    home: TempDir,
    root: PathBuf,
    /// A client without any trust: it is all plain HTTP.
    pub http: Client,
    /// The CRL's URL.
    pub crl: String,
    /// The OCSP responder's.
    pub ocsp: String,
}

impl RelyingParty {
    /// One that was shown this certificate, and trusts this root.
    pub fn new(root: &Path, issued: &Issued) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let mut chain = pem::parse_many(&issued.pem)?.into_iter();
        for file in ["leaf.pem", "issuer.pem"] {
            let certificate = chain.next().context("a short chain")?;
            fs::write(home.path().join(file), pem::encode(&certificate))?;
        }
        let (_, certificate) = x509_parser::parse_x509_certificate(&issued.certificate)?;
        let named: Vec<String> = certificate
            .iter_extensions()
            .flat_map(|extension| urls(extension.parsed_extension()))
            .collect();
        let one = |part: &str| {
            let found = named.iter().find(|url| url.contains(part)).cloned();
            found.with_context(|| format!("{part} is not named: {named:?}"))
        };
        Ok(Self {
            root: root.to_owned(),
            http: Client::builder().timeout(READY_WITHIN).build()?,
            crl: one("/crl/")?,
            ocsp: one("/ocsp")?,
            home,
        })
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The same, as an argument.
    pub fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// What openssl has to say of the certificate, by OCSP. The answer is kept in a file.
    pub fn ask_ocsp(&self, options: &[&str]) -> Result<String> {
        let (leaf, issuer) = (self.path("leaf.pem"), self.path("issuer.pem"));
        let (root, answer) = (self.root.display().to_string(), self.path("answer"));
        let mut line = vec![
            "ocsp",
            "-issuer",
            &issuer,
            "-cert",
            &leaf,
            "-CAfile",
            &root,
            "-url",
            &self.ocsp,
            "-respout",
            &answer,
            "-no_nonce",
        ];
        line.splice(1..1, options.iter().copied());
        let said = openssl(&line)?;
        Ok(String::from_utf8(said)?)
    }

    /// Fetches the CRL; it stays in files, as DER and as PEM.
    pub async fn fetch_crl(&self) -> Result<Vec<u8>> {
        let until = Instant::now() + READY_WITHIN;
        let response = loop {
            let response = self.http.get(&self.crl).send().await?;
            // The cluster is young, and the first list not signed.
            if response.status() != 503 || Instant::now() > until {
                break response.error_for_status()?;
            }
            ensure!(response.headers().contains_key(RETRY_AFTER));
            sleep(Duration::from_millis(250)).await;
        };
        let der = response.bytes().await?.to_vec();
        fs::write(self.file("crl"), &der)?;
        let text = pem::encode(&pem::Pem::new("X509 CRL", der.clone()));
        fs::write(self.file("crl.pem"), text)?;
        Ok(der)
    }

    /// Whether openssl takes the certificate, by the CRL that was fetched.
    pub fn passes_crl(&self) -> Result<()> {
        let (issuer, root) = (self.path("issuer.pem"), self.root.display().to_string());
        openssl(&[
            "crl",
            "-in",
            &self.path("crl.pem"),
            "-CAfile",
            &issuer,
            "-noout",
        ])?;
        openssl(&[
            "verify",
            "-crl_check",
            "-CRLfile",
            &self.path("crl.pem"),
            "-CAfile",
            &root,
            "-untrusted",
            &issuer,
            &self.path("leaf.pem"),
        ])?;
        Ok(())
    }

    /// Sends an OCSP request as it is.
    pub async fn post_ocsp(&self, body: Vec<u8>, content_type: &str) -> Result<Response> {
        let request = self
            .http
            .post(&self.ocsp)
            .header(CONTENT_TYPE, content_type);
        Ok(request.body(body).send().await?)
    }

    /// A request about this certificate, or another serial number, as openssl writes it.
    pub fn request(&self, options: &[&str]) -> Result<Vec<u8>> {
        let (issuer, file) = (self.path("issuer.pem"), self.path("request"));
        let mut line = vec!["ocsp", "-issuer", &issuer, "-no_nonce", "-reqout", &file];
        line.extend(options);
        openssl(&line)?;
        Ok(fs::read(Path::new(&file))?)
    }
}

/// Where a certificate's extension leads to.
fn urls(extension: &ParsedExtension<'_>) -> Vec<String> {
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::URI(url) => Some((*url).to_owned()),
        _ => None,
    };
    match extension {
        ParsedExtension::CRLDistributionPoints(points) => points
            .iter()
            .filter_map(|point| match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => names.first().and_then(text),
                _ => None,
            })
            .collect(),
        ParsedExtension::AuthorityInfoAccess(access) => access
            .iter()
            .filter_map(|one| text(&one.access_location))
            .collect(),
        _ => Vec::new(),
    }
}
