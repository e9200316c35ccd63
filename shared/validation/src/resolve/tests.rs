use super::*;
use crate::testing::{Dns, LOOPBACK, Reply};

fn resolver(dns: &Dns) -> Resolver {
    Resolver::new(&[dns.address], Duration::from_secs(2)).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

/// The kind and text of a lookup that has to fail on the applicant's side.
fn failed<T: std::fmt::Debug>(result: Result<T, ValidationError>) -> (ProblemKind, String) {
    match result {
        Err(ValidationError::Failed(problem)) => (problem.kind, problem.detail),
        other => panic!("a failure was due, not {other:?}"),
    }
}

#[tokio::test]
async fn both_families_are_found_and_take_turns() {
    let dns = Dns::start().await;
    let v4 = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap());
    let v6 = ["2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap());
    let records =
        |list: &[IpAddr]| vec![Reply::Records(list.iter().map(|ip| (*ip).into()).collect())];
    dns.answers("a.example", RecordType::A, records(&v4))
        .answers("a.example", RecordType::AAAA, records(&v6));
    let found = resolver(&dns).addresses(&name("a.example"), soon()).await;
    assert_eq!(found.unwrap(), [v6[0], v4[0], v4[1]]);
}

#[tokio::test]
async fn nothing_is_remembered() {
    let dns = Dns::start().await;
    let resolver = resolver(&dns);
    for last in 1..4 {
        let address = IpAddr::from([192, 0, 2, last]);
        dns.address("a.example", address);
        let found = resolver.addresses(&name("a.example"), soon()).await;
        assert_eq!(found.unwrap(), [address]);
    }
    assert_eq!(
        failed(resolver.texts("b.example", soon()).await).0,
        ProblemKind::Dns
    );
    dns.texts("b.example", &[&["now"]]);
    assert_eq!(resolver.texts("b.example", soon()).await.unwrap(), [b"now"]);
}

#[tokio::test]
async fn the_hosts_file_is_not_read() {
    let dns = Dns::start().await;
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let names = hosts
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split_whitespace().skip(1))
        .filter_map(|host| host.parse::<DnsName>().ok())
        .filter(|host| !host.is_within(&name("localhost")));
    for host in names {
        let (kind, detail) = failed(resolver(&dns).addresses(&host, soon()).await);
        assert_eq!(kind, ProblemKind::Dns, "{detail}");
        assert!(detail.contains("NXDOMAIN"), "{detail}");
    }
}

#[tokio::test]
async fn aliases_are_followed_and_their_loops_end() {
    let dns = Dns::start().await;
    dns.cname("a.example", "b.example")
        .cname("b.example", "c.example")
        .address("c.example", LOOPBACK)
        .texts("c.example", &[&["one ", "two"]])
        .cname("x.example", "y.example")
        .cname("y.example", "x.example");
    let resolver = resolver(&dns);
    let found = resolver.addresses(&name("a.example"), soon()).await;
    assert_eq!(found.unwrap(), [LOOPBACK]);
    let found = resolver.texts("a.example", soon()).await;
    assert_eq!(found.unwrap(), [b"one two"]);
    failed(resolver.addresses(&name("x.example"), soon()).await);
}

#[tokio::test]
async fn large_answers_come_over_tcp() {
    let dns = Dns::start().await;
    let texts: Vec<String> = (0..100).map(|n| format!("{n:0>100}")).collect();
    let texts: Vec<[&str; 1]> = texts.iter().map(|text| [text.as_str()]).collect();
    let texts: Vec<&[&str]> = texts.iter().map(<[_; 1]>::as_slice).collect();
    dns.texts("a.example", &texts);
    let found = resolver(&dns).texts("a.example", soon()).await.unwrap();
    assert_eq!(found.len(), 100);
}

#[tokio::test]
async fn each_way_to_have_no_address_is_told_apart() {
    let dns = Dns::start().await;
    dns.texts("text.example", &[&["x"]]);
    for (host, reply) in [
        ("servfail.example", Reply::Code(ResponseCode::ServFail)),
        ("refused.example", Reply::Code(ResponseCode::Refused)),
        ("silent.example", Reply::Silence),
    ] {
        dns.answers(host, RecordType::A, vec![reply.clone()])
            .answers(host, RecordType::AAAA, vec![reply]);
    }
    let resolver = resolver(&dns);
    for (host, words) in [
        ("missing.example", "NXDOMAIN"),
        ("text.example", "there are none"),
        ("servfail.example", "SERVFAIL"),
        ("refused.example", "Refused"),
        ("silent.example", "no answer in time"),
    ] {
        let (kind, detail) = failed(resolver.addresses(&name(host), soon()).await);
        assert_eq!(kind, ProblemKind::Dns, "{detail}");
        assert!(detail.contains(host) && detail.contains(words), "{detail}");
    }
}

#[tokio::test]
async fn one_broken_family_does_not_hide_the_other() {
    let dns = Dns::start().await;
    dns.address("a.example", LOOPBACK)
        .answers(
            "a.example",
            RecordType::AAAA,
            vec![Reply::Code(ResponseCode::ServFail)],
        )
        .answers(
            "b.example",
            RecordType::A,
            vec![Reply::Code(ResponseCode::ServFail)],
        )
        .answers(
            "b.example",
            RecordType::AAAA,
            vec![Reply::Records(Vec::new())],
        );
    let resolver = resolver(&dns);
    let found = resolver.addresses(&name("a.example"), soon()).await;
    assert_eq!(found.unwrap(), [LOOPBACK]);
    let (_, detail) = failed(resolver.addresses(&name("b.example"), soon()).await);
    assert!(detail.contains("SERVFAIL"), "{detail}");
}

#[tokio::test]
async fn a_resolver_that_is_away_is_our_trouble() {
    // Bound and never read: packets vanish.
    let silent = tokio::net::UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    // Bound and let go: nobody is there.
    let gone = std::net::UdpSocket::bind((LOOPBACK, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let resolver = Resolver::new(&[address], Duration::from_millis(200)).unwrap();
        let result = resolver.texts("a.example", soon()).await;
        assert!(
            matches!(result, Err(ValidationError::Retry { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn only_records_at_the_end_of_the_chain_count() {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let alias = |from: &str, to: &str| {
        let target = hickory_resolver::proto::rr::rdata::CNAME(name(to));
        Record::from_rdata(name(from), 60, RData::CNAME(target))
    };
    let at = |owner: &str, last: u8| {
        Record::from_rdata(
            name(owner),
            60,
            RData::from(IpAddr::from([192, 0, 2, last])),
        )
    };
    let answers = [
        at("evil.", 1),
        alias("a.", "b."),
        at("a.", 2),
        at("b.", 3),
        at("B.", 4),
    ];
    let found = at_the_end_of_the_chain(&answers, &name("A."), RecordType::A);
    assert_eq!(found, [answers[3].data.clone(), answers[4].data.clone()]);
    let looped = [alias("a.", "b."), alias("b.", "a.")];
    assert!(at_the_end_of_the_chain(&looped, &name("a."), RecordType::A).is_empty());
}
