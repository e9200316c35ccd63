//! Sessions with tokens, logged in, kept for the next call.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use crate::access::TokenAccess;
use crate::error::{TokenError, is_of_pin, words};
use crate::module::CallError;

/// So many calls are with tokens at once; the others wait. Small devices have no more sessions than twice that.
const AT_ONCE: usize = 8;

/// The sessions of one turn of a module.
#[derive(Default)]
pub(crate) struct Sessions {
    idle: Mutex<HashMap<String, Vec<Session>>>,
    in_use: Mutex<usize>,
    given_back: Condvar,
    /// The PIN that a token refused. It is not tried again, in this turn or another, or the token locks.
    refused: Arc<Mutex<HashMap<String, Arc<Zeroizing<String>>>>>,
}

/// A session, taken; unless it is given back, it is closed.
pub(crate) struct Taken<'a> {
    sessions: &'a Sessions,
    token: &'a str,
    session: Session,
    _place: Place<'a>,
}

/// One of those that are with tokens.
struct Place<'a>(&'a Sessions);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.in_use.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.given_back.notify_one();
    }
}

impl Taken<'_> {
    pub(crate) fn get(&self) -> &Session {
        &self.session
    }

    /// For the next call.
    pub(crate) fn give_back(self) {
        let mut idle = self
            .sessions
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.entry(self.token.to_owned())
            .or_default()
            .push(self.session);
    }
}

impl Sessions {
    /// Those of the next turn: none yet.
    pub(crate) fn of_next_turn(&self) -> Self {
        Self {
            refused: Arc::clone(&self.refused),
            ..Self::default()
        }
    }

    /// A session with the token, the user logged in.
    pub(crate) fn take<'a>(
        &'a self,
        context: &Pkcs11,
        access: &TokenAccess,
        token: &'a str,
    ) -> Result<Taken<'a>, CallError> {
        let place = self.wait();
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(token)
            .and_then(Vec::pop);
        let session = match idle {
            Some(session) => session,
            None => self.open(context, access, token)?,
        };
        Ok(Taken {
            sessions: self,
            token,
            session,
            _place: place,
        })
    }

    fn wait(&self) -> Place<'_> {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let mut in_use = self
            .given_back
            .wait_while(in_use, |in_use| *in_use >= AT_ONCE)
            .unwrap_or_else(PoisonError::into_inner);
        *in_use += 1;
        Place(self)
    }

    fn open(
        &self,
        context: &Pkcs11,
        access: &TokenAccess,
        token: &str,
    ) -> Result<Session, CallError> {
        let slot = slot_of(context, token)?;
        let pin = access.read_pin().map_err(CallError::Token)?;
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if pin.is_some() && refused.get(token) == pin.as_ref() {
            let why = "it has refused this PIN, which is not tried again: correct the PIN file";
            return Err(CallError::Token(TokenError::Unavailable(format!(
                "token {token}: {why}"
            ))));
        }
        let session = context.open_rw_session(slot)?;
        let given = pin.as_ref().map(|pin| AuthPin::from(pin.as_str()));
        match session.login(UserType::User, given.as_ref()) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) if is_of_pin(&error) => {
                if let Some(pin) = pin {
                    refused.insert(token.to_owned(), pin);
                }
                Err(CallError::Token(TokenError::Unavailable(format!(
                    "token {token}: {}",
                    words(&error)
                ))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The slot that the token of this label is in.
fn slot_of(context: &Pkcs11, token: &str) -> Result<Slot, CallError> {
    let mut found = None;
    let mut labels = Vec::new();
    for slot in context.get_slots_with_initialized_token()? {
        let label = context.get_token_info(slot)?.label().to_owned();
        if label == token && found.replace(slot).is_some() {
            return Err(CallError::Token(TokenError::Refused(format!(
                "there are two tokens labelled {token}"
            ))));
        }
        labels.push(label);
    }
    found.ok_or_else(|| {
        CallError::Missing(if labels.is_empty() {
            "it is not there, and neither is any other".to_owned()
        } else {
            format!("it is not there; there are: {}", labels.join(", "))
        })
    })
}
