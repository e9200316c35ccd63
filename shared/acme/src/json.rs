//! JSON as signed messages need it: a member that occurs twice is an error, at any depth.
//!
//! RFC 7515 §4 and RFC 8259 §4 leave it open which of two members counts. Two parties that read a signed text
//! differently are an attack, so such a text is not read at all.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

/// How much of a client's own text an error repeats, in characters.
const EXCERPT: usize = 200;

/// A value without duplicate members; nothing may follow it. The error is a sentence for the client.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| excerpt(&error.to_string()))
}

/// An object without duplicate members; nothing may follow it.
pub(crate) fn parse_object(text: &[u8]) -> Result<Map<String, Value>, String> {
    match parse(text)? {
        Value::Object(members) => Ok(members),
        _ => Err("it is not a JSON object".to_owned()),
    }
}

/// The typed form of an object. The error names the member that was wrong.
pub(crate) fn typed<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        excerpt(&if path == "." {
            inner.to_string()
        } else {
            format!("in {path:?}: {inner}")
        })
    })
}

/// The first part of a client's text, fit to be repeated.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                let name = excerpt(&name);
                return Err(A::Error::custom(format_args!(
                    "the member {name:?} occurs twice"
                )));
            }
            let value = members.next_value_seed(Strict)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[test]
    fn duplicates_are_refused_at_any_depth() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"x":{"a":1,"b":2,"a":3}}]"#,
        ] {
            let error = parse(bad.as_bytes()).unwrap_err();
            assert!(error.contains(r#""a" occurs twice"#), "{bad}: {error}");
        }
        assert!(parse(br#"[{"a":1},{"a":1}]"#).is_ok());
    }

    #[test]
    fn what_is_not_one_json_text_is_refused() {
        for bad in [
            &b"{} {}"[..],
            b"{}x",
            b"",
            b"\xff",
            b"\"\xff\"",
            b"{'a':1}",
            b"[1,]",
            b"NaN",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse("[".repeat(60_000).as_bytes()).is_err());
    }

    #[test]
    fn an_error_names_the_member() {
        #[derive(Debug, Deserialize)]
        struct Inner {
            #[expect(dead_code, reason = "only parsed")]
            value: u8,
        }
        #[derive(Debug, Deserialize)]
        struct Outer {
            #[expect(dead_code, reason = "only parsed")]
            list: Vec<Inner>,
        }
        let members = parse_object(br#"{"list":[{"value":1},{"value":"x"}]}"#).unwrap();
        let error = typed::<Outer>(members).unwrap_err();
        assert!(error.contains("list[1].value"), "{error}");
        let error = typed::<Outer>(Map::new()).unwrap_err();
        assert!(error.contains("missing field `list`"), "{error}");
    }

    #[test]
    fn an_excerpt_is_short_and_cuts_between_characters() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"é".repeat(1000)).chars().count(), EXCERPT + 3);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_agrees_with_serde_json(text in r#"[\[\]{}:,"a0-9.eE\- ]{0,40}"#) {
            match (parse(text.as_bytes()), serde_json::from_str::<Value>(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Ok(_), Err(error)) => prop_assert!(false, "{text:?} was accepted: {error}"),
                (Err(error), Ok(_)) => prop_assert!(error.contains("twice"), "{text:?}: {error}"),
                (Err(_), Err(_)) => {}
            }
        }

        #[test]
        fn arbitrary_octets_never_panic(octets: Vec<u8>) {
            let _ = parse(&octets);
        }
    }
}
