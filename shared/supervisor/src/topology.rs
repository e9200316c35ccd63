//! The replica set as its members see it: initiated once, following the ports from then on, and asked about its state.

use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::Client;
use mongodb::error::{Error, ErrorKind};
use tokio::time::{Instant, sleep, timeout};

use crate::error::SupervisorError;
use crate::members::Members;
use crate::mongod::SET_NAME;

/// How long the members may take to agree on a primary. An election takes two seconds when one is lost.
pub(crate) const WRITABLE_WITHIN: Duration = Duration::from_secs(60);

/// How long the members may take to read the configuration they have, half a minute for each port that is taken by a
/// stranger included.
const CONFIGURED_WITHIN: Duration = Duration::from_secs(150);

/// Between two looks at a state that nothing announces.
const PAUSE: Duration = Duration::from_millis(50);

const NOT_YET_INITIALIZED: i32 = 94;
const ALREADY_INITIALIZED: i32 = 23;

/// Makes the members one set with the given ports, whatever was there before: nothing, a set, or a set on other ports.
/// On return, each member knows the configuration.
pub(crate) async fn converge(members: &Members) -> Result<(), SupervisorError> {
    let deadline = Instant::now() + CONFIGURED_WITHIN;
    let hosts = members.hosts().to_vec();
    loop {
        // Members close their connections, and refuse a second change during a first, when their state changes.
        match try_to_converge(&hosts).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if Instant::now() >= deadline => {
                return Err(SupervisorError::replica_set("agree on its members")(error));
            }
            Err(error) => tracing::debug!(%error, "the replica set's members do not agree yet"),
        }
        if Instant::now() >= deadline {
            return Err(SupervisorError::Unconfigured {
                within: CONFIGURED_WITHIN,
            });
        }
        sleep(PAUSE).await;
    }
}

/// One step of it: true if each member has the configuration.
async fn try_to_converge(hosts: &[String]) -> Result<bool, Error> {
    let mut configured = 0;
    let mut right = 0;
    for host in hosts {
        // A member without a configuration gets it from the others.
        let Some(configuration) = configuration(host).await? else {
            continue;
        };
        configured += 1;
        if hosts_in(&configuration) == hosts {
            right += 1;
        } else {
            move_to(hosts, host, configuration).await?;
        }
    }
    if configured == 0 {
        initiate(hosts).await?;
    }
    Ok(right == hosts.len())
}

/// A client for one member alone.
async fn direct(host: &str) -> Result<Client, Error> {
    Client::with_uri_str(format!(
        "mongodb://{host}/?directConnection=true&appName=certfleet-supervisor\
         &serverSelectionTimeoutMS=5000&connectTimeoutMS=2000"
    ))
    .await
}

async fn run(host: &str, command: Document) -> Result<Document, Error> {
    direct(host)
        .await?
        .database("admin")
        .run_command(command)
        .await
}

fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// The member's configuration, if it has one, and has read it.
async fn configuration(host: &str) -> Result<Option<Document>, Error> {
    match run(host, doc! { "replSetGetConfig": 1 }).await {
        Ok(mut reply) => Ok(match reply.remove("config") {
            Some(Bson::Document(configuration)) => Some(configuration),
            _ => None,
        }),
        Err(error) if code(&error) == Some(NOT_YET_INITIALIZED) => Ok(None),
        Err(error) => Err(error),
    }
}

fn hosts_in(configuration: &Document) -> Vec<String> {
    let Ok(members) = configuration.get_array("members") else {
        return Vec::new();
    };
    members
        .iter()
        .filter_map(|member| Some(member.as_document()?.get_str("host").ok()?.to_owned()))
        .collect()
}

/// Makes a new set, unless the first member has a configuration that it has not yet read: it then asks each address in
/// it whether that is itself, and takes half a minute for a stranger that does not answer.
async fn initiate(hosts: &[String]) -> Result<(), Error> {
    let members: Vec<Document> = (0..)
        .zip(hosts)
        .map(|(id, host): (i32, _)| doc! { "_id": id, "host": host })
        .collect();
    let configuration = doc! {
        "_id": SET_NAME,
        "members": members,
        // Elections in seconds: these members share one machine, and no network makes their heartbeats late. A new primary
        // takes no write before it has heard from all members, or their heartbeats have timed out: 10 s otherwise, for
        // which a member that hangs, and does not die, would hold up everybody.
        "settings": {
            "electionTimeoutMillis": 2000,
            "heartbeatIntervalMillis": 500,
            "heartbeatTimeoutSecs": 2,
        },
    };
    match run(&hosts[0], doc! { "replSetInitiate": configuration }).await {
        Ok(_) => Ok(()),
        Err(error) if code(&error) == Some(ALREADY_INITIALIZED) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives the members other ports, as far as this one knows. By force, as it may find neither itself nor a majority
/// under the old ones; and each is told, for one that has lost itself hears little of the others. Each gives its
/// configuration a version of its own, and the newest comes to be that of all.
async fn move_to(hosts: &[String], host: &str, mut configuration: Document) -> Result<(), Error> {
    if let Ok(list) = configuration.get_array_mut("members") {
        for (member, host) in list.iter_mut().zip(hosts) {
            if let Bson::Document(member) = member {
                member.insert("host", host);
            }
        }
    }
    let command = doc! { "replSetReconfig": configuration, "force": true };
    run(host, command).await.map(|_| ())
}

/// Waits until a majority has taken a write. The error is what the last try said.
pub(crate) async fn wait_until_writable(uri: &str) -> Result<(), String> {
    let deadline = Instant::now() + WRITABLE_WITHIN;
    let client = Client::with_uri_str(format!(
        "{uri}&appName=certfleet-supervisor&serverSelectionTimeoutMS=5000&connectTimeoutMS=2000"
    ))
    .await
    .map_err(|error| error.to_string())?;
    let database = client.database("admin");
    loop {
        // A write that leaves no document behind.
        let note = doc! {
            "appendOplogNote": 1,
            "data": { "certfleet": "start" },
            "writeConcern": { "w": "majority", "wtimeout": 5000 },
        };
        match timeout(Duration::from_secs(10), database.run_command(note)).await {
            Ok(Ok(reply)) if !reply.contains_key("writeConcernError") => return Ok(()),
            Ok(Ok(reply)) if Instant::now() >= deadline => return Err(reply.to_string()),
            Ok(Err(error)) if Instant::now() >= deadline => return Err(error.to_string()),
            Err(_) if Instant::now() >= deadline => return Err("no answer".to_owned()),
            _ => sleep(PAUSE).await,
        }
    }
}

/// Waits until each member is the primary or a secondary. The error is what the last look showed.
pub(crate) async fn wait_until_healthy(members: &Members) -> Result<(), String> {
    let deadline = Instant::now() + WRITABLE_WITHIN;
    loop {
        let states = states(members).await;
        let healthy = states
            .iter()
            .all(|state| matches!(state.as_str(), "PRIMARY" | "SECONDARY"));
        if healthy && states.iter().any(|state| state == "PRIMARY") {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(states.join(", "));
        }
        sleep(PAUSE).await;
    }
}

/// The place of the primary, if there is one.
pub(crate) async fn primary(members: &Members) -> Option<usize> {
    states(members)
        .await
        .iter()
        .position(|state| state == "PRIMARY")
}

/// What each member says of itself, `unreachable` included.
async fn states(members: &Members) -> Vec<String> {
    let looks = members
        .hosts()
        .map(|host| async move { state(&host).await });
    futures_util::future::join_all(looks).await
}

async fn state(host: &str) -> String {
    let unreachable = || "unreachable".to_owned();
    let status = run(host, doc! { "replSetGetStatus": 1 });
    // A member that hangs (SIGSTOP) takes connections and answers nothing.
    let Ok(Ok(status)) = timeout(Duration::from_secs(2), status).await else {
        return unreachable();
    };
    let Ok(list) = status.get_array("members") else {
        return unreachable();
    };
    list.iter()
        .filter_map(Bson::as_document)
        .find(|member| member.get_bool("self").unwrap_or_default())
        .and_then(|member| member.get_str("stateStr").ok())
        .map_or_else(unreachable, str::to_owned)
}
