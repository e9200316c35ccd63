//! The services, as processes.

use std::ffi::OsString;
use std::path::Path;

use certfleet_supervisor::{Cluster, ServiceSpec};

use super::args::UpArgs;
use super::ports::{free_port, loopback};
use super::programs::Programs;
use super::settings::Environment;
use crate::failure::Failure;

/// Starts workers and schedulers, and waits until they are ready.
pub async fn start_workers(
    cluster: &mut Cluster,
    args: &UpArgs,
    programs: &Programs,
    shared: &Environment,
) -> Result<String, Failure> {
    let directory = cluster.directory().to_owned();
    let mut specs = Vec::new();
    for index in 0..args.worker {
        specs.push(spec("worker", index, &programs.worker, shared, &directory)?);
    }
    for index in 0..args.scheduler {
        specs.push(spec(
            "scheduler",
            index,
            &programs.scheduler,
            shared,
            &directory,
        )?);
    }
    cluster.start_services(specs).await?;
    Ok(format!(
        "{}, {}",
        several(args.worker, "worker", "workers"),
        several(args.scheduler, "scheduler", "schedulers")
    ))
}

/// Starts the API's processes, and waits until they are ready. The first start takes a worker: their certificate is
/// issued like any other.
pub async fn start_apis(
    cluster: &mut Cluster,
    args: &UpArgs,
    programs: &Programs,
    shared: &Environment,
) -> Result<String, Failure> {
    let directory = cluster.directory().to_owned();
    let specs = (0..args.api)
        .map(|index| spec("api", index, &programs.api, shared, &directory))
        .collect::<Result<_, _>>()?;
    cluster.start_services(specs).await?;
    Ok(format!(
        "{} on 127.0.0.1:{}",
        several(args.api, "process", "processes"),
        args.port
    ))
}

fn spec(
    service: &str,
    index: u32,
    program: &Path,
    shared: &Environment,
    directory: &Path,
) -> Result<ServiceSpec, Failure> {
    let management = loopback(free_port()?);
    let state = directory.join("state").join(format!("{service}-{index}"));
    let own = [
        ("CERTFLEET_MANAGEMENT_LISTEN", management.to_string().into()),
        ("CERTFLEET_STATE_DIR", state.into_os_string()),
    ];
    let shared = shared
        .iter()
        .map(|(name, value)| (*name, OsString::from(value)));
    Ok(ServiceSpec {
        service: service.to_owned(),
        index,
        program: program.to_owned(),
        args: Vec::new(),
        env: shared
            .chain(own)
            .map(|(name, value)| (name.into(), value))
            .collect(),
        management,
    })
}

fn several(count: u32, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
