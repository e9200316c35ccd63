//! One replica set of three members for all tests: that of `CERTFLEET_TEST_MONGO_URI`, or this process's own.

use std::path::{Path, PathBuf};
use std::process::Child;

use certfleet_supervisor::{Cluster, Mongo, MongodBinary, MongodOptions, Signal};
use tokio::sync::OnceCell;

use crate::janitor;

/// Kept until the process ends; the members die with it, and the janitor removes the data.
struct Own {
    cluster: Cluster,
    _janitor: Child,
}

/// The connection string of a replica set that takes writes.
///
/// `certfleet-replica-set DIRECTORY cargo test` sets `CERTFLEET_TEST_MONGO_URI` for all the test programs of a run;
/// without it, each test program starts a set when its first test asks, which takes a few seconds.
pub async fn mongo_uri() -> &'static str {
    static SHARED: OnceCell<Option<String>> = OnceCell::const_new();
    static OWN: OnceCell<Own> = OnceCell::const_new();
    let shared = SHARED
        .get_or_init(async || std::env::var("CERTFLEET_TEST_MONGO_URI").ok())
        .await;
    match shared {
        Some(uri) => uri,
        None => OWN.get_or_init(start).await.cluster.mongo_uri(),
    }
}

/// Where `scripts/get-mongod` and `scripts/get-test-tools` put what they get.
pub fn tools_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.certfleet/tools")
}

async fn start() -> Own {
    let mongod = match MongodBinary::find(None, &tools_directory()).await {
        Ok(mongod) => mongod,
        Err(error) => panic!("{error}"),
    };
    let directory = tempfile::Builder::new()
        .prefix("certfleet-test-")
        .tempdir()
        .expect("no temporary directory can be made")
        .keep();
    let directory = directory.canonicalize().unwrap();
    let janitor = janitor::watch(&directory);
    let options = MongodOptions {
        // Nothing in them is needed once the tests are over.
        when_orphaned: Signal::SIGKILL,
        test_commands: true,
        ..MongodOptions::default()
    };
    match Cluster::open(&directory, Mongo::Own(mongod, options)).await {
        Ok(cluster) => Own {
            cluster,
            _janitor: janitor,
        },
        Err(error) => panic!("{error}"),
    }
}
