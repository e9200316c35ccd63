use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::*;

/// Loads the settings in a file's text under some variables.
fn load<S: ServiceSettings>(yaml: &str, variables: &[(&str, &str)]) -> Result<S, String> {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(yaml.as_bytes()).unwrap();
    let source = Source {
        file: Some(file.path().to_owned()),
        environment: environment(variables),
    };
    S::load(&source).map_err(|error| {
        let path = file.path().display().to_string();
        error.to_string().replace(&path, "FILE")
    })
}

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const DATABASE: (&str, &str) = ("CERTFLEET_DATABASE_URI", "mongodb://m:1/?replicaSet=r");
const MINIMUM: &str = "
server: {external_url: 'https://a.example'}
database: {uri: 'mongodb://m:1/?replicaSet=r'}
kek: {file: /k}
";

fn scheduler(yaml: &str, variables: &[(&str, &str)]) -> Result<SchedulerSettings, String> {
    load(yaml, &[&[DATABASE], variables].concat())
}

/// The one line that is said of wrong settings.
fn fault(yaml: &str, variables: &[(&str, &str)]) -> String {
    let text = scheduler(yaml, variables).unwrap_err();
    assert!(!text.contains('\n'), "more than one line: {text}");
    text
}

#[test]
fn the_environment_lies_over_the_file_over_the_defaults() {
    let yaml = "scheduler: {lease_ttl: 20s, renew_every: 4s}";
    let settings = scheduler(yaml, &[("CERTFLEET_SCHEDULER_RENEW_EVERY", "3s")]).unwrap();
    assert_eq!(settings.scheduler.lease_ttl, Duration::from_secs(20));
    assert_eq!(settings.scheduler.renew_every, Duration::from_secs(3));
    assert_eq!(
        settings.scheduler.retain_orders,
        Scheduler::default().retain_orders
    );
}

#[test]
fn the_environment_alone_will_do() {
    let source = Source {
        file: None,
        environment: environment(&[
            DATABASE,
            ("CERTFLEET_SERVER_EXTERNAL_URL", "https://a.example"),
            ("CERTFLEET_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,"),
            ("CERTFLEET_SERVER_REUSE_PORT", "true"),
            ("CERTFLEET_KEK_VALUE", "s3cret"),
            ("CERTFLEET_TLS_MODE", "managed"),
            ("PATH", "/bin"),
        ]),
    };
    let settings = ApiSettings::load(&source).unwrap();
    assert_eq!(settings.server.trusted_proxies.as_slice().len(), 2);
    assert!(settings.server.reuse_port);
    assert_eq!(settings.tls.mode, TlsMode::Managed);
    assert!(!format!("{settings:?}").contains("s3cret"));
    assert_eq!(check_all(&source), Ok(()));
}

#[test]
fn an_empty_variable_empties_what_can_be_empty() {
    let yaml = "worker: {kinds: [a, b]}\nacme: {website: 'https://a.example'}\nkek: {file: /k}";
    let empty = [
        DATABASE,
        ("CERTFLEET_WORKER_KINDS", ""),
        ("CERTFLEET_ACME_WEBSITE", ""),
    ];
    let settings: WorkerSettings = load(yaml, &empty).unwrap();
    assert!(settings.worker.kinds.is_empty());
    assert_eq!(settings.acme.website, None);
    let text = fault("", &[("CERTFLEET_WORKER_LEASE", "")]);
    assert!(text.contains("CERTFLEET_WORKER_LEASE"), "{text}");
}

#[test]
fn unknown_names_are_refused_by_their_full_name() {
    let text = fault("scheduler: {leese_ttl: 20s}", &[]);
    assert!(
        text.starts_with("scheduler.leese_ttl (FILE): there is no such key"),
        "{text}"
    );
    assert!(text.contains("lease_ttl, renew_every"), "{text}");
    // Even without a value, and even in another service's section.
    let text = fault("server: {lisen: }", &[]);
    assert!(
        text.starts_with("server.lisen (FILE): there is no such key"),
        "{text}"
    );
    let text = fault("shceduler: {lease_ttl: 20s}", &[]);
    assert!(
        text.starts_with("FILE: there is no section shceduler"),
        "{text}"
    );
    let text = fault("", &[("CERTFLEET_WORKER_LEESE", "1s")]);
    assert!(
        text.starts_with("CERTFLEET_WORKER_LEESE (worker.leese): there is no such key"),
        "{text}"
    );
    for name in [
        "CERTFLEET_WROKER_LEASE",
        "CERTFLEET_WORKER",
        "CERTFLEET_",
        "CERTFLEET_WORKER_",
    ] {
        let text = fault("", &[(name, "1s")]);
        assert!(
            text.starts_with(&format!("{name} is not a setting")),
            "{text}"
        );
    }
}

/// Settings, and how the one line about them begins.
const BAD: [(&str, &str); 32] = [
    (
        "scheduler: {lease_ttl: 20}",
        "scheduler.lease_ttl (FILE): \"20\" is not a duration",
    ),
    (
        "scheduler: {lease_ttl: [20s]}",
        "scheduler.lease_ttl (FILE): one value is due, not a list",
    ),
    (
        "scheduler: {lease_ttl: {a: b}}",
        "scheduler.lease_ttl (FILE): a value or a list",
    ),
    (
        "scheduler: {renew_every: 0s}",
        "scheduler.renew_every (FILE): more than 0s and less",
    ),
    (
        "scheduler: {lease_ttl: 9s}",
        "scheduler.renew_every: more than 0s and less",
    ),
    (
        "worker: {concurrency: 0}",
        "worker.concurrency (FILE): 1 to 10000 is due",
    ),
    (
        "worker: {concurrency: -1}",
        "worker.concurrency (FILE): \"-1\" is not a whole number from 0",
    ),
    (
        "worker: {concurrency: many}",
        "worker.concurrency (FILE): \"many\" is not a whole number",
    ),
    (
        "validation: {http_port: 65536}",
        "validation.http_port (FILE): \"65536\" is not a whole",
    ),
    (
        "validation: {resolvers: [dns]}",
        "validation.resolvers (FILE): \"dns\" is not a DNS server",
    ),
    (
        "server: {listen: 8443}",
        "server.listen (FILE): \"8443\" is not an address with a port",
    ),
    (
        "server: {reuse_port: maybe}",
        "server.reuse_port (FILE): \"maybe\" is not true or false",
    ),
    (
        "server: {external_url: 'https://a/b'}",
        "server.external_url (FILE): \"https://a/b\" is not",
    ),
    (
        "server: {trusted_proxies: [x]}",
        "server.trusted_proxies (FILE): \"x\" is not a network",
    ),
    (
        "tls: {mode: on}",
        "tls.mode (FILE): \"on\" is not one of off, files, managed",
    ),
    (
        "tls: {mode: files, key: /k}",
        "tls.certificate: a path is due",
    ),
    (
        "tls: {key: /k}",
        "tls.key (FILE): it is given, but tls.mode is not files",
    ),
    (
        "kek: {file: /k, value: x}",
        "kek.value (FILE): one of kek.file, kek.value and kek.key",
    ),
    (
        "acme: {default_authority: A B}",
        "acme.default_authority (FILE): \"A B\" is not",
    ),
    (
        "acme: {website: ftp://x}",
        "acme.website (FILE): \"ftp://x\" is not an https or http URL",
    ),
    (
        "log: {level: 'a=b=c'}",
        "log.level (FILE): \"a=b=c\" is not a filter",
    ),
    (
        "log: {format: xml}",
        "log.format (FILE): \"xml\" is not one of text, json",
    ),
    (
        "database: {max_pool_size: 1}",
        "database.max_pool_size (FILE): 2 to 10000 is due",
    ),
    (
        "database: {heartbeat: 100ms}",
        "database.heartbeat (FILE): at least 500ms",
    ),
    ("state: {dir: ''}", "state.dir (FILE): a directory is due"),
    (
        "limits: {orders_per_account: 300}",
        "limits.orders_per_account (FILE): \"300\" is neither off nor",
    ),
    (
        "limits: {pause_after: never}",
        "limits.pause_after (FILE): \"never\" is neither off nor",
    ),
    ("worker: 5", "FILE: worker is a section"),
    ("- 5", "FILE: sections with their keys are due"),
    ("worker: {lease: 60s, lease: 70s}", "FILE: "),
    (
        "log: {level: 'info,verbose'}",
        "log.level (FILE): \"info,verbose\" is not a filter",
    ),
    ("worker: [", "FILE: "),
];

#[test]
fn bad_values_are_refused_with_what_is_due() {
    for (yaml, due) in BAD {
        let text = fault(yaml, &[]);
        assert!(text.starts_with(due), "{yaml}: {text}");
    }
}

#[test]
fn what_is_required_is_named_and_all_faults_are_told_at_once() {
    let text = load::<ApiSettings>("worker: {lease: 1}\ntls: {mode: no}", &[]).unwrap_err();
    let lines: Vec<_> = text.lines().collect();
    for due in [
        "tls.mode (FILE)",
        "server.external_url is required: set it in the file, or CERTFLEET_SERVER_EXTERNAL_URL",
        "database.uri is required: set it in the file, or CERTFLEET_DATABASE_URI",
        "kek.file, kek.value or kek.key is required",
        "worker.lease (FILE)",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(due)),
            "{due} not in:\n{text}"
        );
    }
    assert_eq!(lines.len(), 5, "{text}");
    // Nobody but the API needs its URL, and nobody but the API and the workers a KEK.
    assert!(scheduler("server: {listen: '127.0.0.1:1'}", &[]).is_ok());
}

#[test]
fn a_missing_file_is_named() {
    let source = Source {
        file: Some("/nonexistent/certfleet.yaml".into()),
        environment: environment(&[DATABASE]),
    };
    let text = SchedulerSettings::load(&source).unwrap_err().to_string();
    assert!(text.starts_with("/nonexistent/certfleet.yaml: "), "{text}");
}

#[test]
fn variables_in_the_file() {
    let yaml = "worker: {concurrency: '${JOBS}', kinds: ['${KIND:-all}', b]}\nkek: {file: /k}";
    let settings: WorkerSettings = load(yaml, &[DATABASE, ("JOBS", "7")]).unwrap();
    assert_eq!(settings.worker.concurrency, 7);
    assert_eq!(settings.worker.kinds, ["all", "b"]);

    let text = fault(yaml, &[]);
    assert_eq!(
        text,
        "worker.concurrency (FILE): the variable JOBS is not set"
    );
    // A variable that the file names may be called anything.
    let own = "worker: {concurrency: '${CERTFLEET_JOBS}'}";
    assert!(scheduler(own, &[("CERTFLEET_JOBS", "7")]).is_ok());
    // What a variable holds is a value and never more of the file.
    let trick = "/x}\nlog: {level: debug";
    let settings = scheduler("state: {dir: '${DIR}'}", &[("DIR", trick)]).unwrap();
    assert_eq!(settings.base.state.dir.to_str(), Some(trick));
    assert_eq!(settings.base.log, Log::default());
}

#[test]
fn traces_go_to_a_receiver_that_is_a_plain_url_or_nowhere() {
    let telemetry = |yaml: &str| scheduler(yaml, &[]).unwrap().base.telemetry;
    assert_eq!(telemetry("").otlp_endpoint, None);
    for url in ["http://otel:4318", "http://otel:4318/"] {
        let endpoint = telemetry(&format!("telemetry: {{otlp_endpoint: '{url}'}}")).otlp_endpoint;
        assert_eq!(endpoint.unwrap().traces_url(), "http://otel:4318/v1/traces");
    }
    let ratio = telemetry("telemetry: {sample_ratio: 0.25}")
        .sample_ratio
        .get();
    assert!((ratio - 0.25).abs() < f64::EPSILON);
    for bad in [
        "otel:4318",
        "grpc://otel:4317",
        "http://u:hunter2@otel:4318",
        "http://otel:4318?key=hunter2",
    ] {
        let text = fault("", &[("CERTFLEET_TELEMETRY_OTLP_ENDPOINT", bad)]);
        let due = "CERTFLEET_TELEMETRY_OTLP_ENDPOINT (telemetry.otlp_endpoint): not the URL of an OTLP receiver";
        assert!(text.starts_with(due), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    for bad in ["1.1", "-0.1", "NaN", "all"] {
        let text = fault(&format!("telemetry: {{sample_ratio: {bad}}}"), &[]);
        assert!(text.ends_with("is not a number from 0 to 1"), "{text}");
    }
}

#[test]
fn secrets_are_not_repeated() {
    for yaml in [
        "database: {uri: 'hunter2'}",
        "database: {uri: ['hunter2']}",
        "kek: {file: /k, value: hunter2}",
        "management: {metrics_token: [hunter2]}",
    ] {
        let text = load::<SchedulerSettings>(yaml, &[]).unwrap_err();
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_api_may_not_drain_longer_than_the_workers() {
    for (yaml, variables) in [
        ("server: {shutdown_timeout: 31s}", [].as_slice()),
        ("worker: {drain_timeout: 24s}", &[]),
        ("", &[("CERTFLEET_SERVER_SHUTDOWN_TIMEOUT", "1m")]),
    ] {
        let text = fault(yaml, variables);
        assert!(text.starts_with("server.shutdown_timeout ("), "{text}");
        assert!(
            text.contains("is longer than worker.drain_timeout ("),
            "{text}"
        );
        // Every service refuses.
        let all = [variables, &[DATABASE]].concat();
        assert!(
            load::<WorkerSettings>(yaml, &all)
                .unwrap_err()
                .contains(&text)
        );
        assert!(load::<ApiSettings>(yaml, &all).unwrap_err().contains(&text));
    }
    let equal = "server: {shutdown_timeout: 30s}";
    assert!(scheduler(equal, &[]).is_ok());
    let text = fault("acme: {answer_wait: 31s}", &[]);
    assert!(
        text.starts_with("acme.answer_wait (31s) is longer than server.write_timeout (30s)"),
        "{text}"
    );
}

#[test]
fn variables_that_kubernetes_adds_for_services_are_no_settings() {
    let links = [
        ("CERTFLEET_API_SERVICE_HOST", "10.0.0.1"),
        ("CERTFLEET_API_SERVICE_PORT", "8443"),
        ("CERTFLEET_API_SERVICE_PORT_HTTPS", "8443"),
        ("CERTFLEET_API_PORT", "tcp://10.0.0.1:8443"),
        ("CERTFLEET_API_PORT_8443_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(scheduler("", &links).is_ok());
    let text = fault("", &links[3..4]);
    assert!(
        text.starts_with("CERTFLEET_API_PORT is not a setting"),
        "{text}"
    );
}

#[test]
fn the_sample_is_the_defaults_and_has_every_key() {
    let api: ApiSettings = load(SAMPLE, &[]).unwrap();
    let least: ApiSettings = load(MINIMUM, &[]).unwrap();
    assert_eq!(api.base, least.base);
    assert_eq!(api.tls, least.tls);
    assert_eq!(api.acme, least.acme);
    assert_eq!(api.limits, Limits::default());
    assert_eq!(
        Server {
            external_url: least.server.external_url.clone(),
            ..api.server
        },
        least.server
    );
    assert_eq!(
        Database {
            uri: least.database.uri.clone(),
            ..api.database
        },
        least.database
    );
    let worker: WorkerSettings = load(SAMPLE, &[]).unwrap();
    assert_eq!(worker.worker, Worker::default());
    assert_eq!(worker.validation, Validation::default());
    let scheduler: SchedulerSettings = load(SAMPLE, &[]).unwrap();
    assert_eq!(scheduler.scheduler, Scheduler::default());

    let sample: BTreeMap<String, BTreeMap<String, serde_norway::Value>> =
        serde_norway::from_str(SAMPLE).unwrap();
    assert!(sample.keys().map(String::as_str).eq(layers::SECTIONS));
    let check = |name: &str, known: String| {
        let mut known: Vec<_> = known.split(", ").collect();
        known.sort_unstable();
        assert!(sample[name].keys().eq(&known), "{name}: {known:?}");
    };
    check(Acme::NAME, keys_of::<Acme>());
    check(Database::NAME, keys_of::<Database>());
    check(Pkcs11::NAME, keys_of::<Pkcs11>());
    check(Kek::NAME, keys_of::<Kek>());
    check(Limits::NAME, keys_of::<Limits>());
    check(Log::NAME, keys_of::<Log>());
    check(Management::NAME, keys_of::<Management>());
    check(Scheduler::NAME, keys_of::<Scheduler>());
    check(Server::NAME, keys_of::<Server>());
    check(State::NAME, keys_of::<State>());
    check(Tls::NAME, keys_of::<Tls>());
    check(Validation::NAME, keys_of::<Validation>());
    check(Worker::NAME, keys_of::<Worker>());
}

/// The keys that a section has, as it tells them to whoever gives an unknown one.
fn keys_of<T: DeserializeOwned>() -> String {
    let entry = layers::Entry {
        raw: layers::Raw::Unset,
        origin: fault::Origin::Variable(String::new()),
    };
    let entries = [("no such key".to_owned(), entry)].into();
    let text = de::section::<T>("x", &entries).err().unwrap().to_string();
    text.rsplit_once(" are ").unwrap().1.to_owned()
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_not_what_it_would_have_held() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken.yaml");
    std::fs::write(&broken, "a: [").unwrap();
    for file in [directory.path().join("none.yaml"), broken] {
        let source = Source {
            file: Some(file.clone()),
            environment: BTreeMap::new(),
        };
        let text = check_all(&source).unwrap_err().to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(file.to_str().unwrap()), "{text}");
    }
}
