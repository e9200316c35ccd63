//! Lists, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::RestError;
use super::schema;

/// So many on a page, if nothing is said.
const USUAL: u16 = 50;
/// So many at the most.
pub const MOST: u16 = 1000;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins: to be sent as `cursor`. Without it, this is the last.
    pub next: Option<String>,
}

/// Which page.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// Where it begins: the `next` of the page before.
    #[param(value_type = Option<schema::Cursor>)]
    pub cursor: Option<String>,
}

/// How many a page is to have.
pub fn limit(asked: Option<u16>) -> Result<usize, RestError> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(usize::from(limit)),
        _ => Err(RestError::Malformed(format!("limit: 1 to {MOST} is due"))),
    }
}

/// Text as a cursor.
pub fn to_cursor(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The text of a cursor.
pub fn from_cursor(cursor: &str) -> Result<String, RestError> {
    let octets = URL_SAFE_NO_PAD.decode(cursor).ok();
    let octets = octets.filter(|octets| !octets.is_empty());
    let text = octets.and_then(|octets| String::from_utf8(octets).ok());
    text.ok_or_else(no_page)
}

/// What is said of a cursor that is none, or of another list.
pub fn no_page() -> RestError {
    RestError::NotFound("there is no such page: begin without a cursor".to_owned())
}

/// The page of a short list, in the order of `key`, which tells its entries apart.
pub fn of<T, V>(
    all: impl IntoIterator<Item = T>,
    query: &PageQuery,
    key: impl Fn(&T) -> String,
    view: impl Fn(&T) -> V,
) -> Result<Page<V>, RestError> {
    let limit = limit(query.limit)?;
    let after = query.cursor.as_deref().map(from_cursor).transpose()?;
    let mut rest: Vec<(String, T)> = all.into_iter().map(|one| (key(&one), one)).collect();
    rest.retain(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    rest.sort_by(|(one, _), (other, _)| one.cmp(other));
    let next = rest.get(limit).and_then(|_| limit.checked_sub(1));
    let next = next
        .and_then(|last| rest.get(last))
        .map(|(key, _)| to_cursor(key));
    rest.truncate(limit);
    let items = rest.iter().map(|(_, one)| view(one)).collect();
    Ok(Page { items, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_each_entry_once_in_the_order_of_keys_however_they_came() {
        let all = ["d", "a", "c", "e", "b"];
        let mut query = PageQuery {
            limit: Some(2),
            cursor: None,
        };
        let mut pages = Vec::new();
        loop {
            let page = of(all, &query, |one| (*one).to_owned(), |one| *one)
                .ok()
                .unwrap();
            pages.push(page.items);
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
        query.cursor = Some("?".to_owned());
        assert!(of(all, &query, |one| (*one).to_owned(), |one| *one).is_err());
    }
}
