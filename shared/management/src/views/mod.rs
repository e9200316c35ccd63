//! What is shown of the fleet, on the command line (`--json`) and by the REST API alike. Nothing secret is in it.

mod access;
mod certificate;
mod discovery;
mod hosts;
mod notice;
mod upstream;

pub use access::{GrantView, ProjectView, TokenView};
pub use certificate::{CertificateView, PlacementView, VersionView, WatchView};
pub use discovery::DiscoveryView;
pub use hosts::{AgentView, FileView, TargetView};
pub use notice::NoticeView;
pub use upstream::{LimitsView, SolverView, UpstreamView};

fn texts(all: &[impl ToString]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}
