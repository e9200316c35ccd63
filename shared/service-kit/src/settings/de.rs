//! Gives a section's values their types, through serde.
//!
//! Every value begins as text, whichever layer it comes from, and its type decides how the text is
//! read: a list is split at commas unless it is one already, and an empty text is an option's `None`.
//! No message repeats a value except where its type shows that it is no secret.

use std::fmt;

use serde::de::value::{SeqDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::fault::{Fault, Origin};
use super::layers::{Entries, Entry, Raw};

/// Reads a section; what is wrong is named in full.
pub(super) fn section<T: DeserializeOwned>(
    name: &'static str,
    entries: &Entries,
) -> Result<T, Fault> {
    T::deserialize(SectionValues { entries }).map_err(|error| {
        let (key, problem) = match error {
            Error::Missing(key) => return Fault::Missing { section: name, key },
            Error::Unknown(key, known) => {
                let problem = format!("there is no such key; the keys of {name} are {known}");
                (key, problem)
            }
            Error::Value(key, problem) => (key, problem),
            Error::Other(problem) => return Fault::Wrong(format!("{name}: {problem}")),
        };
        Fault::Wrong(match entries.get(&key).map(|entry| &entry.origin) {
            Some(origin @ Origin::Variable(_)) => format!("{origin} ({name}.{key}): {problem}"),
            Some(origin @ Origin::File(_)) => format!("{name}.{key} ({origin}): {problem}"),
            None => format!("{name}.{key}: {problem}"),
        })
    })
}

#[derive(Debug)]
pub(super) enum Error {
    Missing(String),
    Unknown(String, String),
    Value(String, String),
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "{key} is missing"),
            Self::Unknown(key, _) => write!(f, "{key} is unknown"),
            Self::Value(_, problem) | Self::Other(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field.to_owned())
    }
}

struct SectionValues<'a> {
    entries: &'a Entries,
}

impl<'de> Deserializer<'de> for SectionValues<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Fields {
            entries: self.entries.iter(),
            value: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Here and not by serde, so that a key without a value is checked as well.
        match self
            .entries
            .keys()
            .find(|key| !fields.contains(&key.as_str()))
        {
            Some(key) => Err(Error::Unknown(key.clone(), fields.join(", "))),
            None => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Fields<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Entry>,
    value: Option<(&'a String, &'a Raw)>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, entry)) = self.entries.find(|(_, entry)| entry.raw != Raw::Unset) else {
            return Ok(None);
        };
        self.value = Some((key, &entry.raw));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, raw) = self
            .value
            .take()
            .ok_or_else(|| Error::Other("a value before its key".to_owned()))?;
        seed.deserialize(Typed(raw.clone()))
            .map_err(|error| Error::Value(key.clone(), error.to_string()))
    }
}

/// One value, on its way to a type.
struct Typed(Raw);

impl Typed {
    fn text(self) -> Result<String, Error> {
        match self.0 {
            Raw::Text(text) => Ok(text),
            Raw::Unset => Ok(String::new()),
            Raw::List(_) => Err(Error::Other("one value is due, not a list".to_owned())),
        }
    }
}

impl IntoDeserializer<'_, Error> for Typed {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! whole_number {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let text = self.text()?;
            match text.trim().parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(Error::Other(format!(
                    "{text:?} is not a whole number from {} to {}",
                    <$type>::MIN,
                    <$type>::MAX
                ))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Typed {
    type Error = Error;

    whole_number! {
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text()?.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            text => Err(Error::Other(format!("{text:?} is not true or false"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0 {
            Raw::Text(text) if text.is_empty() => visitor.visit_none(),
            Raw::Unset => visitor.visit_none(),
            Raw::Text(_) | Raw::List(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let items: Vec<String> = match self.0 {
            Raw::Unset => Vec::new(),
            Raw::List(items) => items,
            Raw::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        };
        let items = items.into_iter().map(|item| Self(Raw::Text(item)));
        visitor.visit_seq(SeqDeserializer::new(items))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text = self.text()?;
        if !variants.contains(&text.as_str()) {
            let known = variants.join(", ");
            return Err(Error::Other(format!("{text:?} is not one of {known}")));
        }
        let text: StringDeserializer<Error> = text.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}
