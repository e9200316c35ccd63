//! The database: three mongods of the cluster's own, or a replica set that runs already.

use std::path::Path;

use certfleet_data_kit::store;
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_migrations::migrate;
use certfleet_service_kit::settings::CliSettings;
use certfleet_storage::Store;
use certfleet_supervisor::{Cluster, Mongo, MongodBinary, MongodOptions};
use prometheus::Registry;

use super::args::UpArgs;
use crate::failure::Failure;

/// Where `scripts/get-mongod` puts it.
const TOOLS: &str = ".certfleet/tools";

/// Finds the database, or the program that makes one.
pub async fn find(args: &UpArgs) -> Result<(Mongo, String), Failure> {
    if let Some(uri) = &args.mongo_uri {
        return Ok((
            Mongo::External(uri.clone()),
            "one that runs already".to_owned(),
        ));
    }
    let own = args.data.join("tools");
    let tools = if own.join("mongod").is_file() {
        own.as_path()
    } else {
        Path::new(TOOLS)
    };
    let binary = MongodBinary::find(args.mongod.as_deref(), tools).await?;
    let detail = format!("{} at {}", binary.version(), binary.path().display());
    Ok((Mongo::Own(binary, MongodOptions::default()), detail))
}

/// Takes the data directory and starts the database.
pub async fn open(args: &UpArgs, mongo: Mongo) -> Result<(Cluster, String), Failure> {
    let cluster = Cluster::open(&args.data, mongo).await?;
    let detail = match cluster.replica_set() {
        Some(set) => {
            let ports: Vec<_> = set.members().iter().map(|m| m.port().to_string()).collect();
            format!("three members on 127.0.0.1, ports {}", ports.join(", "))
        }
        None => "not of this command's own".to_owned(),
    };
    Ok((cluster, detail))
}

/// Connects, and brings the schema up to date.
pub async fn prepare(settings: &CliSettings) -> Result<(Store, String), Failure> {
    let store = store(&settings.database, "certfleet-up", &Registry::new()).await?;
    store.ping().await.map_err(|error| {
        let uri = &settings.database.uri;
        anyhow::Error::new(error).context(format!("the database at {uri} does not answer"))
    })?;
    let me = ServerId::generate(&SystemClock, &mut SystemRng);
    let applied = migrate(&store, me).await?;
    let detail = match applied.len() {
        0 => "up to date".to_owned(),
        1 => "1 step applied".to_owned(),
        steps => format!("{steps} steps applied"),
    };
    Ok((store, detail))
}
