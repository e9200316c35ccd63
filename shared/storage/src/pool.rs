//! The connection pool, as the driver's own events tell of it.
//!
//! The driver tells when an operation begins to wait for a connection, and when it gets one or fails, but not when it is
//! given up meanwhile, as when its client has gone. So connections are kept account of one by one, and the count of those
//! who wait is put right whenever it cannot be: nobody waits while a connection lies idle.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::event::cmap::CmapEvent;
use mongodb::options::ServerAddress;
use tokio::time::Instant;

/// A connection is handed on at once to one who waits; one that has lain idle for so long is wanted by nobody.
const WANTED_BY_NOBODY: Duration = Duration::from_millis(500);

/// The pool of one store.
#[derive(Debug, Default)]
pub struct Pool {
    size: u32,
    account: Mutex<Account>,
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

#[derive(Debug, Default)]
struct Account {
    connections: HashMap<(ServerAddress, u32), Connection>,
    /// How many of these are idle, and how many in use.
    idle: u32,
    in_use: u32,
    waiting: u32,
    /// Since when there has been an idle connection without a break.
    idle_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// On its way.
    Opening,
    Idle,
    InUse,
}

enum Event<'e> {
    Waits,
    WaitsNoMore,
    Is(&'e ServerAddress, u32, Connection),
    IsGone(&'e ServerAddress, u32),
}

impl Account {
    fn note(&mut self, event: &Event<'_>, now: Instant) {
        match *event {
            Event::Waits => self.waiting += 1,
            Event::WaitsNoMore => self.waiting = self.waiting.saturating_sub(1),
            Event::Is(address, id, state) => {
                if state == Connection::InUse {
                    self.waiting = self.waiting.saturating_sub(1);
                }
                self.put((address.clone(), id), Some(state));
            }
            Event::IsGone(address, id) => {
                self.put((address.clone(), id), None);
            }
        }
        if self.idle == 0 {
            self.idle_since = None;
        } else {
            self.idle_since.get_or_insert(now);
        }
    }

    /// A connection is this from now on, or is gone.
    fn put(&mut self, connection: (ServerAddress, u32), state: Option<Connection>) {
        let before = match state {
            Some(state) => self.connections.insert(connection, state),
            None => self.connections.remove(&connection),
        };
        for (state, change) in [(before, -1), (state, 1)] {
            let count = match state {
                Some(Connection::Idle) => &mut self.idle,
                Some(Connection::InUse) => &mut self.in_use,
                Some(Connection::Opening) | None => continue,
            };
            *count = count.saturating_add_signed(change);
        }
    }

    fn state(&mut self, size: u32, now: Instant) -> PoolState {
        if self
            .idle_since
            .is_some_and(|since| now.duration_since(since) >= WANTED_BY_NOBODY)
        {
            self.waiting = 0;
        }
        PoolState {
            size,
            open: u32::try_from(self.connections.len()).unwrap_or(u32::MAX),
            in_use: self.in_use,
            waiting: self.waiting,
        }
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
        self.account().state(self.size, Instant::now())
    }

    pub(crate) fn note(&self, event: &CmapEvent) {
        use Connection::{Idle, InUse, Opening};
        let event = match event {
            CmapEvent::ConnectionCreated(of) => Event::Is(&of.address, of.connection_id, Opening),
            CmapEvent::ConnectionReady(of) => Event::Is(&of.address, of.connection_id, Idle),
            CmapEvent::ConnectionCheckedOut(of) => Event::Is(&of.address, of.connection_id, InUse),
            CmapEvent::ConnectionCheckedIn(of) => Event::Is(&of.address, of.connection_id, Idle),
            CmapEvent::ConnectionClosed(of) => Event::IsGone(&of.address, of.connection_id),
            CmapEvent::ConnectionCheckoutStarted(_) => Event::Waits,
            CmapEvent::ConnectionCheckoutFailed(_) => Event::WaitsNoMore,
            _ => return,
        };
        self.account().note(&event, Instant::now());
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 2;

    fn address() -> ServerAddress {
        ServerAddress::parse("a:1").unwrap_or_default()
    }

    #[test]
    fn who_gives_up_waiting_is_not_counted_for_ever() {
        let (address, begun) = (address(), Instant::now());
        let mut account = Account::default();
        for id in [1, 2] {
            for state in [Connection::Opening, Connection::Idle] {
                account.note(&Event::Is(&address, id, state), begun);
            }
            account.note(&Event::Waits, begun);
            account.note(&Event::Is(&address, id, Connection::InUse), begun);
        }
        // Three wait; one of them goes, of which nothing is told.
        for _ in 0..3 {
            account.note(&Event::Waits, begun);
        }
        assert_eq!(account.state(SIZE, begun + WANTED_BY_NOBODY).waiting, 3);
        account.note(&Event::WaitsNoMore, begun);
        account.note(&Event::Is(&address, 1, Connection::Idle), begun);
        account.note(&Event::Is(&address, 1, Connection::InUse), begun);
        let full = account.state(SIZE, begun + WANTED_BY_NOBODY);
        assert_eq!((full.open, full.in_use, full.waiting), (2, 2, 1));

        account.note(&Event::Is(&address, 1, Connection::Idle), begun);
        assert_eq!(account.state(SIZE, begun).waiting, 1, "it may be handed on");
        let quiet = account.state(SIZE, begun + WANTED_BY_NOBODY);
        assert_eq!((quiet.in_use, quiet.waiting), (1, 0));
    }

    #[test]
    fn a_connection_that_comes_back_without_having_been_given_out_counts_once() {
        let (address, now) = (address(), Instant::now());
        let mut account = Account::default();
        for state in [Connection::Opening, Connection::Idle, Connection::Idle] {
            account.note(&Event::Is(&address, 1, state), now);
        }
        let state = account.state(SIZE, now);
        assert_eq!((state.open, state.in_use), (1, 0));
        account.note(&Event::IsGone(&address, 1), now);
        assert_eq!(account.state(SIZE, now).open, 0);
    }
}
