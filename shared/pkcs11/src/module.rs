//! A loaded module. There is one per path in a process, because `C_Initialize` is the whole process's.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::Session;
use tokio::time::Instant;

use crate::access::TokenAccess;
use crate::error::{Meaning, TokenError, meaning, words};
use crate::sessions::Sessions;

/// A module is not begun anew more often: while a token is away, the calls that wait for it would do nothing else.
const RENEWED_AFTER: Duration = Duration::from_secs(1);

static MODULES: LazyLock<Mutex<HashMap<PathBuf, Arc<Module>>>> = LazyLock::new(Mutex::default);

/// A module, loaded when it is first needed.
pub(crate) struct Module {
    path: PathBuf,
    live: RwLock<Option<Live>>,
}

/// A module between `C_Initialize` and `C_Finalize`.
struct Live {
    context: Pkcs11,
    sessions: Sessions,
    turn: Turn,
    begun: Instant,
}

/// How often the module was begun: handles of objects are good for one turn.
pub(crate) type Turn = u64;

/// What it means when a token answers by a code that it has for whatever it has no other for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// That it is lost: the call is not one that is refused.
    IsLost,
    /// That it is lost, or refuses: the caller finds out which.
    MayBeRefusal,
}

/// Why a call did not come back with an answer.
pub(crate) enum Failed {
    /// As the caller is to be told.
    With(TokenError),
    /// It may be the token, or the call; only where that was asked for.
    Unclear(String),
}

impl Failed {
    /// For whoever cannot find out which: the token is away.
    pub(crate) fn if_clear(self) -> TokenError {
        match self {
            Self::With(error) => error,
            Self::Unclear(why) => TokenError::Unavailable(why),
        }
    }
}

/// What a session was used for without success.
enum Trouble {
    /// The sessions of this turn are of no more use.
    Lost(Turn, TokenError),
    Failed(Failed),
}

impl Module {
    /// The module at this path.
    pub(crate) fn at(path: &Path) -> Arc<Self> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        let module = modules.entry(path.to_owned()).or_insert_with(|| {
            Arc::new(Self {
                path: path.to_owned(),
                live: RwLock::default(),
            })
        });
        Arc::clone(module)
    }

    /// Makes a call in a session with a token; once more, in a new one, if the token was lost.
    pub(crate) fn call<T>(
        &self,
        access: &TokenAccess,
        token: &str,
        unclear: Unclear,
        act: impl Fn(&Session, Turn) -> Result<T, CallError>,
    ) -> Result<T, Failed> {
        match self.once(access, token, unclear, &act) {
            Ok(answer) => Ok(answer),
            Err(Trouble::Failed(failed)) => Err(failed),
            Err(Trouble::Lost(turn, why)) => {
                tracing::warn!(token, error = %why, "a token was lost: trying once more");
                self.renew(turn);
                self.once(access, token, unclear, &act)
                    .map_err(|trouble| match trouble {
                        Trouble::Lost(_, error) => Failed::With(error),
                        Trouble::Failed(failed) => failed,
                    })
            }
        }
    }

    fn once<T>(
        &self,
        access: &TokenAccess,
        token: &str,
        unclear: Unclear,
        act: &impl Fn(&Session, Turn) -> Result<T, CallError>,
    ) -> Result<T, Trouble> {
        let guard = self.live()?;
        let Some(live) = guard.as_ref() else {
            // Ended by another thread between the two.
            let why = TokenError::Unavailable(format!("{}: it is begun anew", self.path.display()));
            return Err(Trouble::Failed(Failed::With(why)));
        };
        let unavailable = |why: String| TokenError::Unavailable(format!("token {token}: {why}"));
        let lost = |why: String| Trouble::Lost(live.turn, unavailable(why));
        let with = |error: TokenError| Trouble::Failed(Failed::With(error));
        let session = match live.sessions.take(&live.context, access, token) {
            Ok(session) => session,
            Err(CallError::Token(error)) => return Err(with(error)),
            Err(CallError::Missing(why)) => return Err(lost(why)),
            Err(CallError::Call(error)) => return Err(lost(words(&error))),
        };
        let error = match act(session.get(), live.turn) {
            Ok(answer) => {
                session.give_back();
                return Ok(answer);
            }
            Err(error) => error,
        };
        Err(match error {
            CallError::Token(error) => {
                session.give_back();
                with(error)
            }
            CallError::Missing(why) => lost(why),
            CallError::Call(error) => match meaning(&error) {
                Meaning::Unclear if unclear == Unclear::IsLost => lost(words(&error)),
                Meaning::Lost => lost(words(&error)),
                Meaning::Unclear => {
                    Trouble::Failed(Failed::Unclear(format!("token {token}: {}", words(&error))))
                }
                Meaning::Refused => {
                    session.give_back();
                    with(TokenError::Refused(format!(
                        "token {token}: {}",
                        words(&error)
                    )))
                }
            },
        })
    }

    /// The module, begun.
    fn live(&self) -> Result<RwLockReadGuard<'_, Option<Live>>, Trouble> {
        let guard = self.live.read().unwrap_or_else(PoisonError::into_inner);
        if guard.is_some() {
            return Ok(guard);
        }
        drop(guard);
        let mut writing = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if writing.is_none() {
            let failed = |error: Error| {
                let why = format!("PKCS#11 module {}: {}", self.path.display(), words(&error));
                Trouble::Failed(Failed::With(TokenError::Unavailable(why)))
            };
            let context = Pkcs11::new(&self.path).map_err(failed)?;
            begin(&context).map_err(failed)?;
            *writing = Some(Live {
                context,
                sessions: Sessions::default(),
                turn: 1,
                begun: Instant::now(),
            });
        }
        drop(writing);
        Ok(self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the module's turn and begins another, unless somebody has since, or that was just now. A client of a token on the
    /// network finds its server again by nothing less.
    pub(crate) fn renew(&self, turn: Turn) {
        let mut writing = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let Some(live) = writing.as_mut() else { return };
        if live.turn != turn || live.begun.elapsed() < RENEWED_AFTER {
            return;
        }
        live.sessions = live.sessions.of_next_turn();
        if let Err(error) = live.context.clone().finalize() {
            tracing::warn!(module = %self.path.display(), error = words(&error), "it does not end");
        }
        if let Err(error) = begin(&live.context) {
            tracing::warn!(module = %self.path.display(), error = words(&error), "it does not begin");
        }
        live.turn += 1;
        live.begun = Instant::now();
    }
}

fn begin(context: &Pkcs11) -> Result<(), Error> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}

/// Why something in a session failed.
pub(crate) enum CallError {
    /// A call did.
    Call(Error),
    /// Something that is to be there is not, and may be once the module looks again.
    Missing(String),
    /// It is plain what to tell the caller.
    Token(TokenError),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}
