//! `certfleet inspect account`.

use certfleet_domain::{
    Account, AccountId, AccountStatus, Clock, Order, OrderStatus, SystemClock, Timestamp,
};
use certfleet_storage::Store;
use serde::Serialize;

use super::word;
use crate::failure::Failure;
use crate::output::{Output, Sheet, joined, moment, moment_or_none};

/// How many of an account's orders are shown.
const ORDERS: usize = 50;

#[derive(Debug, Serialize)]
struct AccountView {
    id: String,
    status: AccountStatus,
    authority: String,
    contacts: Vec<String>,
    thumbprint: String,
    /// The key that bound it, if one did.
    eab_key: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
    #[serde(with = "time::serde::rfc3339::option")]
    terms_agreed_at: Option<Timestamp>,
    orders: Vec<OrderLine>,
    more_orders: bool,
}

#[derive(Debug, Serialize)]
struct OrderLine {
    id: String,
    status: OrderStatus,
    identifiers: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
}

/// Shows an account.
pub async fn run(store: &Store, id: AccountId, out: Output) -> Result<(), Failure> {
    let account = store.accounts.find(id).await?;
    let account = account.ok_or_else(|| Failure::not_found("account", id))?;
    let page = store.orders.page(id, None, ORDERS).await?;
    let mut orders = Vec::new();
    for order in page.orders {
        orders.push(line(store, &order).await?);
    }
    let view = AccountView::of(account, orders, page.more);
    out.show(&view, |sheet| view.write(sheet))
}

/// An order in a line.
async fn line(store: &Store, order: &Order) -> Result<OrderLine, Failure> {
    let authorizations = store.authorizations.find_all(&order.authorizations).await?;
    Ok(OrderLine {
        id: order.id.to_string(),
        status: order.status(&authorizations, SystemClock.now()),
        identifiers: order.identifiers.iter().map(ToString::to_string).collect(),
        created_at: order.created_at,
    })
}

impl AccountView {
    fn of(account: Account, orders: Vec<OrderLine>, more_orders: bool) -> Self {
        Self {
            id: account.id.to_string(),
            status: account.status,
            authority: account.authority.to_string(),
            contacts: account.contacts.iter().map(ToString::to_string).collect(),
            thumbprint: account.thumbprint,
            eab_key: account.eab_key.map(|key| key.to_string()),
            created_at: account.created_at,
            terms_agreed_at: account.terms_agreed_at,
            orders,
            more_orders,
        }
    }

    fn write(&self, sheet: &mut Sheet) {
        sheet.title(format_args!("Account {}", self.id));
        sheet.pairs([
            ("status", self.status.name().to_owned()),
            ("authority", self.authority.clone()),
            ("contacts", joined(&self.contacts)),
            ("key", self.thumbprint.clone()),
            ("bound by", self.eab_key.clone().unwrap_or_default()),
            ("created", moment(self.created_at)),
            ("terms agreed", moment_or_none(self.terms_agreed_at)),
        ]);
        if self.orders.is_empty() {
            return;
        }
        sheet.title("Orders");
        let rows = self.orders.iter().map(|order| {
            [
                order.id.clone(),
                word(&order.status),
                moment(order.created_at),
                joined(&order.identifiers),
            ]
        });
        sheet.table(["id", "status", "created", "names"], rows);
        if self.more_orders {
            sheet.line(format_args!("  and more: these are the {ORDERS} oldest"));
        }
    }
}
