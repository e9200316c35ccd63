//! What a token did not do, and whether it may later.

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

/// Why a token did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token is not there, or does not let this process in. Another try may do.
    #[error("{0}")]
    Unavailable(String),
    /// The token is there, and refuses this. It will again.
    #[error("{0}")]
    Refused(String),
}

/// What a failed call says of the token.
pub(crate) enum Meaning {
    /// Its sessions are of no more use: the token, or the way to it, was away.
    Lost,
    /// It may be that, or a refusal: tokens use these codes for whatever they have no other for.
    Unclear,
    /// The call itself was refused.
    Refused,
}

pub(crate) fn meaning(error: &Error) -> Meaning {
    let Error::Pkcs11(code, _) = error else {
        return Meaning::Refused;
    };
    match code {
        RvError::DeviceError
        | RvError::DeviceMemory
        | RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::SlotIdInvalid
        | RvError::SessionClosed
        | RvError::SessionHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::KeyHandleInvalid
        | RvError::UserNotLoggedIn
        | RvError::OperationActive
        | RvError::CryptokiNotInitialized => Meaning::Lost,
        RvError::GeneralError | RvError::FunctionFailed => Meaning::Unclear,
        _ => Meaning::Refused,
    }
}

/// Whether the PIN is at fault: it was wrong, or too many were.
pub(crate) fn is_of_pin(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked
                | RvError::UserPinNotInitialized,
            _
        )
    )
}

/// The call and the code, by their names in PKCS#11; the library's own sentences are paragraphs.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{} said {}", call(*function), code_name(code)),
        other => other.to_string(),
    }
}

fn call(function: Function) -> String {
    format!("C_{function:?}")
}

/// `CKR_DEVICE_ERROR` of `DeviceError`.
fn code_name(code: &RvError) -> String {
    let mut name = String::from("CKR");
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
