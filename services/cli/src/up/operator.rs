//! `certfleet.yaml` in the data directory: the settings with which `certfleet` itself reaches this cluster.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use certfleet_service_kit::settings::CliSettings;

/// Writes a file as a whole or not at all.
pub fn write(path: &Path, content: &str, mode: u32) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        // What a crash left there may have another mode.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Writes the settings file.
pub fn write_settings(
    directory: &Path,
    settings: &CliSettings,
    api: &str,
) -> anyhow::Result<PathBuf> {
    let path = directory.join("certfleet.yaml");
    write(&path, &text(settings, api), 0o600)?;
    Ok(path)
}

fn text(settings: &CliSettings, api: &str) -> String {
    let agents = settings.agents.url.as_ref();
    let agents = agents.map_or_else(String::new, |url| {
        format!("agents:\n  url: {}\n", quoted(url.as_str()))
    });
    let kek = settings.kek.file.as_deref().unwrap_or(Path::new(""));
    format!(
        "# How to reach the cluster of this directory, written by `certfleet up`:\n\
         #   certfleet --config certfleet.yaml ca list\n\
         database:\n  uri: {}\n  name: {}\nkek:\n  file: {}\nacme:\n  default_authority: {}\n\
         server:\n  external_url: {}\n{agents}",
        quoted(settings.database.uri.expose()),
        quoted(&settings.database.name),
        quoted(&kek.to_string_lossy()),
        quoted(settings.acme.default_authority.as_str()),
        quoted(api),
    )
}

/// As YAML has it, of which JSON is a part; `$` would begin a variable.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use certfleet_service_kit::settings::{ServiceSettings, Source, check_all};

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let environment = BTreeMap::from(
            [
                (
                    "CERTFLEET_DATABASE_URI",
                    "mongodb://u:p%24$x\"@a:1/?replicaSet=rs",
                ),
                ("CERTFLEET_DATABASE_NAME", "other"),
                ("CERTFLEET_KEK_FILE", "/a dir/kek: #1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let file = None;
        let settings = CliSettings::load(&Source { file, environment }).unwrap();
        let path = write_settings(directory.path(), &settings, "https://localhost:1").unwrap();
        write_settings(directory.path(), &settings, "https://localhost:1").unwrap();
        let source = Source {
            file: Some(path),
            environment: BTreeMap::new(),
        };
        assert_eq!(CliSettings::load(&source).unwrap(), settings);
        check_all(&source).unwrap();
    }
}
