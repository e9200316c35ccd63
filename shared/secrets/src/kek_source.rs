//! Where a KEK is, as the settings say it.

use std::path::PathBuf;
use std::str::FromStr;

use certfleet_domain::{InvalidPkcs11Uri, Pkcs11Uri};
use url::Url;

/// Where a KEK is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KekSource {
    /// In a file that nobody but its owner can read: `file:/path`.
    File(PathBuf),
    /// In a variable of the environment: `env:NAME`.
    Environment(String),
    /// In a PKCS#11 token: `pkcs11:token=LABEL;object=LABEL` (RFC 7512).
    Token(Pkcs11Uri),
    /// In Vault's or OpenBao's transit engine: `vault:https://HOST:8200/MOUNT/KEY`.
    Transit(TransitKey),
    /// In AWS KMS: `aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID`.
    AwsKms(AwsKmsKey),
}

/// A key of a transit engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitKey {
    /// The server, without a path.
    pub server: Url,
    /// Where the engine is mounted, such as `transit`.
    pub mount: String,
    /// The key's name.
    pub name: String,
}

/// A key of AWS KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKmsKey {
    /// The ARN, which names it in the whole world.
    pub arn: String,
    /// The region.
    pub region: String,
    /// The key's id within the region.
    pub id: String,
}

/// Text that is no KEK's place. It is not repeated: it may be a key, put in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKekSource {
    /// It begins like none.
    #[error(
        "not a key's place: file:/path, env:NAME, pkcs11:token=LABEL;object=LABEL, vault:https://HOST:8200/MOUNT/KEY or \
         aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID is due"
    )]
    Unknown,
    /// It begins like a token's.
    #[error(transparent)]
    Token(#[from] InvalidPkcs11Uri),
    /// It begins like Vault's.
    #[error(
        "not a key of a transit engine: vault:https://HOST:8200/MOUNT/KEY is due, MOUNT and KEY of letters, digits, \
         '.', '_' and '-'"
    )]
    Transit,
    /// It begins like KMS's.
    #[error(
        "not a key of AWS KMS: aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID is due; an alias will not do, because it can be \
         pointed at another key"
    )]
    AwsKms,
}

impl FromStr for KekSource {
    type Err = InvalidKekSource;

    fn from_str(text: &str) -> Result<Self, InvalidKekSource> {
        let (scheme, rest) = text.split_once(':').ok_or(InvalidKekSource::Unknown)?;
        match scheme {
            "file" if !rest.is_empty() => Ok(Self::File(rest.into())),
            "env" if !rest.is_empty() => Ok(Self::Environment(rest.to_owned())),
            "pkcs11" => Ok(Self::Token(text.parse()?)),
            "vault" => TransitKey::parse(rest)
                .map(Self::Transit)
                .ok_or(InvalidKekSource::Transit),
            "aws-kms" => AwsKmsKey::parse(rest)
                .map(Self::AwsKms)
                .ok_or(InvalidKekSource::AwsKms),
            _ => Err(InvalidKekSource::Unknown),
        }
    }
}

impl TransitKey {
    fn parse(text: &str) -> Option<Self> {
        let mut server = Url::parse(text).ok()?;
        let plain = matches!(server.scheme(), "https" | "http")
            && server.has_host()
            && server.query().is_none()
            && server.fragment().is_none()
            && server.username().is_empty()
            && server.password().is_none();
        let path = server.path().strip_prefix('/')?.to_owned();
        let (mount, name) = path.rsplit_once('/')?;
        let fits = |text: &str| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !text.is_empty() && text.bytes().all(letter) && !text.starts_with('.')
        };
        if !plain || !mount.split('/').all(fits) || !fits(name) {
            return None;
        }
        server.set_path("/");
        Some(Self {
            server,
            mount: mount.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl AwsKmsKey {
    fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<_> = arn.split(':').collect();
        let ["arn", partition, "kms", region, account, key] = parts.as_slice() else {
            return None;
        };
        let id = key.strip_prefix("key/")?;
        let word = |text: &str| {
            let letter =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !text.is_empty() && text.len() <= 40 && text.bytes().all(letter)
        };
        let account_fits =
            account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
        let fits = [*partition, *region, id].into_iter().all(word) && account_fits;
        fits.then(|| Self {
            arn: arn.to_owned(),
            region: (*region).to_owned(),
            id: id.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn each_place_is_read() {
        let read = |text: &str| text.parse::<KekSource>().unwrap();
        assert_eq!(read("file:/k"), KekSource::File("/k".into()));
        assert_eq!(read("env:KEK"), KekSource::Environment("KEK".to_owned()));
        assert!(
            matches!(read("pkcs11:token=a;object=b"), KekSource::Token(uri) if uri.object() == "b")
        );
        let KekSource::Transit(key) = read("vault:https://vault.example:8200/pki/transit/kek-1")
        else {
            panic!("not a transit key");
        };
        assert_eq!(key.server.as_str(), "https://vault.example:8200/");
        assert_eq!(
            (key.mount.as_str(), key.name.as_str()),
            ("pki/transit", "kek-1")
        );
        let KekSource::AwsKms(key) = read(&format!("aws-kms:{ARN}")) else {
            panic!("not a key of KMS");
        };
        assert_eq!(
            (key.arn.as_str(), key.region.as_str()),
            (ARN, "eu-central-1")
        );
        assert_eq!(key.id, "1234abcd-12ab-34cd-56ef-1234567890ab");
    }

    #[test]
    fn what_is_no_place_is_refused_and_not_repeated() {
        for text in [
            "",
            "0011223344556677",
            "file:",
            "env:",
            "hsm:hunter2",
            "pkcs11:token=hunter2",
            "vault:",
            "vault:vault.example/transit/hunter2",
            "vault:https://vault.example/hunter2",
            "vault:https://me:hunter2@vault.example/transit/kek",
            "vault:https://vault.example/../kek",
            "vault:https://vault.example/transit//kek",
            "vault:https://vault.example/transit/kek?x=hunter2",
            "aws-kms:alias/hunter2",
            "aws-kms:arn:aws:kms:eu-central-1:123456789012:alias/hunter2",
            "aws-kms:arn:aws:kms:eu-central-1:12:key/1234",
            "aws-kms:arn:aws:s3:eu-central-1:123456789012:key/1234",
            "aws-kms:arn:aws:kms:evil.example/:123456789012:key/1234",
        ] {
            let error = text.parse::<KekSource>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
