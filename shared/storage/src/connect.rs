//! Connecting, with every setting that matters set here and not left to the URI.

use std::time::Duration;

use mongodb::Client;
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};

use crate::error::StorageError;

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

/// The state of the connection pool to all members together, from the driver's own events.
#[derive(Debug, Default)]
pub struct PoolGauges {
    open: std::sync::atomic::AtomicI64,
    in_use: std::sync::atomic::AtomicI64,
    waiting: std::sync::atomic::AtomicI64,
}

/// The pool of this process: it has one client.
pub static POOL: PoolGauges = PoolGauges {
    open: std::sync::atomic::AtomicI64::new(0),
    in_use: std::sync::atomic::AtomicI64::new(0),
    waiting: std::sync::atomic::AtomicI64::new(0),
};

impl PoolGauges {
    /// Connections that are open.
    pub fn open(&self) -> i64 {
        self.open.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Connections that an operation holds.
    pub fn in_use(&self) -> i64 {
        self.in_use.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Operations that wait for a connection.
    pub fn waiting(&self) -> i64 {
        self.waiting.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn note(&self, event: &CmapEvent) {
        use std::sync::atomic::Ordering::Relaxed;
        match event {
            CmapEvent::ConnectionCreated(_) => {
                self.open.fetch_add(1, Relaxed);
            }
            CmapEvent::ConnectionClosed(_) => {
                self.open.fetch_sub(1, Relaxed);
            }
            CmapEvent::ConnectionCheckoutStarted(_) => {
                self.waiting.fetch_add(1, Relaxed);
            }
            CmapEvent::ConnectionCheckoutFailed(_) => {
                self.waiting.fetch_sub(1, Relaxed);
            }
            CmapEvent::ConnectionCheckedOut(_) => {
                self.waiting.fetch_sub(1, Relaxed);
                self.in_use.fetch_add(1, Relaxed);
            }
            CmapEvent::ConnectionCheckedIn(_) => {
                self.in_use.fetch_sub(1, Relaxed);
            }
            _ => {}
        }
    }
}

/// A client with our concerns: primary reads of majority-committed data, journaled majority writes, retries on.
pub(crate) async fn client(settings: &ConnectSettings) -> Result<Client, StorageError> {
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
    options.cmap_event_handler = Some(EventHandler::callback(|event| POOL.note(&event)));
    Ok(Client::with_options(options)?)
}

/// The one write concern there is.
pub(crate) fn majority() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}
