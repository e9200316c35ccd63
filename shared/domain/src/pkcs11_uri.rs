//! PKCS#11 URIs (RFC 7512): which object of which token.

use std::fmt;
use std::str::FromStr;

/// An object in a token, such as `pkcs11:token=certfleet;object=kek-1`. Which module reaches the token, and with which
/// PIN, is not part of it: that differs from machine to machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pkcs11Uri {
    token: String,
    object: String,
    id: Option<Vec<u8>>,
}

/// Text that names no object of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a key in a token: pkcs11:token=LABEL;object=LABEL is due (RFC 7512), with ;id=%01%02 where labels repeat; {0}"
)]
pub struct InvalidPkcs11Uri(&'static str);

impl Pkcs11Uri {
    /// What each begins with.
    pub const SCHEME: &'static str = "pkcs11:";
    /// Labels are no longer, in octets: PKCS#11 gives a token's label 32.
    const LONGEST: usize = 32;

    /// The token's label.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The object's label.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The object's `CKA_ID`, if it is to have a certain one.
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }
}

impl FromStr for Pkcs11Uri {
    type Err = InvalidPkcs11Uri;

    fn from_str(text: &str) -> Result<Self, InvalidPkcs11Uri> {
        let path = text
            .strip_prefix(Self::SCHEME)
            .ok_or(InvalidPkcs11Uri("it begins otherwise"))?;
        if path.contains('?') {
            return Err(InvalidPkcs11Uri(
                "module and PIN stand in the settings, pkcs11.module and pkcs11.pin_file, not here",
            ));
        }
        let (mut token, mut object, mut id) = (None, None, None);
        for attribute in path.split(';') {
            let (name, value) = attribute
                .split_once('=')
                .ok_or(InvalidPkcs11Uri("an attribute has no value"))?;
            let place = match name {
                "token" => &mut token,
                "object" => &mut object,
                "id" => &mut id,
                _ => return Err(InvalidPkcs11Uri("there is an attribute that is not known")),
            };
            let value = decode(value).ok_or(InvalidPkcs11Uri("a %XX is not one"))?;
            if place.replace(value).is_some() {
                return Err(InvalidPkcs11Uri("an attribute stands twice"));
            }
        }
        Ok(Self {
            token: label(token)?,
            object: label(object)?,
            id,
        })
    }
}

fn label(octets: Option<Vec<u8>>) -> Result<String, InvalidPkcs11Uri> {
    let octets = octets.ok_or(InvalidPkcs11Uri("token and object have to be there"))?;
    let text = String::from_utf8(octets).map_err(|_| InvalidPkcs11Uri("a label is not UTF-8"))?;
    if text.is_empty() || text.len() > Pkcs11Uri::LONGEST || text.chars().any(char::is_control) {
        return Err(InvalidPkcs11Uri(
            "a label is empty, longer than 32 octets or has control characters",
        ));
    }
    Ok(text)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                // `from_str_radix` takes a sign.
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                u8::from_str_radix(digits, 16).ok()?
            }
            other => other,
        });
    }
    Some(octets)
}

/// What RFC 3986 leaves unreserved stands as it is, all else as `%XX`.
fn encode(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|octet| match octet {
        b'-' | b'.' | b'_' | b'~' => write!(f, "{}", char::from(*octet)),
        letter if letter.is_ascii_alphanumeric() => write!(f, "{}", char::from(*octet)),
        other => write!(f, "%{other:02X}"),
    })
}

impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}token=", Self::SCHEME)?;
        encode(f, self.token.as_bytes())?;
        write!(f, ";object=")?;
        encode(f, self.object.as_bytes())?;
        if let Some(id) = &self.id {
            write!(f, ";id=")?;
            id.iter().try_for_each(|octet| write!(f, "%{octet:02X}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_and_named_again() {
        for (text, again) in [
            ("pkcs11:token=a;object=b", None),
            ("pkcs11:object=b;token=a", Some("pkcs11:token=a;object=b")),
            (
                "pkcs11:token=The%20Token;object=k%C3%A9y;id=%00%ff",
                Some("pkcs11:token=The%20Token;object=k%C3%A9y;id=%00%FF"),
            ),
            (
                "pkcs11:token=The Token;object=kéy;id=ab",
                Some("pkcs11:token=The%20Token;object=k%C3%A9y;id=%61%62"),
            ),
        ] {
            let uri: Pkcs11Uri = text.parse().unwrap();
            assert_eq!(uri.to_string(), again.unwrap_or(text));
            assert_eq!(uri.to_string().parse(), Ok(uri));
        }
    }

    #[test]
    fn what_names_none_is_refused_with_why() {
        for (text, why) in [
            ("", "begins"),
            ("PKCS11:token=a;object=b", "begins"),
            ("pkcs11:", "no value"),
            ("pkcs11:token=a", "have to be there"),
            ("pkcs11:token=a;object=", "empty"),
            ("pkcs11:token=a;object=b;", "no value"),
            ("pkcs11:token=a;object=b;object=c", "twice"),
            ("pkcs11:token=a;object=b;serial=1", "not known"),
            ("pkcs11:token=a;object=%2", "%XX"),
            ("pkcs11:token=a;object=%+1", "%XX"),
            ("pkcs11:token=a;object=%FF", "UTF-8"),
            ("pkcs11:token=a;object=%0A", "control"),
            ("pkcs11:token=a;object=b?pin-value=1234", "pin_file"),
            (
                "pkcs11:token=a;object=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                "longer",
            ),
        ] {
            let error = text.parse::<Pkcs11Uri>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("1234"), "{error}");
        }
    }
}
