//! What texts look like, for the OpenAPI document: as strict as the types that read them, as far as a pattern can say it.

use std::borrow::Cow;

use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

macro_rules! text {
    ($(#[doc = $doc:literal])* $name:ident, $pattern:literal, $shortest:literal..=$longest:literal, $example:literal) => {
        $(#[doc = $doc])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!($($doc),*).trim()))
                    .pattern(Some($pattern))
                    .min_length(Some($shortest))
                    .max_length(Some($longest))
                    .examples([$example])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

text!(
    /// A short name: lower-case letters, digits and inner hyphens.
    ShortName,
    "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    1..=32,
    "web"
);
text!(
    /// An id: 32 hexadecimal digits.
    Id,
    "^[0-9a-f]{32}$",
    32..=32,
    "0190aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
);
text!(
    /// A DNS name. A-labels (`xn--`) are taken too, which this pattern leaves out: it cannot tell those that decode.
    DomainName,
    r"^(?:[a-z0-9](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?\.){0,20}[a-z](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?$",
    1..=253,
    "example.org"
);
text!(
    /// Which names: a DNS name and all below it, or exactly this wildcard or IP address.
    NameSearch,
    "^[A-Za-z0-9.:*-]+$",
    1..=253,
    "example.org"
);
/// What a certificate can be asked for.
pub struct CertifiedName;

impl PartialSchema for CertifiedName {
    fn schema() -> RefOr<Schema> {
        let formatted = |format| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(format)))
                .max_length(Some(253))
        };
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(NAME_OR_WILDCARD))
            .max_length(Some(253));
        AnyOfBuilder::new()
            .item(name)
            .item(formatted(KnownFormat::Ipv4))
            .item(formatted(KnownFormat::Ipv6))
            .description(Some("A DNS name, a wildcard or an IP address. A-labels (`xn--`) are taken too, which the pattern leaves out: it cannot tell those that decode."))
            .examples(["www.example.org"])
            .into()
    }
}

impl ToSchema for CertifiedName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("CertifiedName")
    }
}

/// A DNS name, or all names one label below one.
const NAME_OR_WILDCARD: &str = r"^(?:(?:[a-z0-9](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?\.){0,20}[a-z](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?|\*\.(?:[a-z0-9](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?\.){1,20}[a-z](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?)$";

text!(
    /// A name or an address, and a port.
    HostPort,
    r"^(?:(?:[a-z0-9](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?\.){0,20}[a-z](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?|(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])|\[(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}:[0-9a-f]{1,4}|::[0-9a-f]{1,4})\]):(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$",
    3..=255,
    "www.example.org:443"
);
text!(
    /// An IP address and a port.
    AddressPort,
    r"^(?:(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])|\[(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}:[0-9a-f]{1,4}|::[0-9a-f]{1,4})\]):(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$",
    3..=53,
    "192.0.2.53:53"
);
text!(
    /// An absolute path, in whose last part `{name}` stands for the certificate's name.
    FilePath,
    r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/([A-Za-z0-9_-]+|\{name\})(\.[a-z]{1,8})?$",
    2..=1024,
    "/etc/nginx/tls/{name}.pem"
);
text!(
    /// The URL of an ACME directory.
    DirectoryUrl,
    r"^https?://(?:[a-z0-9](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?\.){0,20}[a-z](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(?:/[A-Za-z0-9_.-]+)+$",
    10..=2000,
    "https://acme-v02.api.letsencrypt.org/directory"
);
text!(
    /// So many in such a time: s, m, h or d.
    RateText,
    "^[1-9][0-9]{0,20}/[1-9][0-9]{0,2}[smhd]$",
    4..=11,
    "300/3h"
);
text!(
    /// Where a mail reaches whoever runs the fleet.
    MailUrl,
    r"^mailto:[A-Za-z0-9]+(?:\.[A-Za-z0-9]+){0,2}@(?:[a-z0-9](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?\.){1,3}[a-z](?:[a-z0-9]|[a-z0-9-](?:[a-z0-9](?:[a-z0-9-]{0,59}[a-z0-9])?|-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?))?$",
    9..=120,
    "mailto:pki@example.org"
);
text!(
    /// A key in base64.
    KeyBase64,
    r"^(?:(?:[A-Za-z0-9+/]{4}){5}(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)|(?:[A-Za-z0-9+/]{4}){6,64}(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?)$",
    24..=260,
    "AAECAwQFBgcICQoLDA0ODw=="
);
text!(
    /// A key in base64url.
    KeyBase64Url,
    r"^(?:[A-Za-z0-9_-]{4}){4,64}$",
    16..=256,
    "AAECAwQFBgcICQoLDA0ODxAR"
);
text!(
    /// Whose a file is: `user` or `user:group`.
    FileOwner,
    "^[A-Za-z0-9_.-]{1,32}(:[A-Za-z0-9_.-]{1,32})?$",
    1..=65,
    "root:www-data"
);
text!(
    /// The permission bits of a file with a key, in octal: for its owner and perhaps a group.
    FileMode,
    r"^[46][0246]0$",
    3..=3,
    "640"
);
text!(
    /// Where the next page begins: as the page before has said it, and nothing else.
    Cursor,
    "^[A-Za-z0-9_-]+$",
    1..=1000,
    "YTowMTkw"
);
text!(
    /// A key under which a request is done once, for a day: the answer to the same request under the same key is the first one.
    IdempotencyKey,
    "^[A-Za-z0-9_-]+$",
    1..=100,
    "2f1c6e1a-7d5b-4a30-9d0f-6b1f4e0c9b57"
);

/// A moment (RFC 3339).
pub struct Moment;

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A moment (RFC 3339)."))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Moment {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Moment")
    }
}

/// Those that parameters are made of.
pub fn of_parameters() -> impl Iterator<Item = (String, RefOr<Schema>)> {
    fn named<T: ToSchema>() -> (String, RefOr<Schema>) {
        (T::name().into_owned(), T::schema())
    }
    [
        named::<ShortName>(),
        named::<Id>(),
        named::<NameSearch>(),
        named::<Cursor>(),
        named::<IdempotencyKey>(),
        named::<Moment>(),
    ]
    .into_iter()
}
