//! What a drill is, and how one is run.

use std::path::PathBuf;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::drills;
use crate::figures::Figures;

/// How much of a drill is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Enough to see that it works: for `make test`.
    Short,
    /// All that is promised.
    Whole,
}

impl Scale {
    /// One number or the other.
    pub fn of<T>(self, short: T, whole: T) -> T {
        match self {
            Self::Short => short,
            Self::Whole => whole,
        }
    }
}

/// What a run is given.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How much is done.
    pub scale: Scale,
    /// What chance starts from.
    pub seed: u64,
    /// Where the programs of a former build are, for the drill that goes from one to the other.
    pub former: Option<PathBuf>,
}

macro_rules! drills {
    ($($(#[doc = $what:literal])+ $variant:ident = $name:literal by $run:path,)*) => {
        /// A drill.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Drill {
            $($(#[doc = $what])+ $variant,)*
        }

        impl Drill {
            /// All of them, in the order in which they are run.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it does, in a sentence.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($what),+).trim_ascii(),)*
                }
            }

            /// Runs it. Fails if anything was not as it must be.
            pub fn run(self, setting: Setting) -> BoxFuture<'static, Result<Figures>> {
                match self {
                    $(Self::$variant => Box::pin($run(setting)),)*
                }
            }
        }
    };
}

drills! {
    /// Workers are killed at every crash point, again and again, then API replicas and schedulers at theirs.
    CrashPoints = "crash-points" by drills::crash_points::run,
    /// Workers are paused with work in their hands until others have done it, and wake up.
    PausedWorkers = "paused-workers" by drills::paused_workers::run,
    /// Workers and API replicas are killed by the clock, beside each other, and the primary with them.
    Kills = "kills" by drills::kills::run,
    /// The primary is killed, paused, and told to step down.
    Primary = "primary" by drills::primary::run,
    /// The primary is cut off: from the other members, and from everybody. Needs root and nft.
    Partition = "partition" by drills::partition::run,
    /// The KEK is rotated to and fro under load, and workers are killed while they seal anew.
    Rotation = "rotation" by drills::rotation::run,
    /// Certificates are revoked while the workers that sign CRLs and OCSP answers are killed, and paused with old lists.
    Revocation = "revocation" by drills::revocation::run,
    /// The leading scheduler is killed, told to go, paused past its lease, and has a clock that is wrong by 120 s.
    Leader = "leader" by drills::leader::run,
    /// Each process of each service is restarted in turn, and no request may fail.
    RollingRestart = "rolling-restart" by drills::rolling_restart::run,
    /// The former build (--former) is replaced by this one, part by part, and no request may fail.
    Upgrade = "upgrade" by drills::upgrade::run,
    /// A whole zone is gone for a while: one mongod, API replica, worker and scheduler at once.
    Zone = "zone" by drills::zone::run,
    /// The disk of the primary is full for a while. Needs root.
    DiskFull = "disk-full" by drills::disk_full::run,
}

impl Drill {
    /// Whether it is run when none is named. The set is to end within half an hour.
    pub fn is_of_the_set(self) -> bool {
        !matches!(self, Self::Rotation | Self::Revocation)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_and_says_what_it_does() {
        let names: BTreeSet<&str> = Drill::ALL.iter().map(|drill| drill.name()).collect();
        assert_eq!(names.len(), Drill::ALL.len());
        for drill in Drill::ALL {
            let about = drill.about();
            assert!(about.ends_with('.') && !about.starts_with(' '), "{about:?}");
        }
    }
}
