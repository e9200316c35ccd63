//! The database, the only truth.
//!
//! - [`Store`] connects, with concerns that do not depend on the URI: primary reads of majority-committed data,
//!   journaled majority writes.
//! - [`run_tx`](tx::run_tx) is the one door for transactions.
//! - [`group`] turns many callers' writes into few: a majority write costs the same for one document as for a
//!   hundred.
//! - One repository per entity gives and takes the types of `certfleet-domain`; the documents they are kept as are
//!   in `documents`, and nothing else knows them.
//! - [`jobs`] is the queue: claims, leases, results.

mod at_hand;
mod audit;
pub mod collections;
mod connect;
mod digest;
mod documents;
mod error;
pub mod group;
pub mod jobs;
mod leadership;
mod limits;
mod metrics;
mod pool;
mod processes;
mod repositories;
mod retention;
mod rewrap;
mod store;
mod switches;
mod timetable;
mod totals;
pub mod tx;
mod vault;

pub use at_hand::NotAtHand;
pub use audit::{AuditLog, Block, Forwarded, MayGo, Sequenced, SignedCheckpoint, Trimmed};
pub use connect::ConnectSettings;
pub use error::{CommitError, Corrupt, StorageError};
pub use group::{Unit, Witness};
pub use leadership::{Leadership, SCHEDULER, Term};
pub use limits::{LimitStates, Pause, Standing};
pub use metrics::Metrics;
pub use pool::{Pool, PoolState};
pub use processes::{Process, Processes, Seen};
pub use repositories::{
    Access, Accounts, Authorities, AuthorityHealth, Authorizations, Certificates, Crls, Deliveries,
    Discoveries, EabKeys, Fleet, Inventory, Keks, KeptAnswer, NonceSpent, Nonces, Notices,
    OcspResponses, Orders, OrdersPage, SealedSecrets, Sealing, Selection, Sighting, Solvers,
    WantedManaged, Watches, Which,
};
pub use retention::{Keep, Removed, Retention};
pub use rewrap::Rewrapped;
pub use store::Store;
pub use switches::{Maintenance, SwitchBoard, Switches};
pub use timetable::{LastRun, Look, Run, Timetable};
pub use totals::{Entities, FleetTotals, Totals, Unfinished, Waiting};
pub use vault::{SecretName, Vault, VaultError};
