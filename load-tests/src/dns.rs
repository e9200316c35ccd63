//! A DNS server for which every name is this machine: A is 127.0.0.1, and nothing else exists.
//!
//! The server under test resolves the names of the flows here. Answers to AAAA, CAA and the rest are empty but
//! not errors (RFC 2308 §2.2), so that a CA that looks for CAA finds none.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Wait after a socket error, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
/// Seconds an answer may be kept.
const TTL: u32 = 60;
/// Longest name on the wire, in octets (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 255;

/// Both sockets on one port. Where any will do, the one that is free for UDP may be taken for TCP: then the next.
async fn sockets(address: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut ports_left = if address.port() == 0 { 16 } else { 1 };
    loop {
        ports_left -= 1;
        let udp = UdpSocket::bind(address).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if ports_left == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

/// Answers on `address`, over UDP and TCP, until the program ends. Gives the address it has.
pub(crate) async fn start(address: SocketAddr) -> Result<SocketAddr> {
    let (udp, tcp) = sockets(address)
        .await
        .with_context(|| format!("the DNS responder cannot listen on {address}"))?;
    let address = udp.local_addr()?;
    tokio::spawn(async move {
        let mut query = [0; 512];
        loop {
            // An ICMP error of an earlier answer shows here; the next query is not affected.
            let Ok((length, from)) = udp.recv_from(&mut query).await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if let Some(reply) = reply(&query[..length]) {
                drop(udp.send_to(&reply, from).await);
            }
        }
    });
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = tcp.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}

/// Queries of one TCP connection, each after its length (RFC 1035 §4.2.2).
async fn serve(mut stream: TcpStream) -> Option<()> {
    loop {
        let length = stream.read_u16().await.ok()?;
        let mut query = vec![0; length.into()];
        stream.read_exact(&mut query).await.ok()?;
        let reply = reply(&query)?;
        let mut message = u16::try_from(reply.len()).ok()?.to_be_bytes().to_vec();
        message.extend(reply);
        stream.write_all(&message).await.ok()?;
    }
}

/// The answer to one query, or `None` for what is none.
fn reply(query: &[u8]) -> Option<Vec<u8>> {
    let question = question(query)?;
    let (kind, class) = (be16(question, 4)?, be16(question, 2)?);
    let found = kind == TYPE_A && class == CLASS_IN;
    let recursion_desired = query[2] & 1;
    let mut reply = Vec::with_capacity(HEADER + question.len() + 16);
    reply.extend(&query[..2]);
    // A response (0x80), with authority (4), recursion available (0x80), no error.
    reply.extend([0x84 | recursion_desired, 0x80]);
    reply.extend([0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    reply.extend(question);
    if found {
        // The name again, as a pointer to the question.
        reply.extend([0xC0, 12]);
        reply.extend(TYPE_A.to_be_bytes());
        reply.extend(CLASS_IN.to_be_bytes());
        reply.extend(TTL.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(reply)
}

/// The octets of a standard query's one question: name, type, class.
fn question(query: &[u8]) -> Option<&[u8]> {
    let flags = *query.get(2)?;
    let is_standard_query = flags & 0xF8 == 0;
    if !is_standard_query || query.get(4..6)? != [0, 1] {
        return None;
    }
    let rest = query.get(HEADER..)?;
    let mut at = 0;
    loop {
        match *rest.get(at)? {
            0 => break,
            length @ 1..64 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    (at < LONGEST_NAME).then_some(())?;
    rest.get(..at + 5)
}

/// Two octets, `from_end` octets before the end.
fn be16(bytes: &[u8], from_end: usize) -> Option<u16> {
    let at = bytes.len().checked_sub(from_end)?;
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `a.test`, recursion desired, as `dig` sends it, without EDNS.
    fn query(kind: u16) -> Vec<u8> {
        let mut query = hex::decode("beef01000001000000000000016104746573740000000001").unwrap();
        let at = query.len() - 4;
        query[at..at + 2].copy_from_slice(&kind.to_be_bytes());
        query
    }

    #[test]
    fn an_a_query_is_answered_with_this_machine() {
        let expected = "beef85800001000100000000\
                        0161047465737400\
                        00010001\
                        c00c000100010000003c00047f000001";
        assert_eq!(hex::encode(reply(&query(1)).unwrap()), expected);
    }

    #[test]
    fn other_types_are_answered_with_nothing() {
        for kind in [16, 28, 257] {
            let reply = reply(&query(kind)).unwrap();
            assert_eq!(
                reply[..12],
                hex::decode("beef85800001000000000000").unwrap()
            );
            assert_eq!(reply.len(), query(kind).len());
        }
    }

    #[test]
    fn an_additional_record_is_left_out_of_the_answer() {
        let mut edns = query(1);
        edns[11] = 1;
        edns.extend(hex::decode("00002904d0000000000000").unwrap());
        assert_eq!(reply(&edns), reply(&query(1)));
    }

    #[test]
    fn what_is_no_query_is_not_answered() {
        let whole = query(1);
        for length in 0..whole.len() {
            assert_eq!(reply(&whole[..length]), None, "{length} octets");
        }
        let mut response = whole.clone();
        response[2] |= 0x80;
        assert_eq!(reply(&response), None);
        let mut pointer = whole.clone();
        pointer[12] = 0xC0;
        assert_eq!(reply(&pointer), None);
    }
}
