use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use certfleet_agent_protocol::{File, KeyPem};
use certfleet_domain::{FileContent, PlacementId, SystemClock, SystemRng, VersionId};
use tempfile::TempDir;

use super::*;

/// A host with a directory that may be written to, and commands.
struct Host {
    home: TempDir,
    state: State,
    delivering: Delivering,
}

impl Host {
    /// The commands are shell lines, run in its home.
    fn new(commands: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().display();
        let mut text = format!(
            "state: {root}/state\ndirectories: [{root}/tls]\ncommand_seconds: 1\nprobe_seconds: 1\ncommands:\n"
        );
        for (name, line) in commands {
            let line = serde_json::to_string(&format!("cd {root}; {line}")).unwrap();
            writeln!(text, "  {name}: [/bin/sh, -c, {line}]").unwrap();
        }
        if commands.is_empty() {
            text.push_str("  {}\n");
        }
        fs::write(home.path().join("agent.yaml"), text).unwrap();
        fs::create_dir(home.path().join("tls")).unwrap();
        let settings = Settings::read(&home.path().join("agent.yaml")).unwrap();
        Self {
            state: State::open(&settings.state).unwrap(),
            delivering: Delivering::new(settings).unwrap(),
            home,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("tls").join(name)
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn item(&self, name: &str, chain: &str, reload: Option<&str>) -> Item {
        let file = |end: &str, content, mode| File {
            path: self.path(&format!("{name}.{end}")).display().to_string(),
            content,
            mode,
            owner: None,
        };
        Item {
            placement: PlacementId::generate(&SystemClock, &mut SystemRng),
            version: VersionId::generate(&SystemClock, &mut SystemRng),
            target: "web".parse().unwrap(),
            served_name: name.to_owned(),
            files: vec![
                file("pem", FileContent::Chain, 0o644),
                file("both", FileContent::ChainAndKey, 0o640),
            ],
            reload: reload.map(|name| name.parse().unwrap()),
            probe: None,
            chain: chain.to_owned(),
            key: KeyPem::from_pkcs8(b"key"),
        }
    }

    async fn deliver(&self, items: Vec<Item>) -> Vec<Outcome> {
        let placements: Vec<PlacementId> = items.iter().map(|item| item.placement).collect();
        let reports = self
            .delivering
            .deliver(&self.state, Delivery { items })
            .await;
        assert_eq!(reports.len(), placements.len());
        assert!(
            !self.state.path("journal.json").exists(),
            "a group is still under way"
        );
        let of = |id| {
            reports
                .iter()
                .find(|report| report.placement == id)
                .unwrap()
        };
        placements
            .into_iter()
            .map(|id| of(id).outcome.clone())
            .collect()
    }
}

fn why(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { why } => why,
        Outcome::Placed { .. } => panic!("it should have failed"),
    }
}

const PLACED: Outcome = Outcome::Placed { seen: false };

#[tokio::test]
async fn all_is_written_and_the_command_is_run_once_and_told_of_all() {
    let host = Host::new(&[("reload", "cat >> told; echo >> told")]);
    let items = vec![
        host.item("a", "chain a", Some("reload")),
        host.item("b", "chain b\n", Some("reload")),
    ];
    assert_eq!(host.deliver(items).await, [PLACED, PLACED]);
    assert_eq!(host.read("a.pem").unwrap(), "chain a");
    let key = KeyPem::from_pkcs8(b"key");
    assert_eq!(
        host.read("a.both").unwrap(),
        format!("chain a\n{}", key.expose())
    );
    assert_eq!(
        host.read("b.both").unwrap(),
        format!("chain b\n{}", key.expose())
    );
    let mode = |name: &str| fs::metadata(host.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("a.pem"), mode("a.both")), (0o644, 0o640));
    let told = fs::read_to_string(host.home.path().join("told")).unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let told: serde_json::Value = serde_json::from_str(told[0]).unwrap();
    assert_eq!(told[1]["name"], "b");
    assert_eq!(
        told[1]["files"][0],
        host.path("b.pem").display().to_string()
    );
}

#[tokio::test]
async fn a_command_that_fails_or_hangs_leaves_all_as_it_was() {
    let host = Host::new(&[
        ("fails", "echo run >> runs; echo out of order >&2; exit 7"),
        ("hangs", "sleep 60"),
        ("dies", "kill -9 $$"),
    ]);
    fs::write(host.path("a.pem"), "former").unwrap();
    for (command, told) in [
        ("fails", "out of order"),
        ("hangs", "killed"),
        ("dies", "signal: 9"),
    ] {
        let items = vec![
            host.item("a", "new", Some(command)),
            host.item("b", "new", Some(command)),
        ];
        let outcomes = host.deliver(items).await;
        assert!(
            outcomes.iter().all(|outcome| why(outcome).contains(told)),
            "{outcomes:?}"
        );
        assert_eq!(host.read("a.pem").unwrap(), "former");
        assert_eq!((host.read("a.both"), host.read("b.pem")), (None, None));
    }
    // Once for what is new, and once for what was there before.
    let runs = fs::read_to_string(host.home.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 2);
}

#[tokio::test]
async fn what_cannot_be_written_fails_nothing_else() {
    let host = Host::new(&[("reload", "true")]);
    let mut nobodys = host.item("a", "new", Some("reload"));
    nobodys.files[1].owner = Some("no-such-user".to_owned());
    let mut set_id = host.item("c", "new", Some("reload"));
    set_id.files[0].mode = 0o4755;
    let mut elsewhere = host.item("d", "new", Some("reload"));
    elsewhere.files[0].path = host.home.path().join("d.pem").display().to_string();
    let mut upwards = host.item("e", "new", Some("reload"));
    upwards.files[0].path = host.path("../e.pem").display().to_string();
    let items = vec![
        nobodys,
        host.item("b", "new", Some("reload")),
        set_id,
        elsewhere,
        upwards,
    ];
    let outcomes = host.deliver(items).await;
    assert!(why(&outcomes[0]).contains("no-such-user"), "{outcomes:?}");
    assert_eq!(outcomes[1], PLACED);
    assert!(why(&outcomes[2]).contains("mode"), "{outcomes:?}");
    assert!(why(&outcomes[3]).contains("directories"), "{outcomes:?}");
    assert!(why(&outcomes[4]).contains("directories"), "{outcomes:?}");
    assert_eq!(
        (host.read("a.pem"), host.read("b.pem")),
        (None, Some("new".to_owned()))
    );
    let beside: Vec<_> = fs::read_dir(host.home.path().join("tls"))
        .unwrap()
        .collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
}

#[tokio::test]
async fn a_process_that_is_killed_is_followed_by_one_that_puts_all_back() {
    let host = Host::new(&[]);
    fs::write(host.path("a.pem"), "former").unwrap();
    fs::set_permissions(host.path("a.pem"), fs::Permissions::from_mode(0o604)).unwrap();
    let items = [host.item("a", "new", None), host.item("b", "new", None)];
    let journal = Journal::begin(&host.state, &items).unwrap();
    files::write(&items[0]).unwrap();
    files::write(&items[1]).unwrap();
    drop(journal);
    Journal::recover(&host.state).unwrap();
    assert_eq!(host.read("a.pem").unwrap(), "former");
    let mode = fs::metadata(host.path("a.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o604);
    let left: Vec<_> = fs::read_dir(host.home.path().join("tls"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // Nothing of a key is left where it was kept, and there is nothing to do the next time.
    Journal::recover(&host.state).unwrap();
    let kept = |name: &Path| fs::read_dir(name).unwrap().count();
    assert_eq!(
        kept(&host.home.path().join("state")),
        1,
        "more than the lock"
    );
}

#[tokio::test]
async fn copies_that_nothing_speaks_of_go() {
    let host = Host::new(&[]);
    host.state.put("before-7", b"a key").unwrap();
    Journal::recover(&host.state).unwrap();
    assert!(!host.state.path("before-7").exists());
}
