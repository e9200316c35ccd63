//! Text for people, and what an authority has named: one line.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The longest, in characters.
const LONGEST: usize = 100;

/// One line of text that begins with something.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub struct Words(String);

impl From<Words> for String {
    fn from(words: Words) -> Self {
        words.0
    }
}

impl TryFrom<String> for Words {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let begins = text.chars().next().is_some_and(|first| first != ' ');
        let fits = text.chars().count() <= LONGEST;
        if begins && fits && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(format!(
                "one line of 1 to {LONGEST} characters is due that begins with no space"
            ))
        }
    }
}

impl PartialSchema for Words {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("One line of text that begins with no space."))
            .pattern(Some(r"^[^ \x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"))
            .min_length(Some(1))
            .max_length(Some(LONGEST))
            .examples(["what we sell"])
            .into()
    }
}

impl ToSchema for Words {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Words")
    }
}
