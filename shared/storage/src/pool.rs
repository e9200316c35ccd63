//! The connection pool, as the driver's own events tell of it.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use mongodb::event::cmap::CmapEvent;

/// The pool of one store.
#[derive(Debug, Default)]
pub struct Pool {
    size: u32,
    open: AtomicI64,
    in_use: AtomicI64,
    waiting: AtomicI64,
}

/// How a pool stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// The most connections to one member.
    pub size: u32,
    /// Connections that are open, to all members.
    pub open: u32,
    /// Connections that an operation holds.
    pub in_use: u32,
    /// Operations that wait for a connection.
    pub waiting: u32,
}

impl PoolState {
    /// Connections that could be had at once, those that would have to be opened among them.
    pub fn available(self) -> u32 {
        self.size.saturating_sub(self.in_use)
    }
}

impl Pool {
    pub(crate) fn new(size: u32) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    /// How it stands now.
    pub fn state(&self) -> PoolState {
        let count = |gauge: &AtomicI64| u32::try_from(gauge.load(Relaxed)).unwrap_or(0);
        PoolState {
            size: self.size,
            open: count(&self.open),
            in_use: count(&self.in_use),
            waiting: count(&self.waiting),
        }
    }

    pub(crate) fn note(&self, event: &CmapEvent) {
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
