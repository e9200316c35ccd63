//! `limits`: how much of something is let through. All are off unless they are given; SIGHUP changes them at once.

use std::time::Duration;

use certfleet_domain::{Limit, Rate};
use serde::Deserialize;

use super::section::Section;
use super::text::{FromText, text};

/// What stands for no limit.
const OFF: &str = "off";

/// How much of something is let through, over all replicas together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// New accounts from one IPv4 address or IPv6 /48.
    #[serde(deserialize_with = "text")]
    pub accounts_per_address: Option<Rate>,
    /// New orders, and pre-authorizations, of one account.
    #[serde(deserialize_with = "text")]
    pub orders_per_account: Option<Rate>,
    /// Orders with a name in one registered domain.
    #[serde(deserialize_with = "text")]
    pub orders_per_domain: Option<Rate>,
    /// Orders for exactly the same names.
    #[serde(deserialize_with = "text")]
    pub orders_per_name_set: Option<Rate>,
    /// Failed validations of one name for one account.
    #[serde(deserialize_with = "text")]
    pub failed_validations: Option<Rate>,
    /// After how many failures in a row a name is paused for an account, until that is lifted.
    #[serde(deserialize_with = "text")]
    pub pause_after: Option<u32>,
}

impl Limits {
    /// The rate of a limit, if it is on.
    pub fn rate(&self, limit: Limit) -> Option<Rate> {
        match limit {
            Limit::AccountsPerAddress => self.accounts_per_address,
            Limit::OrdersPerAccount => self.orders_per_account,
            Limit::OrdersPerDomain => self.orders_per_domain,
            Limit::OrdersPerNameSet => self.orders_per_name_set,
            Limit::FailedValidations => self.failed_validations,
        }
    }
}

impl Section for Limits {
    const NAME: &'static str = "limits";
}

/// `off`, or so many per time: `300/3h`.
impl FromText for Option<Rate> {
    fn from_text(text: &str) -> Result<Self, String> {
        if text == OFF {
            return Ok(None);
        }
        let wrong = |why: &str| {
            format!("{text:?} is neither off nor so many per time, such as 300/3h: {why}")
        };
        let (count, period) = text
            .split_once('/')
            .ok_or_else(|| wrong("there is no / in it"))?;
        let count = count
            .trim()
            .parse()
            .map_err(|_| wrong("before the / a whole number is due"))?;
        let period = Duration::from_text(period.trim()).map_err(|why| wrong(&why))?;
        let rate = Rate::new(count, period).map_err(|why| wrong(&why.to_string()))?;
        Ok(Some(rate))
    }
}

/// A rate as settings have it, such as `300/3h`: for command lines.
///
/// # Errors
/// Says what is due.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let rate = Option::<Rate>::from_text(text)?;
    rate.ok_or_else(|| "so many per time are due, such as 300/3h".to_owned())
}

/// `off`, or a number of failures.
impl FromText for Option<u32> {
    fn from_text(text: &str) -> Result<Self, String> {
        if text == OFF {
            return Ok(None);
        }
        match text.parse() {
            Ok(count) if count > 0 => Ok(Some(count)),
            _ => Err(format!(
                "{text:?} is neither off nor a number of failures from 1"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates() {
        let rate = |text| Option::<Rate>::from_text(text);
        assert_eq!(rate("off"), Ok(None));
        let three_hours = Duration::from_secs(10_800);
        assert_eq!(rate("300/3h"), Ok(Rate::new(300, three_hours).ok()));
        assert_eq!(rate("300 / 3h"), rate("300/3h"));
        for bad in [
            "", "on", "300", "0/3h", "300/", "/3h", "-1/3h", "300/0s", "3.5/1h", "1/2/3s",
        ] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert_eq!(Option::<u32>::from_text("off"), Ok(None));
        assert_eq!(Option::<u32>::from_text("3"), Ok(Some(3)));
        assert!(Option::<u32>::from_text("0").is_err());
    }

    proptest! {
        #[test]
        fn rates_read_back(count in 1_u32..=1_000_000, milliseconds in 1_000_u64..31_000_000_000) {
            let rate = Rate::new(count, Duration::from_millis(milliseconds)).unwrap();
            prop_assert_eq!(Option::<Rate>::from_text(&rate.to_string()), Ok(Some(rate)));
        }

        #[test]
        fn no_text_makes_a_rate_panic(text in ".{0,30}") {
            let _ = Option::<Rate>::from_text(&text);
        }
    }
}
