//! Connecting, with every setting that matters set here and not left to the URI.

use std::sync::Arc;
use std::time::Duration;

use mongodb::Client;
use mongodb::event::EventHandler;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};

use crate::error::StorageError;
use crate::pool::Pool;

/// How to reach the database.
#[derive(Clone)]
pub struct ConnectSettings {
    /// The connection string. May hold a password: it is never logged.
    pub uri: String,
    /// The database's name.
    pub database: String,
    /// The most connections to one member, 1 or more.
    pub max_pool_size: u32,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an operation waits for a primary.
    pub server_selection_timeout: Duration,
    /// How often members are looked at; the driver's least is 500 ms.
    pub heartbeat: Duration,
    /// The name shown in the server's log.
    pub app_name: String,
}

/// A client with our concerns: primary reads of majority-committed data, journaled majority writes, retries on.
pub(crate) async fn client(
    settings: &ConnectSettings,
    pool: &Arc<Pool>,
) -> Result<Client, StorageError> {
    let mut options = ClientOptions::parse(&settings.uri).await?;
    options.app_name = Some(settings.app_name.clone());
    options.max_pool_size = Some(settings.max_pool_size);
    options.connect_timeout = Some(settings.connect_timeout);
    options.server_selection_timeout = Some(settings.server_selection_timeout);
    options.heartbeat_freq = Some(settings.heartbeat);
    options.retry_reads = Some(true);
    options.retry_writes = Some(true);
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.write_concern = Some(majority());
    let pool = Arc::clone(pool);
    options.cmap_event_handler = Some(EventHandler::callback(move |event| pool.note(&event)));
    Ok(Client::with_options(options)?)
}

/// The one write concern there is.
pub(crate) fn majority() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}
