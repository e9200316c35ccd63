//! What a state machine answers to a step that its state does not allow.

/// A step that the entity's state does not allow; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entity} {id} is {state}: it cannot be {step}")]
pub struct InvalidTransition {
    /// What kind of thing it is: `order`, `authorization`, ...
    pub entity: &'static str,
    /// Its id.
    pub id: String,
    /// The state it is in.
    pub state: &'static str,
    /// What was asked of it: `finalized`, `revoked`, ...
    pub step: &'static str,
}
