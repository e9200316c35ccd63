//! Sealed values: how certfleet keeps what must not be read in the database.
//!
//! Every secret gets an AES-256-GCM data key of its own, and that key is wrapped by a key encryption
//! key (KEK) which never reaches the database. What is stored, a [`Sealed`], opens only in the
//! [`Place`] it was sealed for, only under the KEK it names, and only to the data key it is committed
//! to. A copy of the database is worth nothing without the KEK; a record moved, swapped or changed in
//! it does not open.
//!
//! - [`Secret`]: bytes that are wiped when dropped and cannot be printed or serialised.
//! - [`Keyring`]: the KEKs a process holds; seals under the current one, opens under any of them.
//! - [`KekProvider`]: the port behind which a KEK lives. [`LocalKek`] holds one in memory, read from a
//!   file or from the environment; a token or a remote KMS fits behind the same port.
//!
//! Opening names its [`Purpose`], which is traced; content never is.

mod envelope;
mod error;
mod kek;
mod kek_source;
mod keyring;
mod local;
mod place;
mod purpose;
mod sealed;
mod secret;
mod source;

pub use envelope::DataKey;
pub use error::{OpenError, SealError};
pub use kek::{InvalidKekId, KekError, KekFuture, KekId, KekProvider, WrapNonce};
pub use kek_source::{AwsKmsKey, InvalidKekSource, KekSource, TransitKey};
pub use keyring::{DuplicateKek, Keyring};
pub use local::LocalKek;
pub use place::Place;
pub use purpose::Purpose;
pub use sealed::{MalformedSealed, Sealed};
pub use secret::Secret;
pub use source::{
    KekSourceError, generate_kek_file, read_kek_file, read_kek_value, read_private_file,
};
