//! DNS over UDP and TCP (RFC 1035), from what is set at run time.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::rdata::{CAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::answers::{self, Answers, canonical};

/// Aliases of aliases are followed this far.
const MAX_ALIASES: usize = 8;

pub(super) async fn serve_udp(socket: UdpSocket, answers: Arc<Answers>) {
    let socket = Arc::new(socket);
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; 4096];
    loop {
        // Errors are those of earlier answers (ICMP), and not of this socket.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let Ok(question) = Message::from_vec(&buffer[..length]) else {
            continue;
        };
        let (socket, answers) = (Arc::clone(&socket), Arc::clone(&answers));
        tasks.spawn(async move {
            let limit = usize::from(question.max_payload());
            let answer = answer(&question, &answers).await;
            let mut octets = answer.to_vec().unwrap();
            if octets.len() > limit {
                octets = answer.truncate().to_vec().unwrap();
            }
            let _ = socket.send_to(&octets, from).await;
        });
        while tasks.try_join_next().is_some() {}
    }
}

pub(super) async fn serve_tcp(listener: TcpListener, answers: Arc<Answers>) {
    let mut tasks = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tasks.spawn(converse(stream, Arc::clone(&answers)));
        }
        while tasks.try_join_next().is_some() {}
    }
}

/// Each message has its length in front (RFC 1035 §4.2.2).
async fn converse(mut stream: TcpStream, answers: Arc<Answers>) -> io::Result<()> {
    loop {
        let mut question = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut question).await?;
        let question = Message::from_vec(&question).map_err(io::Error::other)?;
        let octets = answer(&question, &answers).await.to_vec().unwrap();
        stream
            .write_u16(u16::try_from(octets.len()).unwrap())
            .await?;
        stream.write_all(&octets).await?;
    }
}

async fn answer(question: &Message, answers: &Answers) -> Message {
    let mut answer = Message::new(
        question.metadata.id,
        MessageType::Response,
        question.metadata.op_code,
    );
    answer.metadata.authoritative = true;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    match question.queries.first() {
        None => answer.metadata.response_code = ResponseCode::FormErr,
        Some(query) => {
            answer.add_query(query.clone());
            match records(query, answers).await {
                Ok(records) => answer.insert_answers(records),
                Err(code) => answer.metadata.response_code = code,
            }
        }
    }
    answer
}

async fn records(query: &Query, answers: &Answers) -> Result<Vec<Record>, ResponseCode> {
    let mut name = canonical(&query.name().to_ascii());
    answers.note_query(&name, query.query_type().to_string());
    let mut records = Vec::new();
    // As it was asked, as some resolvers check the case (0x20).
    let mut owner = query.name().clone();
    for _ in 0..MAX_ALIASES {
        let known = answers.name(&name).ok_or(ResponseCode::NXDomain)?;
        sleep(known.delay).await;
        if known.servfail {
            return Err(ResponseCode::ServFail);
        }
        let found = data(&known, query.query_type());
        records.extend(found.into_iter().map(|data| record(&owner, data)));
        let Some(target) = known.cname else {
            break;
        };
        let target_name =
            Name::from_ascii(format!("{target}.")).map_err(|_| ResponseCode::ServFail)?;
        records.push(record(&owner, RData::CNAME(CNAME(target_name.clone()))));
        if query.query_type() == RecordType::CNAME {
            break;
        }
        (name, owner) = (target, target_name);
    }
    Ok(records)
}

/// Nothing is cached.
fn record(owner: &Name, data: RData) -> Record {
    Record::from_rdata(owner.clone(), 0, data)
}

fn data(known: &answers::Name, kind: RecordType) -> Vec<RData> {
    match kind {
        RecordType::TXT => known.txt.iter().map(|text| RData::TXT(txt(text))).collect(),
        RecordType::CAA => known
            .caa
            .iter()
            .map(|(tag, value)| RData::CAA(caa(tag, value)))
            .collect(),
        RecordType::A | RecordType::AAAA => known
            .addresses
            .iter()
            .filter(|address| address.is_ipv4() == (kind == RecordType::A))
            .map(|address| match address {
                IpAddr::V4(address) => RData::A((*address).into()),
                IpAddr::V6(address) => RData::AAAA((*address).into()),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A text of more than 255 octets goes into several character strings (RFC 1035 §3.3.14).
fn txt(text: &str) -> TXT {
    TXT::from_bytes(match text.as_bytes() {
        [] => vec![b""],
        octets => octets.chunks(255).collect(),
    })
}

fn caa(tag: &str, value: &str) -> CAA {
    let mut caa = CAA::new_issue(false, None, Vec::new());
    tag.clone_into(&mut caa.tag);
    caa.value = value.as_bytes().to_vec();
    caa
}
