//! The fleet's side of ACME against Pebble, the server that Let's Encrypt tests clients with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certfleet_acme::{Algorithm, CertId, SigningKey};
use certfleet_domain::{
    Budget, ChallengeKind, Clock as _, Identifier, ProblemKind, SystemClock, Upstream,
};
use certfleet_pki::{
    authority_key_identifier, certificates_from_pem, create_csr, serial_of_certificate,
    validity_of_certificate,
};
use certfleet_signer::{InternalKey, KeyAlgorithm};
use certfleet_testkit::{PebbleOptions, PebbleServer};
use certfleet_upstream::{Member, NewOrder, Progress, Proof, Server, UpstreamError};

/// An authority, and a web server at which it finds what is shown.
struct Ground {
    pebble: PebbleServer,
    shown: Arc<Mutex<Vec<Proof>>>,
}

impl Ground {
    async fn new(options: PebbleOptions) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let http01_port = listener.local_addr().unwrap().port();
        let shown: Arc<Mutex<Vec<Proof>>> = Arc::default();
        let answers = Arc::clone(&shown);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let found = answers
                    .lock()
                    .unwrap()
                    .iter()
                    .find(|proof| {
                        request.contains(&format!("/.well-known/acme-challenge/{} ", proof.token))
                    })
                    .map(|proof| proof.key_authorization.clone());
                let (status, body) =
                    found.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                drop(stream.write_all(format!("{head}{body}").as_bytes()));
            }
        });
        let pebble = PebbleServer::start(&PebbleOptions {
            http01_port,
            ..options
        })
        .await;
        Self { pebble, shown }
    }

    fn upstream(&self) -> Upstream {
        Upstream {
            name: "pebble".parse().unwrap(),
            project: certfleet_domain::ProjectName::default(),
            directory: self.pebble.directory(),
            roots: Some(fs::read_to_string(self.pebble.root()).unwrap()),
            contacts: Vec::new(),
            profile: None,
            binding: None,
            budget: Budget::default(),
            account: None,
            created_at: SystemClock.now(),
            version: 0,
        }
    }

    fn show(&self, proofs: &[Proof]) {
        self.shown.lock().unwrap().extend_from_slice(proofs);
    }
}

fn account_key() -> (Vec<u8>, SigningKey) {
    let key = InternalKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let pkcs8 = key.to_pkcs8_der().unwrap();
    let signing = SigningKey::from_pkcs8(Algorithm::Es256, &pkcs8).unwrap();
    (pkcs8.to_vec(), signing)
}

fn names(count: u8) -> Vec<Identifier> {
    (1..=count)
        .map(|number| format!("127.0.0.{number}").parse().unwrap())
        .collect()
}

fn plain(names: &[Identifier]) -> NewOrder<'_> {
    NewOrder {
        names,
        profile: None,
        replaces: None,
    }
}

/// What has to be shown for an order that was just placed.
async fn proofs_of(member: &Member<'_>, order: &str) -> Vec<Proof> {
    match member
        .progress(order, &|_| ChallengeKind::Http01)
        .await
        .unwrap()
    {
        Progress::Pending(proofs) => proofs,
        other => panic!("nothing is to be proven: {other:?}"),
    }
}

/// Looks until the order is no more at what it was.
async fn moved_on(member: &Member<'_>, order: &str, from: &[Progress]) -> Progress {
    for _ in 0..400 {
        let progress = member
            .progress(order, &|_| ChallengeKind::Http01)
            .await
            .unwrap();
        if !from.contains(&progress) {
            return progress;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the order stands still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_step_by_step_each_of_which_can_be_repeated() {
    let ground = Ground::new(PebbleOptions::default()).await;
    let server = Server::open(&ground.upstream()).await.unwrap();
    let (pkcs8, key) = account_key();
    let member = Member::join(&server, key, &[], None).await.unwrap();
    let again = SigningKey::from_pkcs8(Algorithm::Es256, &pkcs8).unwrap();
    let again = Member::join(&server, again, &[], None).await.unwrap();
    assert_eq!(member.url(), again.url());

    let names = names(2);
    assert_eq!(member.find_order(&names).await.unwrap(), None);
    let order = member.place(&plain(&names)).await.unwrap();
    // Whoever lost the answer finds the order.
    assert_eq!(
        member.find_order(&names).await.unwrap(),
        Some(order.clone())
    );
    assert_eq!(member.find_order(&names[..1]).await.unwrap(), None);

    let proofs = proofs_of(&member, &order).await;
    assert_eq!(proofs.len(), 2);
    ground.show(&proofs);
    for proof in &proofs {
        member.shown(proof).await.unwrap();
    }
    let progress = moved_on(&member, &order, &[Progress::Validating]).await;
    assert_eq!(progress, Progress::Ready);

    let certificate_key = InternalKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let csr = create_csr(&names, &certificate_key).unwrap();
    member.finalize(&order, &csr).await.unwrap();
    let progress = moved_on(&member, &order, &[Progress::Processing]).await;
    assert_eq!(progress, Progress::Valid);
    // It takes no second request, and says so.
    assert!(member.finalize(&order, &csr).await.is_err());
    let chain = member.download(&order).await.unwrap();
    let ders = certificates_from_pem(&chain).unwrap();
    assert!(ders.len() > 1, "{chain}");
    // An order that has led to its certificate is none that was lost.
    assert_eq!(member.find_order(&names).await.unwrap(), None);

    let cert_id = CertId {
        key_identifier: authority_key_identifier(&ders[0]).unwrap(),
        serial: serial_of_certificate(&ders[0]).unwrap(),
    };
    let advised = server.advice(&cert_id.to_string()).await.unwrap().unwrap();
    let (from, to) = validity_of_certificate(&ders[0]).unwrap();
    assert!(from < advised.window.start() && advised.window.end() < to);
    assert!(advised.again_in.is_some());
    let strange = server.advice("../../etc").await.unwrap_err();
    assert!(matches!(strange, UpstreamError::CertId(_)), "{strange}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_authority_refuses_and_why_is_told() {
    let ground = Ground::new(PebbleOptions::default()).await;
    let server = Server::open(&ground.upstream()).await.unwrap();
    let member = Member::join(&server, account_key().1, &[], None)
        .await
        .unwrap();
    let blocked = vec![Identifier::dns("blocked-domain.example").unwrap()];
    let refused = member.place(&plain(&blocked)).await.unwrap_err();
    assert_eq!(
        refused.refusal(),
        Some(ProblemKind::RejectedIdentifier),
        "{refused}"
    );
    // Nobody shows what is looked for.
    let names = names(1);
    let order = member.place(&plain(&names)).await.unwrap();
    let proofs = proofs_of(&member, &order).await;
    member.shown(&proofs[0]).await.unwrap();
    let from = [Progress::Validating, Progress::Pending(proofs)];
    let Progress::Failed(why) = moved_on(&member, &order, &from).await else {
        panic!("it has not failed");
    };
    assert!(why.contains("127.0.0.1") && why.contains("urn:"), "{why}");
    let nowhere = format!("{order}x");
    let gone = member
        .progress(&nowhere, &|_| ChallengeKind::Http01)
        .await
        .unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_is_bound_is_welcome_and_a_stranger_is_not_trusted() {
    let mac_key = "c2l4dGVlbiBieXRlcyBvZiBhIGtleSBhdCBsZWFzdCE";
    let ground = Ground::new(PebbleOptions {
        binding: Some(("ours".to_owned(), mac_key.to_owned())),
        ..PebbleOptions::default()
    })
    .await;
    let server = Server::open(&ground.upstream()).await.unwrap();
    assert!(server.directory().meta.external_account_required);
    let refused = Member::join(&server, account_key().1, &[], None)
        .await
        .err()
        .unwrap();
    assert_eq!(
        refused.refusal(),
        Some(ProblemKind::ExternalAccountRequired),
        "{refused}"
    );
    let binding = Some(("ours", b"sixteen bytes of a key at least!".as_slice()));
    Member::join(&server, account_key().1, &[], binding)
        .await
        .unwrap();

    let stranger = Upstream {
        roots: None,
        ..ground.upstream()
    };
    let refused = Server::open(&stranger).await.err().unwrap();
    assert!(matches!(refused, UpstreamError::Away(_)), "{refused}");
    let nothing = Upstream {
        roots: Some("nothing".to_owned()),
        ..ground.upstream()
    };
    let refused = Server::open(&nothing).await.err().unwrap();
    assert!(matches!(refused, UpstreamError::Trust(_)), "{refused}");
}
