//! Where a sealed value belongs.

use std::fmt;

/// The one field of the one record that a secret belongs to. It is bound into the seal: a value moved
/// to another place does not open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The database's name.
    pub database: String,
    /// The collection's name.
    pub collection: String,
    /// The record's id, in its text form.
    pub id: String,
    /// The field's name, with dots for nested ones.
    pub field: String,
}

impl Place {
    /// The place `database.collection[id].field`.
    pub fn new(
        database: impl Into<String>,
        collection: impl Into<String>,
        id: impl Into<String>,
        field: impl Into<String>,
    ) -> Self {
        Self {
            database: database.into(),
            collection: collection.into(),
            id: id.into(),
            field: field.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}[{}].{}",
            self.database, self.collection, self.id, self.field
        )
    }
}
