use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use certfleet_domain::ChallengeKind;
use hickory_resolver::proto::rr::RecordType;
use proptest::prelude::*;
use rustls::version::{TLS12, TLS13};
use tokio::time::Instant;

use super::*;
use crate::ValidationSettings;
use crate::testing::{
    Act, Dns, KEY_AUTHORIZATION, LOOPBACK, PATH, Reply, Web, assert_says, attempt, impatient,
    problem, self_signed, settings, speaks, tls_config, validate,
};

const NAME: &str = "a.example";

async fn dns() -> Dns {
    let dns = Dns::start().await;
    dns.address(NAME, LOOPBACK);
    dns
}

fn with_port(dns: &Dns, port: u16) -> ValidationSettings {
    ValidationSettings {
        http_port: port,
        ..settings(dns)
    }
}

fn http01(identifier: &str) -> crate::Attempt {
    attempt(ChallengeKind::Http01, identifier)
}

async fn prove(
    act: impl Fn(&str) -> Act + Send + Sync + 'static,
) -> Result<Evidence, ValidationError> {
    let web = Web::start(act).await;
    validate(with_port(&dns().await, web.port), &http01(NAME)).await
}

#[tokio::test]
async fn the_file_proves_the_name() {
    let web = Web::start(|_| Act::ok(KEY_AUTHORIZATION)).await;
    let evidence = validate(with_port(&dns().await, web.port), &http01(NAME)).await;
    let hop = HttpHop {
        url: format!("http://{NAME}{PATH}"),
        resolved: vec![LOOPBACK],
        address: (LOOPBACK, web.port).into(),
        status: 200,
    };
    assert_eq!(evidence.unwrap(), Evidence::Http01 { hops: vec![hop] });
    let requests = web.requests();
    let request = requests[0].to_lowercase();
    assert!(request.starts_with(&format!("GET {PATH} HTTP/1.1\r\n").to_lowercase()));
    for header in [
        "host: a.example\r\n",
        "user-agent: certfleet/",
        "accept: */*\r\n",
        "connection: close\r\n",
    ] {
        assert!(request.contains(header), "{header:?} is not in {request:?}");
    }
}

#[tokio::test]
async fn white_space_at_the_end_is_let_pass() {
    prove(|_| Act::ok(&format!("{KEY_AUTHORIZATION}\r\n \t\n")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_body_in_chunks_or_without_a_length_is_read() {
    prove(|_| {
        let (head, tail) = KEY_AUTHORIZATION.split_at(40);
        let body = format!("28\r\n{head}\r\n{:x}\r\n{tail}\r\n0\r\n\r\n", tail.len());
        Act::Say(
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes(),
        )
    })
    .await
    .unwrap();
    prove(|_| Act::Say(format!("HTTP/1.0 200 OK\r\n\r\n{KEY_AUTHORIZATION}").into_bytes()))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_address_is_asked_under_its_own_name() {
    let web = Web::start(|_| Act::ok(KEY_AUTHORIZATION)).await;
    validate(with_port(&dns().await, web.port), &http01("127.0.0.1"))
        .await
        .unwrap();
    assert!(
        web.requests()[0]
            .to_lowercase()
            .contains("host: 127.0.0.1\r\n")
    );
}

#[tokio::test]
async fn ipv4_is_tried_where_ipv6_takes_no_connection() {
    let web = Web::start(|_| Act::ok(KEY_AUTHORIZATION)).await;
    let dns = dns().await;
    let v6 = "::1".parse().unwrap();
    dns.address(NAME, v6);
    let evidence = validate(with_port(&dns, web.port), &http01(NAME))
        .await
        .unwrap();
    let Evidence::Http01 { hops } = evidence else {
        panic!("{evidence:?}");
    };
    assert_eq!(hops[0].resolved, [v6, LOOPBACK]);
    assert_eq!(hops[0].address.ip(), LOOPBACK);
}

#[tokio::test]
async fn other_answers_do_not_prove_it() {
    let long = KEY_AUTHORIZATION.to_owned() + &" ".repeat(50);
    for (act, kind, words) in [
        (
            Act::ok("nothing"),
            ProblemKind::IncorrectResponse,
            "it is \"nothing\"",
        ),
        (Act::ok(""), ProblemKind::IncorrectResponse, "it is \"\""),
        (
            Act::ok(&format!(" {KEY_AUTHORIZATION}")),
            ProblemKind::IncorrectResponse,
            "it is \" A",
        ),
        (
            Act::ok(&format!("{KEY_AUTHORIZATION}x")),
            ProblemKind::IncorrectResponse,
            "Bx\"",
        ),
        (
            Act::ok(&long),
            ProblemKind::IncorrectResponse,
            "longer than 128 octets",
        ),
        (
            Act::ok("\u{1b}[2J<b>"),
            ProblemKind::IncorrectResponse,
            r"\x1b[2J<b>",
        ),
        (
            Act::status("404 Not Found", "", "<h1>no"),
            ProblemKind::Unauthorized,
            "404 Not Found, where 200 is due; the body begins \"<h1>no\"",
        ),
        (
            Act::status("206 Partial Content", "", KEY_AUTHORIZATION),
            ProblemKind::Unauthorized,
            "206",
        ),
        (
            Act::status("303 See Other", "Location: /x\r\n", ""),
            ProblemKind::Unauthorized,
            "303",
        ),
        (
            Act::status("302 Found", "", ""),
            ProblemKind::Connection,
            "without a Location",
        ),
        (
            Act::Say(b"SSH-2.0-OpenSSH_9.2\r\n".into()),
            ProblemKind::Connection,
            "not HTTP/1",
        ),
        (
            Act::Say(Vec::new()),
            ProblemKind::Connection,
            "closed the connection",
        ),
        (
            Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 87\r\n\r\nAA".into()),
            ProblemKind::Connection,
            "broke off",
        ),
    ] {
        let act = std::sync::Mutex::new(Some(act));
        let result = prove(move |_| act.lock().unwrap().take().unwrap()).await;
        let url = format!("http://{NAME}{PATH} at 127.0.0.1:");
        assert_says(&problem(result, kind), &[&url, words]);
    }
}

#[tokio::test]
async fn redirects_are_followed_to_another_name_and_over_unverified_tls() {
    for version in [&TLS12, &TLS13] {
        let (certificate, key) = self_signed(&["unrelated.example"], vec![]);
        let config = tls_config(certificate, &key, &[b"http/1.1"], version);
        let secure = Web::start_tls(config, |_| Act::ok(KEY_AUTHORIZATION)).await;
        let web = Web::start(|request| {
            if request.contains("/moved") {
                Act::redirect("https://b.example/file?x=1")
            } else {
                Act::status("301 Moved Permanently", "Location: /moved\r\n", "<html>")
            }
        })
        .await;
        let dns = dns().await;
        dns.address("b.example", LOOPBACK);
        let settings = ValidationSettings {
            https_port: secure.port,
            ..with_port(&dns, web.port)
        };
        let evidence = validate(settings, &http01(NAME)).await.unwrap();
        let Evidence::Http01 { hops } = evidence else {
            panic!("{evidence:?}");
        };
        let urls: Vec<&str> = hops.iter().map(|hop| hop.url.as_str()).collect();
        assert_eq!(
            urls[1..],
            ["http://a.example/moved", "https://b.example/file?x=1"]
        );
        assert_eq!(
            hops.iter().map(|hop| hop.status).collect::<Vec<_>>(),
            [301, 302, 200]
        );
        let request = &secure.requests()[0];
        assert!(
            request.starts_with("GET /file?x=1 HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("host: b.example\r\n"), "{request}");
    }
}

#[tokio::test]
async fn ten_redirects_are_followed_and_no_more() {
    let count = |limit: usize| {
        move |request: &str| {
            let path = request.split(' ').nth(1).unwrap();
            let done: usize = path.strip_prefix("/r").map_or(0, |n| n.parse().unwrap());
            if done == limit {
                Act::ok(KEY_AUTHORIZATION)
            } else {
                Act::redirect(&format!("/r{}", done + 1))
            }
        }
    };
    let Ok(Evidence::Http01 { hops }) = prove(count(10)).await else {
        panic!("ten are too many");
    };
    assert_eq!(hops.len(), 11);
    let problem = problem(prove(count(11)).await, ProblemKind::Connection);
    assert_says(&problem, &["http://a.example/r10", "one too many"]);
}

#[tokio::test]
async fn loops_and_targets_outside_the_rules_are_refused() {
    for (location, words) in [
        (PATH, "a loop"),
        ("http://a.example:22/", "not 22"),
        ("gopher://a.example/", "only http and https"),
        ("http://127.0.0.2/", "127.0.0.2 is a loopback address"),
        (
            "http://[::ffff:127.0.0.2]/",
            "::ffff:127.0.0.2 is a loopback address",
        ),
        (
            "http://169.254.169.254/latest/meta-data/",
            "169.254.169.254 is a cloud metadata address",
        ),
        ("https://10.0.0.1/", "10.0.0.1 is a private address"),
        ("http://missing.example/", "NXDOMAIN"),
    ] {
        let result = prove(move |_| Act::redirect(location)).await;
        let Err(ValidationError::Failed(problem)) = result else {
            panic!("{location}: {result:?}");
        };
        assert_says(&problem, &[words]);
    }
}

#[tokio::test]
async fn loopback_is_refused_unless_it_is_listed() {
    let web = Web::start(|_| Act::ok(KEY_AUTHORIZATION)).await;
    let dns = dns().await;
    let strict = ValidationSettings {
        allowed_networks: Vec::new(),
        ..with_port(&dns, web.port)
    };
    for identifier in [NAME, "127.0.0.1", "::1", "localhost"] {
        let result = validate(strict.clone(), &http01(identifier)).await;
        assert_says(
            &problem(result, ProblemKind::Connection),
            &["loopback address", "ask the operator"],
        );
    }
    assert!(web.requests().is_empty());
    validate(with_port(&dns, web.port), &http01(NAME))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_name_that_moves_between_lookups_gains_nothing() {
    let web = Web::start(|_| Act::redirect("/again")).await;
    // What must not be reached: the same port at another loopback address.
    let inside = std::net::TcpListener::bind(("127.0.0.2", web.port)).unwrap();
    inside.set_nonblocking(true).unwrap();
    let dns = dns().await;
    let first = Reply::Records(vec![LOOPBACK.into()]);
    let second = Reply::Records(vec![IpAddr::from([127, 0, 0, 2]).into()]);
    dns.answers(NAME, RecordType::A, vec![first, second]);
    let result = validate(with_port(&dns, web.port), &http01(NAME)).await;
    assert_says(
        &problem(result, ProblemKind::Connection),
        &["127.0.0.2 is a loopback address"],
    );
    assert_eq!(web.requests().len(), 1);
    let error = inside.accept().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn of_several_addresses_only_allowed_ones_are_connected_to() {
    let web = Web::start(|_| Act::ok(KEY_AUTHORIZATION)).await;
    let dns = dns().await;
    let addresses = [
        "10.0.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "172.16.0.1",
        "127.0.0.1",
    ];
    let records = addresses.map(|text| text.parse::<IpAddr>().unwrap().into());
    dns.answers(NAME, RecordType::A, vec![Reply::Records(records.into())]);
    validate(with_port(&dns, web.port), &http01(NAME))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_closed_port_is_told() {
    let free = std::net::TcpListener::bind((LOOPBACK, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let result = validate(with_port(&dns().await, free.port()), &http01(NAME)).await;
    let address = SocketAddr::from((LOOPBACK, free.port())).to_string();
    assert_says(
        &problem(result, ProblemKind::Connection),
        &[
            NAME,
            &address,
            "connection refused",
            "check that the server runs",
        ],
    );
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\n";
    let started = Instant::now();
    for (act, kind, words) in [
        (
            (format!("{head}\r\n"), vec![b'a'; 1000]),
            ProblemKind::IncorrectResponse,
            "longer than 128 octets",
        ),
        (
            (
                format!("{head}Transfer-Encoding: chunked\r\n\r\n"),
                b"1\r\na\r\n".to_vec(),
            ),
            ProblemKind::IncorrectResponse,
            "longer than 128 octets",
        ),
        (
            (head.to_owned(), b"X-Header: more\r\n".to_vec()),
            ProblemKind::Connection,
            "headers are too large",
        ),
        (
            (format!("{head}X-Header: "), vec![b'a'; 1000]),
            ProblemKind::Connection,
            "headers are too large",
        ),
    ] {
        let result = prove(move |_| Act::Repeat(act.0.clone().into_bytes(), act.1.clone())).await;
        assert_says(&problem(result, kind), &[words]);
    }
    assert!(started.elapsed() < ValidationSettings::default().total_timeout);
}

#[tokio::test]
async fn a_slow_server_is_given_up_on_at_the_deadline() {
    for start in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 87\r\n\r\nAAA",
    ] {
        let web = Web::start(|_| Act::Hang(start.into())).await;
        let settings = impatient(with_port(&dns().await, web.port));
        let limit = settings.total_timeout + Duration::from_secs(5);
        let result = tokio::time::timeout(limit, validate(settings, &http01("127.0.0.1"))).await;
        let problem = problem(result.expect("it went on"), ProblemKind::Connection);
        assert_says(&problem, &["no whole answer came in time"]);
    }
}

#[tokio::test]
async fn a_redirects_body_is_not_waited_for() {
    let web = Web::start(|request| {
        if request.contains("/next") {
            return Act::ok(KEY_AUTHORIZATION);
        }
        Act::Hang(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 9\r\n\r\n".to_vec())
    })
    .await;
    validate(with_port(&dns().await, web.port), &http01(NAME))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_redirect_to_what_is_no_tls_server_is_told() {
    let web = Web::start(|_| Act::redirect("https://a.example/")).await;
    for (says, kind) in [
        (b"".as_slice(), ProblemKind::Connection),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ProblemKind::Tls),
    ] {
        let settings = ValidationSettings {
            https_port: speaks(says).await,
            ..with_port(&dns().await, web.port)
        };
        let problem = problem(validate(settings, &http01(NAME)).await, kind);
        assert_says(&problem, &["https://a.example/ at", "TLS handshake failed"]);
    }
}

#[test]
fn a_user_agent_has_to_be_a_header() {
    let settings = ValidationSettings {
        user_agent: "a\r\nb".to_owned(),
        resolvers: vec![(LOOPBACK, 53).into()],
        ..ValidationSettings::default()
    };
    assert!(crate::Validator::new(settings).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a server says, the validation ends in an error that a person can read, and nothing panics.
    #[test]
    fn garbage_proves_nothing(
        start in prop_oneof![
            Just(String::new()),
            Just("HTTP/1.1 200 OK\r\n".to_owned()),
            Just("HTTP/1.1 302 Found\r\nLocation: ".to_owned()),
            Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
        ],
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let said = [start.as_bytes(), &bytes].concat();
        let result = runtime.block_on(prove(move |_| Act::Say(said.clone())));
        let Err(ValidationError::Failed(problem)) = result else {
            return Err(TestCaseError::fail(format!("{result:?}")));
        };
        prop_assert!(problem.detail.chars().all(|c| !c.is_control()), "{}", problem.detail);
        prop_assert!(problem.detail.len() < 2000, "{}", problem.detail.len());
    }
}
