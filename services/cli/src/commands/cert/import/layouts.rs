//! How other clients keep their certificates on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

/// A client whose directory can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// certbot: live/NAME/fullchain.pem and privkey.pem.
    Certbot,
    /// lego: certificates/NAME.crt and NAME.key.
    Lego,
    /// acme.sh: NAME/fullchain.cer and NAME.key.
    #[value(name = "acme.sh")]
    AcmeSh,
}

/// A certificate as a client keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Its chain.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// A URL at the authority that it is from, if the client has noted one.
    pub server: Option<String>,
}

impl Kept {
    /// One of which nothing else is known.
    pub fn alone(chain: &Path, key: &Path) -> Self {
        Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
            server: None,
        }
    }
}

impl Client {
    /// All that it keeps in this directory, by their paths.
    pub fn kept(self, directory: &Path) -> anyhow::Result<Vec<Kept>> {
        let mut all: Vec<Kept> = match self {
            Self::Certbot => {
                let lineages = entries(&directory.join("live"))?.into_iter();
                lineages.filter_map(|at| certbot(directory, &at)).collect()
            }
            Self::Lego => {
                let files = entries(&directory.join("certificates"))?.into_iter();
                files.filter_map(|file| lego(&file)).collect()
            }
            Self::AcmeSh => {
                let folders = entries(directory)?.into_iter();
                folders.filter_map(|folder| acme_sh(&folder)).collect()
            }
        };
        all.sort();
        Ok(all)
    }
}

fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let shown = || directory.display().to_string();
    let found = fs::read_dir(directory).with_context(shown)?;
    let paths: Result<Vec<PathBuf>, _> =
        found.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.with_context(shown)
}

fn certbot(directory: &Path, lineage: &Path) -> Option<Kept> {
    let chain = lineage.join("fullchain.pem");
    let name = lineage.file_name()?.to_str()?;
    let settings = directory.join("renewal").join(format!("{name}.conf"));
    chain.exists().then(|| Kept {
        key: lineage.join("privkey.pem"),
        server: value_in(&settings, "server"),
        chain,
    })
}

fn lego(file: &Path) -> Option<Kept> {
    let name = file.file_name()?.to_str()?;
    // The issuer's certificate lies beside it, and is in it as well.
    if name.ends_with(".issuer.crt") || file.extension()? != "crt" {
        return None;
    }
    let noted = fs::read_to_string(file.with_extension("json")).ok();
    let noted: Option<serde_json::Value> = noted.and_then(|text| serde_json::from_str(&text).ok());
    let server = noted.and_then(|noted| noted["certUrl"].as_str().map(str::to_owned));
    Some(Kept {
        chain: file.to_owned(),
        key: file.with_extension("key"),
        server,
    })
}

fn acme_sh(folder: &Path) -> Option<Kept> {
    let chain = folder.join("fullchain.cer");
    let name = folder.file_name()?.to_str()?;
    let name = name.strip_suffix("_ecc").unwrap_or(name);
    chain.exists().then(|| Kept {
        key: folder.join(format!("{name}.key")),
        server: value_in(&folder.join(format!("{name}.conf")), "Le_API"),
        chain,
    })
}

/// The value of a key in a file of lines such as `key = value` or `key='value'`.
fn value_in(file: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches('\'').to_owned())
    });
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    fn shown(root: &Path, client: Client) -> Vec<(String, String, Option<String>)> {
        let below = |path: PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        let kept = client.kept(root).unwrap().into_iter();
        kept.map(|kept| (below(kept.chain), below(kept.key), kept.server))
            .collect()
    }

    #[test]
    fn each_client_s_files_are_found_and_nothing_else() {
        let url = "https://ca.example/directory";
        let expected =
            |chain: &str, key: &str| vec![(chain.to_owned(), key.to_owned(), Some(url.to_owned()))];
        let certbot = tempfile::tempdir().unwrap();
        write(
            certbot.path(),
            &[
                ("live/README", ""),
                ("live/a.example/fullchain.pem", ""),
                (
                    "renewal/a.example.conf",
                    "version = 2\nserver = https://ca.example/directory\n",
                ),
            ],
        );
        assert_eq!(
            shown(certbot.path(), Client::Certbot),
            expected("live/a.example/fullchain.pem", "live/a.example/privkey.pem")
        );
        let lego = tempfile::tempdir().unwrap();
        write(
            lego.path(),
            &[
                ("certificates/a.example.crt", ""),
                ("certificates/a.example.issuer.crt", ""),
                ("certificates/a.example.key", ""),
                (
                    "certificates/a.example.json",
                    r#"{"certUrl": "https://ca.example/directory"}"#,
                ),
            ],
        );
        assert_eq!(
            shown(lego.path(), Client::Lego),
            expected("certificates/a.example.crt", "certificates/a.example.key")
        );
        let acme_sh = tempfile::tempdir().unwrap();
        write(
            acme_sh.path(),
            &[
                ("account.conf", ""),
                ("ca/ca.example/account.key", ""),
                ("a.example_ecc/fullchain.cer", ""),
                (
                    "a.example_ecc/a.example.conf",
                    "Le_API='https://ca.example/directory'\n",
                ),
            ],
        );
        assert_eq!(
            shown(acme_sh.path(), Client::AcmeSh),
            expected("a.example_ecc/fullchain.cer", "a.example_ecc/a.example.key")
        );
        assert!(Client::Lego.kept(certbot.path()).is_err());
    }
}
